"""kubectl, as the engineer would call it: what an overlay renders to, and what the cluster makes of it."""

import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import yaml

from canari.errors import CanariError, UsageError
from canari.release.cluster import Access
from canari.release.objects import Rollout
from canari.release.overlay import FILES, Image

_KLOG = re.compile(
    r'[IWEF]\d{4} .*?(?:"command failed" err="(?P<error>.*)")?'
)  # kubectl's own log, beside its message or instead
_RENDER_SECONDS = 60
_APPLY_SECONDS = 120


def is_overlay(folder: Path) -> bool:
    """Whether a folder holds a kustomization."""
    return any((folder / name).is_file() for name in FILES)


def render(folder: Path, replaced: tuple[Image, Image] | None = None) -> str:
    """The manifests that a folder renders to; with `replaced` (which image, by which) as if the overlay named another one.

    Nothing is written into the folder. Raises `CanariError` with kustomize's own words.
    """
    if not is_overlay(folder):
        raise UsageError(f"{folder}: expected a folder with a kustomization.yaml")
    if replaced is None:
        return _kustomize(folder, folder)
    old, new = replaced
    with tempfile.TemporaryDirectory() as scratch:
        resource = os.path.relpath(folder.resolve(), Path(scratch).resolve())
        kustomization = {"resources": [resource], "images": [{"name": old.name, "newName": new.name, "digest": new.digest}]}
        (Path(scratch) / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), "utf-8")
        try:
            return _kustomize(Path(scratch), folder)
        except CanariError:
            _kustomize(folder, folder)  # its own failure is told without the scratch folder around it
            raise


def rendered_rollout(folder: Path) -> Rollout:
    """The one Rollout that a folder renders to."""
    return find_rollout(render(folder), folder)


def find_rollout(manifests: str, folder: Path) -> Rollout:
    """The one Rollout among manifests; raises `CanariError` where there is none, or several."""
    try:
        documents: list[Any] = list(yaml.safe_load_all(manifests))
        found = [document for document in documents if isinstance(document, dict) and document.get("kind") == "Rollout"]
        if len(found) != 1:
            raise CanariError(f"{folder}: expected to render to one Rollout, came {len(found)}")
        return msgspec.convert(found[0], Rollout)
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise CanariError(f"{folder}: does not render to a Rollout: {' '.join(str(error).split())}") from None


def apply(manifests: str, access: Access, *, dry_run: bool = False) -> str:
    """Apply manifests as `kubectl apply -f -` does, or only have the API server judge them; raises `CanariError` in its words."""
    arguments = ["apply", *access.options, "--filename=-", *(["--dry-run=server"] if dry_run else [])]
    return _run(arguments, _APPLY_SECONDS, manifests, "the cluster refuses the manifests")


def _kustomize(folder: Path, named: Path) -> str:
    return _run(["kustomize", str(folder)], _RENDER_SECONDS, "", f"{named} does not render")


def _run(arguments: list[str], seconds: float, stdin: str, failure: str) -> str:
    try:
        ran = subprocess.run(["kubectl", *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=seconds)
    except FileNotFoundError:
        raise CanariError("kubectl is not installed, or not in PATH: https://kubernetes.io/docs/tasks/tools/") from None
    except subprocess.TimeoutExpired:
        raise CanariError(f"kubectl {arguments[0]} did not end within {seconds:g} s") from None
    if ran.returncode:
        said = _said(ran.stderr)
        raise CanariError(f"{failure}: {said or f'kubectl ended with {ran.returncode}'}")
    return ran.stdout


def _said(stderr: str) -> str:
    """What kubectl says, without its log; some commands have theirs in the log alone."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    plain = [line.removeprefix("error: ") for line in lines if not _KLOG.fullmatch(line)]
    return "; ".join(plain or [found["error"] for line in lines if (found := _KLOG.fullmatch(line)) and found["error"]])
