"""Real R fits the models of the scripts in r/models, and the project's R package saves them."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

SCRIPTS = Path(__file__).parent / "r" / "models"
PACKAGE = Path(__file__).parents[2] / "r"
_SECONDS = 200


class FittingError(Exception):
    """R has failed; `lacks_package` where a package of R is not installed."""

    def __init__(self, output: str) -> None:
        super().__init__(output[-2000:])
        self.lacks_package = "there is no package called" in output


def install_package(library: Path) -> None:
    """Install the project's R package into a folder of its own."""
    library.mkdir(exist_ok=True)
    _run(["R", "CMD", "INSTALL", "--no-docs", "--no-test-load", f"--library={library}", str(PACKAGE)], os.environ)


def fit_models(script: str, folder: Path, library: Path) -> None:
    """Run one of the scripts; for each model there is then NAME.rds and NAME.tsv in `folder`."""
    folder.mkdir(exist_ok=True)
    # Levels that R sorts are to be in the same order everywhere.
    environment = os.environ | {"LC_COLLATE": "C", "TZ": "UTC", "R_LIBS": str(library)}
    _run(["Rscript", f"{script}.R", str(folder)], environment)


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, env=environment, cwd=SCRIPTS, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise FittingError(f"{command[1]} took more than {_SECONDS} s") from None
    if done.returncode:
        raise FittingError(done.stderr)
