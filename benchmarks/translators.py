"""Models of R in canari, and as PMML by the R packages r2pmml and pmml: who predicts what R predicts, and how long a row takes.

    python -m benchmarks.translators --library FOLDER --evaluator FOLDER

R fits some models of each class (peers/translators.R) and predicts their rows: up to 300 of the data, one with each column
missing, numbers beyond the data's range and, for trees, exactly on values of splits. Each translation answers the same rows.

--library is a folder of R packages with r2pmml (0.31.0, which brings JPMML-R 1.7.8) and pmml (2.6.0), --evaluator one with
the jar of org.jpmml:pmml-evaluator-metro:1.7.7 and those that it depends on. Needs a JDK, and R with the packages of
`make parity`.
Prints Markdown. A model that canari predicts otherwise than R ends it with 1.
"""

import argparse
import collections
import csv
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import IO, NamedTuple

from canari.errors import CanariError, InputError
from canari.intake.r import read_r
from canari.model import Value
from canari.runtime.feeds import row_feeds, to_feeds
from canari.runtime.onnx import OnnxRuntime
from canari.signature import MISSING, TOLERANCE, Input, Signature
from proofs.results import commit, machine
from tests.intake.fitting import install_package

PEERS = Path(__file__).parent / "peers"
_PACKAGES = ("r2pmml", "pmml")
_MEASURED_SECONDS = 0.5
_SHOWN_REASON = 90

Answer = dict[str, str]  # a row's predictions as text, "" where there are none
NOTHING = "\\N"


class Translated(NamedTuple):
    """How a translation answers a model's rows: one answer a row, and the median time of one row in µs."""

    answers: list[Answer]
    microseconds: float


class Compared(NamedTuple):
    """Answers beside R's."""

    rows: int
    same: int  # as R to TOLERANCE, a missing value for a missing value
    unanswered: int  # refused or missing, where R answers
    invented: int  # answered, where R's answer is a missing value
    worst: float  # |a - b| / max(1, |a|) of numbers, of rows that both answer

    @property
    def wrong(self) -> int:
        """Rows with another answer than R's."""
        return self.rows - self.same - self.unanswered - self.invented

    def __str__(self) -> str:
        if self.same == self.rows:
            return f"all, {self.worst:.0e}"
        counts = {"wrong": self.wrong, "unanswered": self.unanswered, "answered, R: NA": self.invented}
        return f"{', '.join(f'{count} {what}' for what, count in counts.items() if count)}; {self.worst:.0e}"


def main() -> None:
    """Fit, translate, compare, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--library", type=Path, required=True, help="R packages: r2pmml and pmml")
    parser.add_argument("--evaluator", type=Path, required=True, help="jars of JPMML-Evaluator")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        reasons = fit(folder, chosen.library.resolve())
        names = [
            path.name.removesuffix(".truth") for path in sorted(folder.glob("*.truth"), key=lambda path: path.stat().st_mtime_ns)
        ]
        command = ["java", "-cp", f"{chosen.evaluator}/*", str(PEERS / "Evaluate.java")]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as java:
            lines, wrong = compare(folder, names, java, reasons)
    print("`python -m benchmarks.translators --library FOLDER --evaluator FOLDER`, ", end="")
    print(f"commit {commit()}, {machine()}, {versions(chosen.library)}.\n")
    print("| model | rows | canari | r2pmml | pmml | canari µs | r2pmml µs | pmml µs |\n|---|---:|---|---|---|---:|---:|---:|")
    for line in lines:
        print(f"| {' | '.join(line)} |")
    print("\nWhy there is none:\n")
    for reason, models in reasons.items():
        print(f"- {reason}: {'; '.join(models)}")
    if wrong:
        sys.exit(f"canari does not predict as R does: {'; '.join(wrong)}")


def fit(folder: Path, library: Path) -> dict[str, list[str]]:
    """Fit and translate all models in R; returns the reasons of r2pmml's converter, each with its models."""
    own = folder / "library"
    install_package(own)
    environment = os.environ | {"LC_COLLATE": "C", "TZ": "UTC", "R_LIBS": f"{own}:{library}"}
    command = ["Rscript", str(PEERS / "translators.R"), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"R failed: {done.stderr[-2000:]}")
    found = collections.defaultdict(list)
    said = ""
    for line in done.stderr.splitlines():
        if line.startswith("fitted "):
            if said and not (folder / f"{line[7:]}.r2pmml").exists():
                found[f"r2pmml: {said}"].append(line[7:])
            said = ""
        elif exception := re.match(r'(?:Exception in thread "main"|Caused by:) (?:[\w.]+\.)?(.*)', line):
            said = exception[1][:_SHOWN_REASON]
    return found


def compare(
    folder: Path, names: Sequence[str], java: subprocess.Popen[str], reasons: dict[str, list[str]]
) -> tuple[list[list[str]], list[str]]:
    """The table's lines, and the models that canari predicts otherwise than R; adds to the reasons."""
    lines, wrong = [], []
    for name in names:
        rows, truth = read(folder / f"{name}.rows"), read(folder / f"{name}.truth")
        cells, times = [], []
        for translator in ("canari", *_PACKAGES):
            try:
                translated = in_canari(folder, name, rows) if translator == "canari" else in_java(folder, name, translator, java)
            except CanariError as error:
                if not str(error).startswith("The R2PMML conversion application has failed"):
                    reasons.setdefault(f"{translator}: {str(error)[:_SHOWN_REASON]}", []).append(name)
                cells.append("none")
                times.append("")
                continue
            compared = compare_answers(truth, translated.answers)
            if translator == "canari" and compared.wrong + compared.invented:
                wrong.append(name)
            cells.append(str(compared))
            times.append(f"{translated.microseconds:.0f}" if translated.microseconds >= 0.5 else "< 1")
        lines.append([name, str(len(rows)), *cells, *times])
        print(f"compared {name}", file=sys.stderr, flush=True)
    return lines, wrong


