"""The example models: what stands in the repository is what their training code makes of their data."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import skops.io

REPOSITORY = Path(__file__).parents[2]
DIABETES = REPOSITORY / "models" / "diabetes"
BREAST_CANCER = REPOSITORY / "models" / "breast_cancer"
FITTED = sorted(path for path in (REPOSITORY / "models").rglob("*") if path.suffix in {".rds", ".skops"})

PREDICTIONS = """
bundle <- readRDS(commandArgs(TRUE))
cat(bundle$name, bundle$type, bundle$labels, "\\n")
predictions <- bundle$predictions$prediction
writeLines(sprintf("%.17g", ifelse(is.na(predictions), NaN, predictions)))
"""

METRICS = """
for (file in commandArgs(TRUE)) {
  bundle <- readRDS(file)
  cat(unlist(bundle$metrics), mean(bundle$predictions$prediction[!bundle$probe]), "\\n")
}
"""


def r(*arguments: str | Path, library: Path | None = None) -> str:
    """Run Rscript, skip where it or a package is not installed, and return what it prints."""
    if shutil.which("Rscript") is None:
        pytest.skip("needs R: there is no Rscript on the PATH")
    environment = os.environ | ({"R_LIBS": str(library)} if library else {})
    run = subprocess.run(
        ["Rscript", "--vanilla", *map(str, arguments)], capture_output=True, text=True, env=environment, check=False
    )
    if "there is no package called" in run.stderr:
        pytest.skip(run.stderr.strip().splitlines()[0])
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An R library with this checkout's package canari."""
    if shutil.which("Rscript") is None:
        pytest.skip("needs R: there is no Rscript on the PATH")
    folder = tmp_path_factory.mktemp("library")
    source = shutil.copytree(REPOSITORY / "r", folder / "source")
    install = ["R", "CMD", "INSTALL", "--no-docs", f"--library={folder}", str(source)]
    run = subprocess.run(install, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return folder


def test_every_fitted_file_is_small() -> None:
    fitted = ["breast-cancer-1.skops", "diabetes-1.rds", "diabetes-2.rds", "diabetes-3.rds"]
    assert sorted(path.name for path in FITTED) == fitted
    assert {path.name: path.stat().st_size for path in FITTED if path.stat().st_size >= 1_000_000} == {}


@pytest.mark.parametrize(("file", "frame", "rows"), [("train.csv", "Pima.tr", 200), ("test.csv", "Pima.te", 332)])
def test_the_data_are_those_of_mass(file: str, frame: str, rows: int) -> None:
    expected = r("-e", f"write.csv(MASS::{frame}, row.names = FALSE, quote = FALSE)")
    assert (DIABETES / "data" / file).read_text() == expected
    assert len(list(csv.DictReader(expected.splitlines()))) == rows


def test_refitting_gives_the_same_predictions(library: Path, tmp_path: Path) -> None:
    r(DIABETES / "train.R", tmp_path, library=library)
    for version in (1, 2, 3):
        file = f"diabetes-{version}.rds"
        (kind, *kept), (new_kind, *refitted) = (
            r("-e", PREDICTIONS, folder / file).splitlines() for folder in (DIABETES, tmp_path)
        )
        assert kind.split() == new_kind.split() == ["diabetes", "probability", "Yes"]
        assert len(kept) > 332
        # Another linear algebra library may differ in the last digits.
        assert [float(x) for x in refitted] == pytest.approx([float(x) for x in kept], rel=1e-9, nan_ok=True)


def test_the_mistake_shows_in_the_predictions_and_not_in_the_metrics() -> None:
    files = [DIABETES / f"diabetes-{version}.rds" for version in (1, 2, 3)]
    (*good, good_mean), (*_, forest_mean), (*bad, bad_mean) = (
        [float(x) for x in line.split()] for line in r("-e", METRICS, *files).splitlines()
    )
    assert bad == pytest.approx(good, abs=0.01)
    assert forest_mean == pytest.approx(good_mean, abs=0.05)
    assert bad_mean > good_mean + 0.2


def content(file: Path) -> Any:
    """What stands in a .skops file of `save_model` beside the model."""
    return json.loads(skops.io.load(file)["content"])


def test_refitting_the_pipeline_gives_the_same_predictions(tmp_path: Path) -> None:
    subprocess.run([sys.executable, BREAST_CANCER / "train.py", tmp_path], check=True, capture_output=True)
    kept, refitted = (content(folder / "breast-cancer-1.skops") for folder in (BREAST_CANCER, tmp_path))
    assert kept["name"] == refitted["name"] == "breast-cancer"
    assert kept["rows"] == refitted["rows"]
    assert kept["predictions"].keys() == refitted["predictions"].keys()
    for column, values in kept["predictions"].items():
        # The optimizer stops at slightly different points with another linear algebra library.
        assert refitted["predictions"][column] == (
            values if isinstance(values[0], str) else pytest.approx(values, rel=1e-4, abs=1e-9)
        )
    assert kept["metrics"]["auc"] > 0.99
