"""The forms that rows and predictions can have over HTTP, and which of them a request and its answer have."""

from functools import cached_property, lru_cache
from typing import NamedTuple, Protocol

from canari.model import Feeds, Predictions
from canari.serving.formats.ndjson import NdJson
from canari.serving.formats.records import MAX_ROWS, Json
from canari.serving.http import HttpError
from canari.signature import Signature


class Format(Protocol):
    """A way to write rows and predictions."""

    content_types: tuple[bytes, ...]

    def feeds(self, body: bytes) -> tuple[Feeds, int]:
        """The arrays that the model takes, and the number of rows; raises `HttpError` 400 or 413."""
        ...

    def encode(self, predictions: Predictions, content_type: bytes) -> bytes:
        """The predictions as a body of one of the content types."""
        ...


class Chosen(NamedTuple):
    """The format that a request's body has, the one that its answer gets, and the answer's content type."""

    reads: Format
    writes: Format
    content_type: bytes


JSON = Json.content_types[0]
ARROW = (b"application/vnd.apache.arrow.stream", b"application/vnd.apache.arrow.file")
PARQUET = (b"application/vnd.apache.parquet",)

CONTENT_TYPES = (*Json.content_types, *NdJson.content_types, *ARROW, *PARQUET)

_EXPECTED = f"expected {', '.join(content_type.decode() for content_type in CONTENT_TYPES[:-1])} or {CONTENT_TYPES[-1].decode()}"


class Formats:
    """The formats of one model. Those that need pyarrow are made when they are first asked for: most pods never are."""

    def __init__(self, signature: Signature, max_rows: int = MAX_ROWS, bento: str | None = None) -> None:
        self._about = (signature, max_rows, bento)
        self.json = Json(*self._about)
        self.negotiate = lru_cache(maxsize=64)(self._negotiate)

    def _negotiate(self, content_type: bytes | None, accept: bytes | None, content_encoding: bytes | None = None) -> Chosen:
        """The formats that a request's headers ask for.

        Without Content-Type the body is JSON; without Accept, or with `*/*`, the answer has the body's form. Raises `HttpError`
        415 for a body, 406 for an answer of another form.
        """
        if content_encoding is not None and content_encoding.strip().lower() not in (b"", b"identity"):
            raise HttpError(415, "a compressed body is not taken: send it as it is, or as Parquet, which is compressed inside")
        came = JSON if content_type is None else content_type.partition(b";")[0].strip().lower()
        if came not in CONTENT_TYPES:
            raise HttpError(415, f"Content-Type: {_EXPECTED}, came {_shown(content_type)}")
        answer = came if accept is None else _preferred(accept, (came, *(known for known in CONTENT_TYPES if known != came)))
        if answer is None:
            raise HttpError(406, f"Accept: {_EXPECTED}, came {_shown(accept)}")
        return Chosen(self._format(came), self._format(answer), answer)

    def _format(self, content_type: bytes) -> Format:
        if content_type in ARROW:
            return self._arrow
        if content_type in PARQUET:
            return self._parquet
        return self._ndjson if content_type in NdJson.content_types else self.json

    @cached_property
    def _ndjson(self) -> Format:
        return NdJson(*self._about)

    @cached_property
    def _arrow(self) -> Format:
        from canari.serving.formats.arrow import Arrow  # noqa: PLC0415  pyarrow takes 40 MB

        return Arrow(*self._about)

    @cached_property
    def _parquet(self) -> Format:
        from canari.serving.formats.parquet import Parquet  # noqa: PLC0415  as above

        return Parquet(*self._about)


def _preferred(accept: bytes, offered: tuple[bytes, ...]) -> bytes | None:
    """What an Accept header (RFC 9110, 12.5.1) likes best, the first of several; None where it likes none."""
    weights: dict[bytes, float] = {}
    for item in accept.lower().split(b","):
        media_range, *parameters = (part.strip() for part in item.split(b";"))
        weights[media_range] = next((_weight(p[2:]) for p in parameters if p.startswith(b"q=")), 1.0)

    def weight(content_type: bytes) -> float:
        return next((weights[r] for r in (content_type, b"application/*", b"*/*") if r in weights), 0.0)

    best = max(offered, key=weight)
    return best if weight(best) > 0 or not accept.strip() else None


def _weight(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _shown(header: bytes | None) -> str:
    return repr((header or b"")[:60].decode("latin-1"))
