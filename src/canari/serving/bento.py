"""Builds the bento of a model: the project's service, canari's serving part and the model, under a name of its own."""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pathspec
import yaml

from canari import store
from canari.errors import CanariError, UsageError
from canari.project import project_directory
from canari.signature import parse_tag

_BENTOFILE = "bentofile.yaml"
_DIGEST_LENGTH = 12
_LONGEST_VERSION = 63


def build(tag: str, project: Path | None = None) -> str:
    """Build the bento of the model NAME:VERSION, or find the one that was built of the same files before.

    `project` is the folder with `bentofile.yaml` and the service, by default `project_directory()`. The bento's tag is
    NAME:VERSION-DIGEST, where the digest is of the model and of every file that goes into the bento. It appears in BentoML's
    store whole or not at all. Raises `UsageError` for an unknown model, `CanariError` where BentoML cannot build it.
    """
    model_directory = store.directory(tag)
    project = (project or project_directory()).resolve()
    name, version = parse_tag(tag)
    digest = _digest(project, model_directory)
    bento_version = f"{version[: _LONGEST_VERSION - _DIGEST_LENGTH - 1].rstrip('-._')}-{digest}"
    bento = f"{name}:{bento_version}"
    if not folder(bento).is_dir():
        _build(tag, name, bento_version, project, _home(), folder(bento))
    return bento


def folder(bento: str) -> Path:
    """Where BentoML's store keeps, or would keep, the bento NAME:VERSION."""
    return _home().joinpath("bentos", *bento.split(":"))


def _home() -> Path:
    return Path(os.environ.get("BENTOML_HOME") or Path.home() / "bentoml").expanduser()


def _build(tag: str, name: str, version: str, project: Path, home: Path, target: Path) -> None:
    """Build in a store that only lends the models, then move the whole bento to where it belongs."""
    with tempfile.TemporaryDirectory(prefix=".canari-build-", dir=home) as scratch:
        (Path(scratch) / "models").symlink_to(home / "models")
        command = [sys.executable, "-m", "bentoml", "build", "--name", name, "--version", version]
        built = subprocess.run(
            [*command, "--arg", f"model={tag}", "--output", "tag"],
            cwd=project,
            env={**os.environ, "BENTOML_HOME": scratch, "BENTOML_DO_NOT_TRACK": "true"},
            capture_output=True,
            text=True,
            check=False,
        )
        if built.returncode != 0:
            raise CanariError(f"bentoml build of {tag} in {project} failed: {_reason(built.stderr or built.stdout)}")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            (Path(scratch) / "bentos" / name / version).rename(target)
        except OSError:
            if not target.is_dir():  # else another process built the same at the same time
                raise
        latest = Path(scratch) / "latest"
        latest.write_text(version)
        latest.rename(target.parent / "latest")


def _reason(output: str) -> str:
    """What went wrong, on one line: the command line's own error, or else the last line of a traceback."""
    lines = output.strip().splitlines() or ["it said nothing"]
    error = next((number for number, line in enumerate(lines) if line.startswith("Error")), len(lines) - 1)
    return " ".join(" ".join(lines[error:]).split())


def _digest(project: Path, model_directory: Path) -> str:
    """Of all that makes a bento what it is: its recipe, its files, its model."""
    digest = hashlib.sha256()
    for root, files in ((project, _included(project)), (model_directory, sorted(model_directory.iterdir()))):
        for file in files:
            digest.update(f"{file.relative_to(root)}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:_DIGEST_LENGTH]


def _included(project: Path) -> Iterator[Path]:
    """The files that `bentofile.yaml` names, itself and the requirements among them, as BentoML selects them."""
    bentofile = project / _BENTOFILE
    try:
        recipe: dict[str, Any] = yaml.safe_load(bentofile.read_text()) or {}
    except FileNotFoundError:
        raise UsageError(f"no {_BENTOFILE} in {project}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{bentofile}: {' '.join(str(error).split())}") from None
    requirements = (recipe.get("python") or {}).get("requirements_txt")
    include = [*(recipe.get("include") or ["*"]), f"/{_BENTOFILE}", *([f"/{requirements}"] if requirements else [])]
    chosen = pathspec.PathSpec.from_lines("gitignore", include)
    left_out = pathspec.PathSpec.from_lines("gitignore", recipe.get("exclude") or [])
    for folder, folders, files in os.walk(project):
        folders[:] = sorted(name for name in folders if name not in (".git", ".venv", "venv", "__pycache__"))
        for name in sorted(files):
            path = Path(folder, name)
            relative = path.relative_to(project).as_posix()
            if chosen.match_file(relative) and not left_out.match_file(relative):
                yield path
