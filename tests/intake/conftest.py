"""Models that real R fits, once for all tests."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("r") / "fit.R"


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that fit.R has filled."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        pytest.skip("needs R (Rscript is not on the PATH)")
    packages = "quit(status = !all(vapply(c('MASS', 'randomForest', 'splines'), requireNamespace, NA, quietly = TRUE)))"
    if subprocess.run([rscript, "-e", packages], check=False, capture_output=True).returncode:
        pytest.skip("needs R's packages MASS and randomForest")
    folder = tmp_path_factory.mktemp("fitted")
    same_order = os.environ | {"LC_COLLATE": "C"}  # of levels that R sorts
    done = subprocess.run([rscript, SCRIPT, folder], check=False, capture_output=True, text=True, env=same_order)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder
