"""Where the project lies: its service, its load tests, its manifests."""

from pathlib import Path

from canari.errors import UsageError

_MARK = "bentofile.yaml"


def project_directory() -> Path:
    """The nearest folder at or above the current one with a `bentofile.yaml`, else the checkout that canari runs from.

    Raises `UsageError` where there is neither.
    """
    here = Path.cwd()
    checkout = Path(__file__).parents[2]
    for folder in (here, *here.parents, checkout):
        if (folder / _MARK).is_file():
            return folder
    raise UsageError(f"no {_MARK} in {here} or above it: run canari in a project's folder")
