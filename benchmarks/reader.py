"""Reading files of R without R: canari's reader beside the PyPI package rdata and R's own readRDS, on the same files.

    python benchmarks/reader.py [--rows 10500] [--rounds 3]

Needs R with randomForest. Each reading is a process of its own; its time is that of reading alone, its memory the process's
peak less what it had before, so without the interpreter and its libraries.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from report import heading, options, ratio, table

_MAKE = """
arguments <- commandArgs(TRUE)
rows <- as.integer(arguments[1])
set.seed(1)
frame <- as.data.frame(matrix(rnorm(rows * 10), rows))
frame$y <- with(frame, V1^2 + V2 * V3 + sin(V4) + rnorm(rows))
forest <- randomForest::randomForest(y ~ ., frame, ntree = 500)
saveRDS(forest, file.path(arguments[2], "forest.rds"))
saveRDS(forest, file.path(arguments[2], "forest, not compressed.rds"), compress = FALSE)
large <- data.frame(y = rnorm(10 * rows), x = rnorm(10 * rows), g = sample(c("one", "two", "three"), 10 * rows, TRUE))
saveRDS(lm(y ~ x + g, large), file.path(arguments[2], "lm.rds"))
texts <- list(names = sprintf("row %d", seq_len(10 * rows)), small = lapply(seq_len(rows), function(i) c(a = i, b = 2)))
saveRDS(texts, file.path(arguments[2], "small objects.rds"))
"""
_PYTHON = """
import json, resource, sys, time, warnings
from pathlib import Path

warnings.simplefilter("ignore")
{imported}
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
before, began = peak(), time.perf_counter()
found = {read}
print(json.dumps([time.perf_counter() - began, peak() - before]))
"""
_CANARI = _PYTHON.format(imported="from canari.intake.rds import read", read="read(Path(sys.argv[1]).read_bytes())")
_RDATA = _PYTHON.format(imported="import rdata.parser", read="rdata.parser.parse_file(sys.argv[1])")
_R = """
peak <- function() as.numeric(gsub("[^0-9]", "", grep("^VmHWM", readLines("/proc/self/status"), value = TRUE))) * 1024
before <- peak()
seconds <- system.time(found <- readRDS(commandArgs(TRUE)[1]))[["elapsed"]]
cat(sprintf("[%f, %f]", seconds, peak() - before))
"""
_READERS = {
    "canari": [sys.executable, "-c", _CANARI],
    "rdata": [sys.executable, "-c", _RDATA],
    "R": ["Rscript", "--vanilla", "-e", _R],
}


@dataclass
class Measured:
    """What the rounds of one reader on one file took."""

    seconds: list[float]
    peaks: list[float]  # bytes


def _measure(command: list[str], file: Path) -> tuple[float, float]:
    done = subprocess.run([*command, str(file)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[0]} cannot read {file.name}: {done.stderr[-500:]}")
    seconds, peak = json.loads(done.stdout)
    return seconds, peak


def main() -> None:
    """Make the files, read them in turn, print."""
    chosen = options(__doc__, (), rows=10_500, rounds=3)
    if shutil.which("Rscript") is None:
        sys.exit("not installed: R")
    heading("Reading files of R", chosen)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["Rscript", "--vanilla", "-e", _MAKE, str(chosen.rows), folder], check=True, capture_output=True)
        lines = []
        for file in sorted(Path(folder).glob("*.rds")):
            found = {name: Measured([], []) for name in _READERS}
            for _ in range(int(chosen.rounds)):
                for name, command in _READERS.items():
                    seconds, peak = _measure(command, file)
                    found[name].seconds.append(seconds)
                    found[name].peaks.append(peak)
            size = file.stat().st_size
            ours = found["canari"]
            lines.append(
                [
                    file.stem,
                    f"{size / 1e6:.1f}",
                    f"{statistics.median(ours.seconds):.2f}",
                    ratio(ours.seconds, found["rdata"].seconds),
                    ratio(ours.seconds, found["R"].seconds),
                    *(f"{statistics.median(found[name].peaks) / size:.1f}" for name in _READERS),
                ]
            )
    table(
        [
            "file",
            "MB",
            "canari, s",
            "time, of rdata's",
            "time, of R's",
            "memory of canari, times the file",
            "of rdata",
            "of R",
        ],
        lines,
    )


if __name__ == "__main__":
    main()