def in_canari(folder: Path, name: str, rows: Sequence[Answer]) -> Translated:
    """The answers of the graph, in the runtime that serves it; a row that it refuses has none."""
    path = folder / f"{name}.canari.rds"
    if not path.exists():
        raise CanariError((folder / f"{name}.canari.txt").read_text().strip())
    fitted = read_r(path.read_bytes(), "0" * 64)
    inputs = fitted.translation.inputs
    signature = Signature(name="model", version="1", inputs=inputs, outputs=fitted.translation.outputs, source=fitted.source)
    runtime = OnnxRuntime(signature, fitted.translation.onnx)
    answers: list[Answer] = []
    typical: list[Value] | None = None
    for row in rows:
        values = [value_of(column, row[column.name]) for column in inputs]
        try:
            to_feeds(inputs, {column.name: [value] for column, value in zip(inputs, values, strict=True)})
        except InputError:
            answers.append({})
            continue
        typical = typical or values
        found = runtime.predict(row_feeds(inputs, values))
        cells = {c: found[o.name][0, i] for o in signature.outputs for i, c in enumerate(o.columns)}
        answers.append({column: text_of(cell) for column, cell in cells.items()})
    assert typical is not None
    times = []
    end = perf_counter() + 2 * _MEASURED_SECONDS
    feeds = row_feeds(inputs, typical)
    while (started := perf_counter()) < end:
        runtime.predict(feeds)
        times.append(perf_counter() - started)
    return Translated(answers, statistics.median(times[len(times) // 2 :]) * 1e6)


def in_java(folder: Path, name: str, package: str, java: subprocess.Popen[str]) -> Translated:
    """The answers of JPMML-Evaluator to a package's PMML."""
    pmml, answers = folder / f"{name}.{package}", folder / f"{name}.{package}.answers"
    if not pmml.exists():
        raise CanariError(" ".join((folder / f"{name}.{package}.txt").read_text().split()))
    assert java.stdin is not None
    assert java.stdout is not None
    print(pmml, folder / f"{name}.rows", answers, sep="\t", file=java.stdin, flush=True)
    answer = said(java.stdout)
    if answer.startswith("error\t"):
        raise CanariError(f"not evaluated, {answer[6:]}")
    return Translated(read(answers), float(answer))


def said(java: IO[str]) -> str:
    """The next line of the evaluator."""
    line = java.readline()
    if not line:
        sys.exit("the evaluator has ended; are a JDK and all jars there?")
    return line.strip()


def compare_answers(truth: Sequence[Answer], answers: Sequence[Answer]) -> Compared:
    """Row by row; a classification that was asked for one number gives the probability of its last category."""
    same = unanswered = invented = 0
    worst = 0.0
    for expected, answer in zip(truth, answers, strict=True):
        found = {column: cell_of(answer, column) for column in expected}
        if all(cell == NOTHING for cell in found.values()):
            if all(cell == NOTHING for cell in expected.values()):
                same += 1
            else:
                unanswered += 1
        elif any(theirs == NOTHING for theirs in expected.values()):
            invented += found != expected
            same += found == expected
        else:
            differences = [difference(theirs, found[column]) for column, theirs in expected.items()]
            worst = max([worst, *filter(math.isfinite, differences)])
            same += max(differences) <= TOLERANCE
    return Compared(len(truth), same, unanswered, invented, worst)


def cell_of(answer: Answer, column: str) -> str:
    """What an answer says of a column of R's: PMML's target is `value`, its probabilities are by category."""
    if "value" not in answer:
        return answer.get(column, NOTHING)
    if answer["value"] == NOTHING:
        return NOTHING
    categories = [name for name in answer if name != "value"]
    if column == "prediction" and categories:
        column = max(categories)
    elif column not in categories:
        column = "value"
    cell = answer.get(column, NOTHING)
    return "0" if cell == NOTHING else cell  # a category without votes


def difference(theirs: str, ours: str) -> float:
    """|a - b| / max(1, |a|); of classes, or where one is missing, 0 or infinite."""
    try:
        a, b = float(theirs), float(ours)
    except ValueError:
        return 0.0 if theirs == ours else math.inf
    if a == b:
        return 0.0
    return abs(a - b) / max(1.0, abs(a)) if math.isfinite(a) and math.isfinite(b) else math.inf


def text_of(cell: str | float | None) -> str:
    """A prediction as in the tables."""
    missing = cell in (None, MISSING) or (isinstance(cell, float) and math.isnan(cell))
    return NOTHING if missing else str(cell)


def value_of(column: Input, cell: str) -> Value:
    """A cell of the table of rows as the column's value."""
    if cell == NOTHING:
        return None
    match column.kind:
        case "category":
            return cell
        case "boolean":
            return cell == "true"
        case "integer":
            return int(cell)
        case _:
            return float(cell)


def read(path: Path) -> list[Answer]:
    """A table of texts, separated by tabs."""
    with path.open() as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def versions(library: Path) -> str:
    """Of R and what was compared."""
    script = "for (p in c('r2pmml', 'pmml')) cat(',', p, as.character(packageVersion(p))); cat(',', R.version.string)"
    environment = os.environ | {"R_LIBS": str(library)}
    done = subprocess.run(["Rscript", "-e", script], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.removeprefix(", ")


if __name__ == "__main__":
    main()
