"""How exactly canari predicts what R predicts: fits the test models in R, proves each, prints a table by class.

    python benchmarks/parity.py

It needs R with MASS and randomForest. The models are those of tests/intake/r/fit.R, and the fitted examples.
"""

import collections
import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from canari.errors import CanariError
from canari.intake.proof import prove
from canari.intake.r import read_r
from canari.signature import Signature

ROOT = Path(__file__).parents[1]


@dataclass
class Class:
    """What was found for one class of models; differences are |a - b| / max(1, |a|)."""

    models: int = 0
    rows: int = 0
    worst: float = 0.0
    worst_evaluator: float = 0.0
    worst_model: str = "-"


def measure(files: list[Path]) -> tuple[dict[str, Class], list[str]]:
    """Prove each file; returns the classes and one line for each file that was refused."""
    classes: dict[str, Class] = collections.defaultdict(Class)
    refused = []
    for path in files:
        data = path.read_bytes()
        try:
            fitted = read_r(data, hashlib.sha256(data).hexdigest())
            if fitted.checks is None:
                continue  # a bare model has nothing to be compared with
            translation = fitted.translation
            signature = Signature(
                name="model", version="1", inputs=translation.inputs, outputs=translation.outputs, source=fitted.source
            )
            proof = prove(signature, translation, fitted.checks)
        except CanariError as error:
            refused.append(f"{path.stem}: {error}")
            continue
        one = classes[fitted.source.model_class]
        one.models += 1
        one.rows += proof.rows
        if proof.worst >= one.worst:
            one.worst, one.worst_model = proof.worst, path.stem
        one.worst_evaluator = max(one.worst_evaluator, proof.worst_evaluator)
    return classes, refused


def main() -> None:
    """Fit, prove and print."""
    with tempfile.TemporaryDirectory() as folder:
        fit = ["Rscript", str(ROOT / "tests/intake/r/fit.R"), folder]
        subprocess.run(fit, check=True, capture_output=True, env=os.environ | {"LC_COLLATE": "C"})
        files = sorted(Path(folder).glob("*.rds")) + sorted((ROOT / "models").rglob("*.rds"))
        classes, refused = measure(files)
    print("| class | models | check rows | worst difference, onnxruntime | independent evaluator | worst model |")
    print("|---|---:|---:|---:|---:|---|")
    for name, one in sorted(classes.items()):
        worst = f"{one.worst:.1e} | {one.worst_evaluator:.1e}"
        print(f"| {name} | {one.models} | {one.rows:,} | {worst} | {one.worst_model} |")
    for line in refused:
        print(f"refused: {line}", file=sys.stderr)


if __name__ == "__main__":
    main()
