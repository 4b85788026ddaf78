"""One HTTP call with a limit on its whole time and size, whatever the server sends; for the gate's questions beside the load."""

from socket import gaierror
from typing import Any

import gevent
import msgspec
from geventhttpclient import HTTPClient
from geventhttpclient.response import HTTPParseError
from geventhttpclient.url import URL

from canari.errors import CanariError

LARGEST_ANSWER = 64 * 2**20
_BLOCK = 2**16


class NoAnswerError(CanariError):
    """No whole answer came."""


class NobodyThereError(NoAnswerError):
    """Nobody listens there, or there is no such host."""


class Answer(msgspec.Struct, frozen=True):
    """A whole answer."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes


def call(
    url: str,
    *,
    body: bytes | None = None,
    timeout: float,
    headers: dict[str, str] | None = None,
    largest: int = LARGEST_ANSWER,
) -> Answer:
    """GET `url`, or POST `body` to it, as JSON where `headers` say nothing else.

    Raises `NoAnswerError` with the reason, within `timeout` seconds, also where the answer has more than `largest` bytes.
    """
    try:
        with gevent.Timeout(timeout):
            return _call(URL(url), body, timeout, headers or {}, largest)
    except gevent.Timeout:
        raise NoAnswerError(f"{url}: no whole answer within {timeout:g} s") from None
    except (ConnectionRefusedError, gaierror) as error:
        raise NobodyThereError(f"{url}: {describe(error)}") from None
    except (OSError, HTTPParseError, ValueError, RuntimeError) as error:
        raise NoAnswerError(f"{url}: {describe(error)}") from None


def _call(url: URL, body: bytes | None, timeout: float, headers: dict[str, str], largest: int) -> Answer:
    client = HTTPClient.from_url(url, connection_timeout=timeout, network_timeout=timeout, block_size=_BLOCK)
    try:
        if body is None:
            response = client.request("GET", url.quoted_uri, headers=headers)
        else:
            response = client.request("POST", url.quoted_uri, body, {"Content-Type": "application/json", **headers})
        content = bytearray()
        while chunk := response.read(_BLOCK):
            content += chunk
            if len(content) > largest:
                raise NoAnswerError(f"{url}: the answer is larger than {largest // 2**20} MiB")
        return Answer(response.status_code, {name.lower(): value for name, value in response.items()}, bytes(content))
    finally:
        client.close()


def describe(error: BaseException) -> str:
    """A transport's error in a few words."""
    original: Any = getattr(error, "original", None)
    if isinstance(original, BaseException):
        return describe(original)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    words = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
