"""From a file to a proved model in the store: read, translate, prove, compare with what is there, put."""

import bz2
import hashlib
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from canari import store
from canari.errors import CanariError, IntakeError, UsageError
from canari.intake.proof import prove
from canari.intake.r import read_r
from canari.intake.translation import Fitted
from canari.model import Model
from canari.runtime.onnx import OnnxRuntime
from canari.signature import Signature, check_tag_part

_VERSION_DIGITS = 12
_LONGEST_NAME = 63
_XZ_MEMORY = 80 << 20  # its strongest setting needs 65 MiB


class _Decompressor(Protocol):
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import has done."""

    model: Model
    created: bool  # False where the same file was stored under this tag before
    warnings: tuple[str, ...]
    before: Signature | None  # the version of this name that was stored last
    breaking: tuple[str, ...]  # what its callers would notice


def import_file(
    path: Path,
    *,
    name: str | None = None,
    version: str | None = None,
    object_name: str | None = None,
    unproved: bool = False,
    trust: bool = False,
) -> Imported:
    """Store the model in `path` as name:version, whole and proved or not at all.

    The name is by default the one that the file gives itself, else made from the file's name; the version the first 12
    hexadecimal digits of the file's SHA-256. `object_name` chooses among the objects of an `.RData`. `unproved` accepts a model
    without check rows; `trust` allows to read a file whose reading runs code. Raises `UsageError` for a name, version or file
    that cannot be meant, `IntakeError` for a model that cannot be read, translated or proved, `CanariError` where the tag holds
    another file.
    """
    for what, text in (("name", name), ("version", version)):
        if text is not None:
            check_tag_part(what, text)
    data = _content(path)
    sha256 = hashlib.sha256(data).hexdigest()
    version = version or sha256[:_VERSION_DIGITS]
    stored = {signature.tag: signature for signature in store.signatures()}
    if name is not None:
        _refuse_other_file(stored, f"{name}:{version}", sha256)
    fitted = _read(path, data, sha256, object_name, trust=trust)
    name = name or fitted.name or _name_from(path)
    check_tag_part("name", name)
    signature = Signature(
        name=name,
        version=version,
        inputs=fitted.translation.inputs,
        outputs=fitted.translation.outputs,
        source=fitted.source,
    )
    _refuse_other_file(stored, signature.tag, sha256)
    warnings = list(fitted.translation.warnings)
    if fitted.checks is not None:
        signature = msgspec.structs.replace(signature, proof=prove(signature, fitted.translation, fitted.checks))
    elif unproved:
        OnnxRuntime(signature, fitted.translation.onnx)  # at least it loads
        warnings.append(f"{signature.tag} is UNPROVED: nothing shows that it predicts what {fitted.source.language} predicts")
    else:
        raise UsageError(
            f"{path.name} holds a model without check rows, so nothing shows that its translation predicts the same: "
            f"{_ADVICE[fitted.source.language]}, or import it with --unproved"
        )
    model = Model(signature=signature, onnx=fitted.translation.onnx, checks=fitted.checks)
    before = _latest(other for other in stored.values() if other.name == name and other.version != version)
    return Imported(
        model=model,
        created=store.put(model),
        warnings=tuple(warnings),
        before=before,
        breaking=tuple(signature.breaks(before)) if before else (),
    )


_ADVICE = {
    "R": "save it in R with canari::save_model(model, rows, path = ...)",
    "scikit-learn": "save it in Python with canari.intake.sklearn.save_model(model, rows, path)",
}


def _content(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a directory; expected a model file") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    if not data:
        raise IntakeError(f"{path} is empty")
    return data


def _refuse_other_file(stored: Mapping[str, Signature], tag: str, sha256: str) -> None:
    """Say so before the long work rather than after it; the store itself refuses too."""
    if tag in stored and stored[tag].source.sha256 != sha256:
        raise CanariError(f"{tag} exists, made from another file; a version never changes: import this one under a new --version")


def _latest(signatures: Iterable[Signature]) -> Signature | None:
    """The one that was stored last."""
    return max(signatures, key=lambda s: (store.directory(s.tag) / "signature.json").stat().st_mtime, default=None)


def _name_from(path: Path) -> str:
    """The file's stem, made to fit; as the R package does it."""
    return re.sub(r"[^-._a-z0-9]+", "-", path.stem.lower())[:_LONGEST_NAME].strip("-._") or "model"


def _read(path: Path, data: bytes, sha256: str, object_name: str | None, *, trust: bool) -> Fitted:
    """Read the file by what it holds, whatever its name."""
    match _kind(data):
        case "R":
            try:
                return read_r(data, sha256, object_name)
            except IntakeError as error:
                raise IntakeError(f"{path.name}: {error}") from error
        case "scikit-learn":
            if object_name is not None:
                raise UsageError(f"{path.name} holds one scikit-learn model; --object is for the objects of an .RData of R")
            from canari.intake.sklearn import read_sklearn  # noqa: PLC0415  it takes a second, and R models do without

            return read_sklearn(path, data, sha256, trust=trust)
    raise IntakeError(
        f"{path.name} is no model file: expected an .rds or .RData of R, or a scikit-learn model as .skops or .joblib"
    )


def _kind(data: bytes) -> str | None:
    content = _beginning(data)
    if content.startswith((b"X\n", b"A\n", b"B\n", b"RDX", b"RDA", b"RDB")):
        return "R"
    if data.startswith(b"PK\x03\x04") or content.startswith(b"\x80"):
        return "scikit-learn"
    return None


def _beginning(data: bytes) -> bytes:
    """The first bytes under the compression, if there is one."""
    openers: list[tuple[bytes, Callable[[], _Decompressor]]] = [
        (b"\x1f\x8b", lambda: zlib.decompressobj(wbits=31)),
        (b"\x78", zlib.decompressobj),
        (b"BZh", bz2.BZ2Decompressor),
        (b"\xfd7zXZ\x00", lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY)),
    ]
    for magic, opener in openers:
        if data.startswith(magic):
            try:
                return opener().decompress(data, 16)
            except (OSError, EOFError, MemoryError, zlib.error, lzma.LZMAError):
                return b""
    return data[:16]
