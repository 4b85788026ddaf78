"""Models that real R fits, once for all tests."""

import os
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.intake.fitting import FittingError, fit_models, install_package

_HOUR = 3600

Fit: TypeAlias = Callable[[str], Path]


@pytest.fixture(scope="session")
def fit(tmp_path_factory: pytest.TempPathFactory) -> Fit:
    """Runs one of the scripts, once for all workers, and tells the folder that it has filled."""
    if shutil.which("Rscript") is None:
        pytest.skip("needs R (Rscript is not on the PATH)")
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "fitted"
    shared.mkdir(exist_ok=True)
    library = shared / "library"

    def run(script: str) -> Path:
        folder = shared / script
        for mark, work in ((library, partial(install_package, library)), (folder, partial(fit_models, script, folder, library))):
            wrong = _once(mark, work)
            if wrong.startswith("needs"):
                pytest.skip(wrong)
            assert not wrong, wrong
        return folder

    return run


def _once(mark: Path, work: Callable[[], None]) -> str:
    """Do the work in one of the processes that ask for it, while the others wait; all are told what was wrong with it."""
    started, done = mark.with_suffix(".started"), mark.with_suffix(".done")
    try:
        started.touch(exist_ok=False)
    except FileExistsError:
        deadline = time.monotonic() + _HOUR
        while not done.exists():
            assert time.monotonic() < deadline, f"{mark.name} does not end"
            time.sleep(0.05)
        return done.read_text()
    wrong = f"{mark.name} was broken off"
    try:
        work()
        wrong = ""
    except FittingError as error:
        wrong = f"{'needs a package of R: ' if error.lacks_package else ''}{error}"
    finally:
        part = mark.with_suffix(".part")
        part.write_text(wrong)
        part.rename(done)
    return wrong
