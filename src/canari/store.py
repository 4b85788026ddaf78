"""The models on this machine, kept in BentoML's model store as NAME:VERSION."""

import os
from pathlib import Path
from typing import Any

from canari.errors import CanariError, UsageError
from canari.model import Model, load_model, load_signature
from canari.signature import Signature, parse_tag

MODULE = "canari"  # BentoML records which framework wrote a model


def _bentoml() -> Any:
    # Only "true" is understood by BentoML 1.4; the import takes a second, so it is made where it is needed.
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")
    import bentoml

    return bentoml


def put(model: Model) -> bool:
    """Store `model` under its tag, whole or not at all.

    Returns False where the same file was stored under this tag before; raises `CanariError` where another one was.
    """
    bentoml = _bentoml()
    signature = model.signature
    existing = _find(signature.tag)
    if existing is not None:
        if load_signature(existing).source.sha256 == signature.source.sha256:
            return False
        raise CanariError(
            f"{signature.tag} exists, made from another file; a version never changes: import this one under a new --version"
        )
    with bentoml.models.create(
        signature.tag,
        module=MODULE,
        signatures={},
        labels={"proved": str(signature.proved).lower()},
        metadata={"class": signature.source.model_class, "sha256": signature.source.sha256},
        context=bentoml.models.ModelContext(framework_name="canari", framework_versions={}),
    ) as entry:
        model.save(Path(entry.path))
    return True


def directory(tag: str) -> Path:
    """The folder of the model NAME:VERSION; raises `UsageError` where there is none."""
    name, _ = parse_tag(tag)
    found = _find(tag)
    if found is None:
        known = [s.tag for s in signatures() if s.name == name] or [s.tag for s in signatures()]
        there = ", ".join(known[:8]) if known else "none; `canari import FILE` brings one in"
        raise UsageError(f"no model {tag} in the store; there is: {there}")
    return found


def get(tag: str) -> Model:
    """The model NAME:VERSION; raises `UsageError` where there is none."""
    return load_model(directory(tag))


def signatures() -> list[Signature]:
    """The signatures of all canari models in the store, by name, then by version."""
    found = [load_signature(Path(m.path)) for m in _bentoml().models.list() if m.info.module == MODULE]
    return sorted(found, key=lambda s: (s.name, s.version))


def _find(tag: str) -> Path | None:
    # Where BentoML's store keeps it; asking BentoML would cost a server half of its time to start, and 30 MB.
    home = Path(os.environ.get("BENTOML_HOME") or Path.home() / "bentoml").expanduser()
    found = home.joinpath("models", *parse_tag(tag))
    return found if (found / "signature.json").is_file() else None
