"""One row of a forest of 500 trees: what canari adds to onnxruntime's own time, beside what it adds for a GLM.

    python benchmarks/forest.py [--seconds 5] [--rounds 5]

Needs wrk, and R with randomForest. The forest is fitted in R, saved and imported as a user does it, into a store of its own.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import onnxruntime
from load import Measured, wrk
from report import heading, options, ratio, table
from rows import ROW, bare, feeds, records
from servers import RDS, ROOT, canari, running

from canari.model import load_model

FOREST = "forest:1"
TREES = 500

_FIT = f"""
library(canari)
frame <- read.csv("models/diabetes/data/train.csv")
frame$type <- factor(frame$type, c("No", "Yes"))
set.seed(2001)
inputs <- c("npreg", "glu", "bp", "skin", "bmi", "ped", "age")
model <- randomForest::randomForest(reformulate(inputs, "type"), frame, ntree = {TREES}, nodesize = 5)
save_model(model, frame, path = commandArgs(TRUE)[1], name = "forest", type = "probability")
"""


@contextlib.contextmanager
def fitted() -> Iterator[dict[str, str]]:
    """A store with the forest and the GLM (`diabetes:1`), as the environment that points to it."""
    with tempfile.TemporaryDirectory() as folder:
        library, file = Path(folder, "library"), Path(folder, "forest.rds")
        library.mkdir()
        environment = {"BENTOML_HOME": folder}
        commands: list[list[str | Path]] = [
            ["R", "CMD", "INSTALL", "--no-docs", f"--library={library}", "r"],
            ["Rscript", "-e", _FIT, file],
            [sys.executable, "-m", "canari", "import", file, "--version", "1"],
            [sys.executable, "-m", "canari", "import", RDS, "--version", "1"],
        ]
        for command in commands:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=os.environ | environment | {"R_LIBS": str(library)},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                sys.exit(f"{command[:3]} failed: {done.stderr[-800:]}")
        yield environment


def main() -> None:
    """Fit, measure in turn, print."""
    chosen = options(__doc__, ("wrk", "Rscript"), seconds=5.0, rounds=5)
    heading(f"One row of a forest of {TREES} trees, 16 connections", chosen)
    with contextlib.ExitStack() as stack:
        environment = stack.enter_context(fitted())
        models = {"GLM": "diabetes:1", "forest": FOREST}
        servers = {name: stack.enter_context(running(canari(tag, environment=environment))) for name, tag in models.items()}
        folders = {n: Path(environment["BENTOML_HOME"], "models", *tag.split(":")) for n, tag in models.items()}
        sessions = {name: bare(load_model(folder).onnx) for name, folder in folders.items()}
        found: dict[str, list[Measured]] = {name: [] for name in models}
        alone: dict[str, list[float]] = {name: [] for name in models}
        for one in servers.values():
            wrk(one, records([ROW]), 1)
        for _ in range(chosen.rounds):
            for name, session in sessions.items():
                alone[name].append(alone_microseconds(session, chosen.seconds / 5))
                found[name].append(wrk(servers[name], records([ROW]), chosen.seconds))
    report(found, alone)


def alone_microseconds(session: onnxruntime.InferenceSession, seconds: float) -> float:
    """The graph's own time for the row: the median over runs of it for so long, in µs."""
    arrays, times = feeds([ROW]), []
    end = perf_counter() + seconds
    while (started := perf_counter()) < end:
        session.run(None, arrays)
        times.append(perf_counter() - started)
    return statistics.median(times) * 1e6


def report(found: dict[str, list[Measured]], alone: dict[str, list[float]]) -> None:
    """One line a model, and the forest's additional cost."""
    lines = []
    for name, rounds in found.items():
        rate, p50, p99, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
        lines.append([name, f"{rate:,.0f}", f"{p50:.2f}", f"{p99:.2f}", f"{cpu:,.1f}", f"{statistics.median(alone[name]):,.1f}"])
    table(["model", "requests/s", "p50 ms", "p99 ms", "CPU µs a request", "bare onnxruntime µs"], lines)
    glm, forest = found["GLM"], found["forest"]
    by_cpu = [f.cpu - g.cpu for f, g in zip(forest, glm, strict=True)]
    by_clock = [(1 / f.rate - 1 / g.rate) * 1e6 for f, g in zip(forest, glm, strict=True)]
    print("What the forest costs over the GLM, in times of bare onnxruntime's time for the forest: ", end="")
    print(f"{ratio(by_cpu, alone['forest'])} by CPU time, {ratio(by_clock, alone['forest'])} by the clock.\n", flush=True)


if __name__ == "__main__":
    main()
