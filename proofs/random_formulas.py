"""Random formulas: `lm` and `glm` models that real R fits to random columns, by random formulas, predict what R predicts.

    python -m proofs.random_formulas --models 3000

Each model is made from a seed of its own by random_formulas.R beside this file, saved by `save_model` with rows that it has
not seen, read, translated, and compared with R's predictions on them, by the proof of an import and with R's own text of them.
No value may differ by more than the tolerance of an import. A model that is refused is counted by the reason; of what R itself
cannot fit or predict another one is drawn. Interrupted, it goes on where it was.
"""

import argparse
import csv
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from canari.errors import CanariError
from canari.intake.proof import prove
from canari.intake.r import read_r
from canari.runtime.feeds import to_feeds
from canari.runtime.onnx import OnnxRuntime
from canari.signature import TOLERANCE, Signature
from proofs.results import OUT, ROOT, ProofError, commit, listed, load, machine, save, write_section

_SCRIPT = Path(__file__).with_suffix(".R")
_BATCH = 100
_MOST_REFUSED = 0.25
# Above this relative error of its own sums, R's predictions are not known to the tolerance either.
_UNSURE = TOLERANCE / 10
_SHOWN = 10


class Found(msgspec.Struct):
    """What was found so far, for the seeds before `next`."""

    commit: str
    next: int = 1
    proved: dict[str, int] = {}  # by the kind of answer
    rows: int = 0
    worst: float = 0.0
    worst_seed: int = 0
    within: dict[str, int] = {}  # how many models differ by at most so much
    refused: dict[str, int] = {}
    unsure: dict[str, str] = {}  # by seed: what differs, of which R's own rounding error is as large
    seconds: float = 0.0

    @property
    def models(self) -> int:
        """All that were drawn."""
        return self.next - 1


@dataclass(frozen=True)
class Drawn:
    """One random model of R, as the script wrote it."""

    seed: int
    call: str
    kind: str
    error: float  # a bound of the relative rounding error of R's own sums
    refused: str  # why save_model refused it, empty where it did not
    path: Path


def library(folder: Path) -> Path:
    """The R package, installed into a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["R", "CMD", "INSTALL", "--no-docs", "--no-test-load", f"--library={folder}", str(ROOT / "r")]
    _run(command, os.environ.copy())
    return folder


def draw(first: int, count: int, packages: Path, folder: Path) -> list[Drawn]:
    """The models of the seeds from `first` on."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        raise ProofError("needs R (Rscript is not on the PATH)")
    # Levels that R sorts are to be in the same order everywhere.
    environment = os.environ | {"LC_COLLATE": "C", "R_LIBS": str(packages)}
    _run([rscript, str(_SCRIPT), str(folder), str(first), str(count)], environment)
    return [_drawn(seed, folder) for seed in range(first, first + count)]


