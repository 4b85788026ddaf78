"""Models that real R fits, once for all tests."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest

SCRIPTS = Path(__file__).parent / "r" / "models"
PACKAGE = Path(__file__).parents[2] / "r"
_HOUR = 3600

Fit: TypeAlias = Callable[[str], Path]


@pytest.fixture(scope="session")
def fit(tmp_path_factory: pytest.TempPathFactory) -> Fit:
    """Runs one of the scripts, once for all workers, and tells the folder that it has filled."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        pytest.skip("needs R (Rscript is not on the PATH)")
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "fitted"
    shared.mkdir(exist_ok=True)
    library = shared / "library"

    def install() -> str:
        library.mkdir()
        command = ["R", "CMD", "INSTALL", "--no-docs", "--no-test-load", f"--library={library}", str(PACKAGE)]
        return _run(command, os.environ)

    def run(script: str) -> Path:
        folder = shared / script

        def work() -> str:
            folder.mkdir()
            # Levels that R sorts are to be in the same order everywhere.
            return _run([rscript, f"{script}.R", str(folder)], os.environ | {"LC_COLLATE": "C", "R_LIBS": str(library)})

        for name, todo in (("library", install), (script, work)):
            wrong = _once(shared / f"{name}.done", todo)
            if wrong.startswith("needs"):
                pytest.skip(wrong)
            assert not wrong, wrong
        return folder

    return run


def _run(command: list[str], environment: Mapping[str, str]) -> str:
    """Run a command; returns what is wrong, empty for nothing."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=SCRIPTS)
    if done.returncode and "there is no package called" in done.stderr:
        return f"needs a package of R: {done.stderr[-300:]}"
    return done.stderr[-2000:] if done.returncode else ""


def _once(mark: Path, work: Callable[[], str]) -> str:
    """Do the work in one of the processes that ask for it, while the others wait; all are told what it answers."""
    try:
        mark.with_suffix(".started").touch(exist_ok=False)
    except FileExistsError:
        deadline = time.monotonic() + _HOUR
        while not mark.exists():
            assert time.monotonic() < deadline, f"{mark.stem} does not end"
            time.sleep(0.05)
        return mark.read_text()
    answer = work()
    part = mark.with_suffix(".part")
    part.write_text(answer)
    part.rename(mark)
    return answer
