"""How exactly canari predicts what R predicts: the table of classes in docs/parity.md.

    python -m proofs.parity

Real R fits the models of tests/intake/r/models, the project's R package saves them with R's own predictions, and each is
imported; the packages of R that a script needs must be installed. Ends with 1 where a model is not predicted as R does.
"""

import collections
import hashlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from canari.errors import CanariError
from canari.intake.proof import prove
from canari.intake.r import read_r
from canari.model import Checks, Predictions, number
from canari.runtime.feeds import to_feeds
from canari.runtime.onnx import OnnxRuntime
from canari.signature import Signature
from proofs.results import ROOT, commit, write_section
from tests.intake.fitting import SCRIPTS, fit_models, install_package

_DOCUMENT = ROOT / "docs" / "parity.md"
_SHARED = ("common", "refused", "bare")  # scripts that make no models to compare


@dataclass
class Class:
    """What was found for one class of models."""

    models: int = 0
    rows: int = 0
    ties: int = 0
    worst: float = 0.0  # |a - b| / max(1, |a|), which the limit is about
    worst_evaluator: float = 0.0
    absolute: float = 0.0  # |a - b|
    relative: float = 0.0  # |a - b| / |a|, of a that are not 0
    worst_model: str = "-"


def measure(files: list[Path]) -> tuple[dict[str, Class], list[str]]:
    """Prove each file; returns the classes and one line for each file that was refused."""
    classes: dict[str, Class] = collections.defaultdict(Class)
    wrong = []
    for path in files:
        data = path.read_bytes()
        try:
            fitted = read_r(data, hashlib.sha256(data).hexdigest())
            assert fitted.checks is not None
            translation = fitted.translation
            signature = Signature(
                name="model", version="1", inputs=translation.inputs, outputs=translation.outputs, source=fitted.source
            )
            proof = prove(signature, translation, fitted.checks)
        except CanariError as error:
            wrong.append(f"{path.stem}: {error}")
            continue
        runtime = OnnxRuntime(signature, translation.onnx)
        absolute, relative = _differences(
            signature, fitted.checks, runtime.predict(to_feeds(signature.inputs, fitted.checks.rows))
        )
        one = classes[fitted.source.model_class]
        one.models += 1
        one.rows += proof.rows
        one.ties += proof.ties
        if proof.worst >= one.worst:
            one.worst, one.worst_model = proof.worst, path.stem
        one.worst_evaluator = max(one.worst_evaluator, proof.worst_evaluator)
        one.absolute, one.relative = max(one.absolute, absolute), max(one.relative, relative)
    return classes, wrong


def _differences(signature: Signature, checks: Checks, predictions: Predictions) -> tuple[float, float]:
    """The worst absolute and the worst relative one among numbers that are finite on both sides."""
    absolute = relative = 0.0
    for output in signature.outputs:
        if output.kind == "class":
            continue
        for i, column in enumerate(output.columns):
            theirs = np.array([number(value) for value in checks.predictions[column]])
            ours = predictions[output.name][:, i]
            finite = np.isfinite(theirs) & np.isfinite(ours)
            difference = np.abs(theirs[finite] - ours[finite])
            size = np.abs(theirs[finite])
            absolute = max(absolute, float(difference.max(initial=0.0)))
            relative = max(relative, float((difference[size > 0] / size[size > 0]).max(initial=0.0)))
    return absolute, relative


def table(classes: dict[str, Class]) -> str:
    """The classes in Markdown."""
    heads = ("class", "models", "rows", "worst by the limit's measure", "numpy's", "absolute", "relative", "ties", "worst model")
    lines = [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 2)}---|"]
    for name, one in sorted(classes.items(), key=lambda item: item[0].lower()):
        differences = " | ".join(f"{d:.1e}" for d in (one.worst, one.worst_evaluator, one.absolute, one.relative))
        lines.append(f"| {name} | {one.models} | {one.rows:,} | {differences} | {one.ties or ''} | {one.worst_model} |")
    return "\n".join(lines)


def main() -> None:
    """Fit, prove and write."""
    scripts = sorted(path.stem for path in SCRIPTS.glob("*.R") if path.stem not in _SHARED)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        install_package(folder / "library")
        for script in scripts:
            print(f"fitting {script}", flush=True)
            fit_models(script, folder / script, folder / "library")
        files = [path for script in scripts for path in sorted((folder / script).glob("*.rds"))]
        classes, wrong = measure(files + sorted((ROOT / "models").rglob("*.rds")))
    version = subprocess.run(["Rscript", "-e", "cat(as.character(getRversion()))"], capture_output=True, text=True, check=True)
    models, rows = sum(one.models for one in classes.values()), sum(one.rows for one in classes.values())
    text = f"""`python -m proofs.parity`, commit {commit()}, R {version.stdout}.

{models} models, {rows:,} rows compared, {len(wrong) or "none"} refused. Limited is |a - b| / max(1, |a|), where a is R's own
prediction, b what onnxruntime answers.

{table(classes)}
"""
    write_section("The classes", text, _DOCUMENT)
    print(text)
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
