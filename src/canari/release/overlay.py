"""An overlay's kustomization: which image is released and which was stable before, named by digest in `images`."""

import io
import re
from pathlib import Path
from typing import Any

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from ruamel.yaml.util import load_yaml_guess_indent

from canari.errors import CanariError, UsageError

FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
MODEL, STABLE = "model", "model-stable"

_REFERENCE = re.compile(r"(?P<name>[^\s@:/]+(?::\d+)?(?:/[^\s@:]+)+|[^\s@:/]+)(?::[^\s@/]+)?@(?P<digest>sha256:[0-9a-f]{64})")
_WIDEST = 2**16  # lines are never folded


class Image(msgspec.Struct, frozen=True):
    """An image by its digest."""

    name: str  # REGISTRY/REPOSITORY
    digest: str  # sha256:...

    def __str__(self) -> str:
        return f"{self.name}@{self.digest}"


def parse_image(text: str) -> Image:
    """Read `REGISTRY/NAME@sha256:...`; raises `UsageError` where it is not that. A tag beside the digest is left out."""
    found = _REFERENCE.fullmatch(text)
    if not found:
        raise UsageError(
            f"image {text!r}: expected REGISTRY/NAME@sha256:<64 hexadecimal digits>; a tag can move, so a release names the "
            "digest that the push printed"
        )
    return Image(found["name"], found["digest"])


class Overlay:
    """The kustomization file of an overlay; editing keeps its comments and its order."""

    def __init__(self, folder: Path) -> None:
        """Read it; raises `CanariError` where there is none, where it is no YAML, or names not both images by digest."""
        found = [folder / name for name in FILES if (folder / name).is_file()]
        if not found:
            raise UsageError(f"{folder}: expected a folder with a kustomization.yaml")
        self.folder = folder
        self.file = found[0]
        try:
            self.original = self._content = self.file.read_bytes()
            self._entries(_load(self.original.decode())[1])
        except (OSError, UnicodeDecodeError, YAMLError) as error:
            raise CanariError(f"{self.file} cannot be read: {' '.join(str(error).split())}") from None

    @property
    def model(self) -> Image:
        """What the pods run."""
        return self._image(MODEL)

    @property
    def stable(self) -> Image:
        """What callers were on before it."""
        return self._image(STABLE)

    def edited(self, model: Image, stable: Image) -> bytes:
        """The file with these two images, all else as it was."""
        yaml, document = _load(self._content.decode())
        entries = self._entries(document)
        for name, image in ((MODEL, model), (STABLE, stable)):
            entries[name]["newName"] = image.name
            _set_digest(entries[name], image.digest)
        out = io.StringIO()
        yaml.dump(document, out)
        return out.getvalue().encode()

    def write(self, content: bytes) -> None:
        """Replace the file, whole or not at all; its permissions stay."""
        draft = self.file.with_name(f".{self.file.name}.part")
        try:
            draft.write_bytes(content)
            draft.chmod(self.file.stat().st_mode)
            draft.replace(self.file)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise CanariError(f"{self.file} cannot be written: {error.strerror}") from None
        self._content = content

    def name_images(self, model: Image, stable: Image) -> None:
        """Write the two images into the file, where it does not name them already."""
        if (self.model, self.stable) != (model, stable):
            self.write(self.edited(model, stable))

    def put_back(self) -> None:
        """Write the file as it was first read, byte for byte."""
        self.write(self.original)

    def _image(self, name: str) -> Image:
        entry = self._entries(_load(self._content.decode())[1])[name]
        return parse_image(f"{entry.get('newName', entry['name'])}@{entry.get('digest', '')}")

    def _entries(self, document: Any) -> dict[str, Any]:
        listed = document.get("images") if isinstance(document, dict) else None
        entries: dict[str, Any] = {str(entry.get("name")): entry for entry in listed or () if isinstance(entry, dict)}
        if missing := [name for name in (MODEL, STABLE) if name not in entries]:
            raise CanariError(
                f"{self.file}: expected the entries `{MODEL}` (what the pods run) and `{STABLE}` (what callers were on before "
                f"it), each with newName and digest, under `images`; there is no {' and no '.join(missing)}"
            )
        return entries


def _set_digest(entry: CommentedMap, digest: str) -> None:
    """Set the digest, in the place of a tag where there is one: the comment that follows the tag follows the digest then."""
    if "newTag" in entry:
        place, comment = list(entry).index("newTag"), entry.ca.items.pop("newTag", None)
        del entry["newTag"]
        if "digest" not in entry:
            entry.insert(place, "digest", digest)
        if comment is not None:
            entry.ca.items.setdefault("digest", comment)
    entry["digest"] = digest


def _load(text: str) -> tuple[YAML, Any]:
    """A document and the YAML that writes it back as it stands."""
    document, indent, offset = load_yaml_guess_indent(text)
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = _WIDEST
    if indent is not None:
        yaml.indent(mapping=2, sequence=indent, offset=offset or 0)
    return yaml, document
