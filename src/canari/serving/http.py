"""The little of HTTP that the endpoints need, on raw ASGI: a request's body, an answer, an error."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, NamedTuple, TypeAlias

import msgspec

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers: TypeAlias = Mapping[bytes, bytes]  # names in lower case, as ASGI gives them

# What msgspec raises at a body that is no JSON, or not of the type that was asked for.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Request(NamedTuple):
    """A whole request for the model."""

    method: str
    path: str  # percent-decoded, without the query
    headers: Headers
    body: bytes = b""
    query: bytes = b""


class Answer(NamedTuple):
    """A whole response; `rows` is the number of predictions in it."""

    body: bytes
    status: int = 200
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    rows: int = 0


Handler: TypeAlias = Callable[[Request], Answer]


class Route(NamedTuple):
    """A path's handlers by method; `template` is what metrics call it, `predicts` whether its requests go through the queue."""

    template: str
    methods: Mapping[str, Handler]
    predicts: bool = False


# Of a path that there is not.
UNKNOWN = Route("unknown", {})


class HttpError(Exception):
    """An answer that is an error: a status and a sentence for the caller."""

    def __init__(self, status: int, message: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers

    def answer(self) -> Answer:
        """The error as the Open Inference Protocol writes it: `{"error": "..."}`."""
        return Answer(msgspec.json.encode({"error": str(self)}), self.status, headers=self.headers)


def check_content(headers: Headers, *accepted: bytes) -> None:
    """Raise `HttpError` 415 where the body says that it is something else than the accepted types; silence is accepted."""
    content_type = headers.get(b"content-type")
    if content_type is not None and content_type.partition(b";")[0].strip().lower() not in accepted:
        raise HttpError(415, f"expected Content-Type {accepted[0].decode()}, came {content_type[:60].decode('latin-1')!r}")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise HttpError(415, "a compressed body is not taken: expected no Content-Encoding")


def decode_json(body: bytes) -> Any:
    """JSON as plain values; raises `HttpError` 400 that says at which byte it breaks."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise HttpError(400, f"the body is not JSON: {error}") from None
    except UnicodeDecodeError as error:
        raise HttpError(400, f"the body is not JSON: a text in it is not UTF-8 ({error.reason})") from None
    except RecursionError:
        raise HttpError(400, "the body is not JSON that can be read: it is nested too deeply") from None


def too_large(most: int) -> HttpError:
    """413 for a body of more than `most` bytes."""
    limit = f"{most // 2**20} MiB" if most % 2**20 == 0 else f"{most} bytes"
    return HttpError(413, f"the body is larger than {limit}: send fewer rows at a time")