def difference(drawn: Drawn) -> tuple[float, int]:
    """The worst difference of a model's predictions, and the number of rows; raises `CanariError` where it is refused."""
    data = drawn.path.read_bytes()
    fitted = read_r(data, hashlib.sha256(data).hexdigest())
    translation = fitted.translation
    signature = Signature(name="model", version="1", inputs=translation.inputs, outputs=translation.outputs, source=fitted.source)
    if fitted.checks is None:
        raise ProofError(f"seed {drawn.seed}: the file has no check rows")
    proof = prove(signature, translation, fitted.checks)
    predictions = OnnxRuntime(signature, translation.onnx).predict(to_feeds(signature.inputs, fitted.checks.rows))
    with drawn.path.with_suffix(".tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    worst = max(proof.worst, proof.worst_evaluator)
    for output in translation.outputs:
        theirs = np.array([np.nan if row[output.name] in ("NA", "NaN") else float(row[output.name]) for row in rows])
        ours = predictions[output.name][:, 0]
        with np.errstate(invalid="ignore"):
            apart = np.abs(theirs - ours) / np.maximum(1.0, np.abs(theirs))
        apart = np.where((theirs == ours) | (np.isnan(theirs) & np.isnan(ours)), 0.0, apart)
        worst = max(worst, float(np.nan_to_num(apart, nan=np.inf).max()))
    if worst > TOLERANCE:
        raise ProofError(f"differs by {worst:.1e} from what R wrote down: check rows disagree")
    return worst, len(rows)


def reason(refusal: str) -> str:
    """A refusal without what is of one model alone."""
    if unknown := re.search(r"the function ([\w.:]+)\(\)", refusal):
        return f"{unknown[1]}() is not translated"
    general = re.sub(r"`[^`]*`: ?|`[^`]*` |'[^']*'", "", refusal)
    return re.split(r"[;:]", general)[0].strip()[:90]


def run(models: int, state: Path, *, batch: int = _BATCH) -> Found:
    """Compare so many models; raises `ProofError` naming the seeds where one predicts otherwise than R."""
    found = load(state, Found) or Found(commit())
    with tempfile.TemporaryDirectory() as scratch:
        packages = library(Path(scratch) / "library")
        while found.models < models:
            folder = Path(scratch) / "models"
            folder.mkdir()
            began = time.monotonic()
            wrong: list[str] = []
            for drawn in draw(found.next, min(batch, models - found.models), packages, folder):
                compare(drawn, found, wrong)
            if wrong:
                raise ProofError("\n".join([f"{len(wrong)} models predict otherwise than R:", *wrong[:_SHOWN]]))
            shutil.rmtree(folder)
            found.seconds += time.monotonic() - began
            save(state, found)
            print(f"{found.models:,} models, {sum(found.refused.values())} refused, worst {found.worst:.1e}", flush=True)
    if sum(found.refused.values()) > _MOST_REFUSED * found.models:
        raise ProofError(f"{sum(found.refused.values())} of {found.models} models were refused: {listed(found.refused)}")
    return found


def compare(drawn: Drawn, found: Found, wrong: list[str]) -> None:
    """Count one model; `wrong` gets a line where it predicts otherwise than R."""
    found.next = drawn.seed + 1
    try:
        if drawn.refused:
            raise ProofError(drawn.refused)
        worst, rows = difference(drawn)
    except CanariError as error:
        if "disagree" not in str(error):
            count = Counter(found.refused)
            count[reason(str(error))] += 1
            found.refused = dict(count)
        elif drawn.error > _UNSURE:
            found.unsure[str(drawn.seed)] = f"`{drawn.call}`: {error}"
        else:
            wrong.append(f"seed {drawn.seed}, {drawn.kind}, {drawn.call}: {error}")
        return
    found.proved[drawn.kind] = found.proved.get(drawn.kind, 0) + 1
    found.rows += rows
    step = next(limit for limit in ("1e-14", "1e-13", "1e-12", "1e-11", "1e-10", "1e-09") if worst <= float(limit))
    found.within[step] = found.within.get(step, 0) + 1
    if worst > found.worst:
        found.worst, found.worst_seed = worst, drawn.seed


def report(found: Found, command: str) -> str:
    """What was found, for a reader."""
    proved, refused = sum(found.proved.values()), sum(found.refused.values())
    reasons = "\n".join(f"| {why} | {n} |" for why, n in sorted(found.refused.items(), key=lambda item: -item[1]))
    unsure = "\n".join(f"- seed {seed}: {what}" for seed, what in found.unsure.items()) or "None."
    within = ", ".join(f"{limit} {found.within[limit]:,}" for limit in sorted(found.within, key=float))
    return f"""
`{command}`, commit {found.commit}, {machine()}.

{found.models:,} random `lm` and `glm` models of R were drawn, fitted, saved and read in {found.seconds:,.0f} s; {proved:,}
predict what R predicts, on {found.rows:,} rows, most of them unseen, beyond the training's ranges or with missing values. None
predicts otherwise. {refused:,} ({100 * refused / found.models:.1f} %) were refused, and {len(found.unsure)} are left open,
because R's own sums are not known to 1e-10.

- By kind of answer: {listed(found.proved)}.
- Worst difference |a - b| / max(1, |a|) {found.worst:.1e} (seed {found.worst_seed}).
- Models by their difference, at most: {within}.

| refused because | models |
|---|---:|
{reasons}

Left open (a coefficient that is nearly not determined makes terms so large that their sum depends on its order):

{unsure}
"""


def _drawn(seed: int, folder: Path) -> Drawn:
    call, kind, error, *refused = (folder / f"{seed}.txt").read_text().splitlines()
    bound = 0.0 if error.strip() == "NA" else float(error)
    return Drawn(seed, call, kind, bound, " ".join(refused).strip(), folder / f"{seed}.rds")


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise ProofError(f"{Path(command[0]).name} failed: {done.stderr.strip()[-1000:]}")


def main() -> None:
    """Prove it, and write what was found into docs/proofs.md."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", type=int, default=3000, help="how many (%(default)s)")
    chosen = parser.parse_args()
    try:
        found = run(chosen.models, OUT / "random_formulas.json")
    except CanariError as error:
        sys.exit(f"not proved: {error}")
    write_section("Random formulas", report(found, f"python -m proofs.random_formulas --models {chosen.models}"))


if __name__ == "__main__":
    main()
