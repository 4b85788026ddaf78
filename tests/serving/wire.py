"""Raw bytes to a server and back: what a client library would not send, and would not show."""

import json
import re
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

BODY = b'[{"age":30,"visits":2,"smoker":true,"exercise":"some"}]'
PREDICTED = b"0.334589441253186"

_STATUS = re.compile(rb"HTTP/1\.1 (\d\d\d) [A-Za-z ]+\r\n")


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> str:
        return str(json.loads(self.body)["error"])


class Wire:
    """A connection. `head` is whether the next response has no body, whatever it says of its length."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._read = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def response(self, *, head: bool = False) -> Response | None:
        """The next one; None where the server has closed the connection instead."""
        while b"\r\n\r\n" not in self._read:
            if not self._more():
                assert not self._read, self._read
                return None
        start, _, self._read = self._read.partition(b"\r\n\r\n")
        line, *lines = start.split(b"\r\n")
        status = _STATUS.fullmatch(line + b"\r\n")
        assert status, line
        headers = {}
        for header in lines:
            name, _, value = header.decode("latin-1").partition(": ")
            assert name not in headers, name
            headers[name] = value
        length = 0 if head or status[1] == b"100" else int(headers["content-length"])
        while len(self._read) < length:
            assert self._more(), self._read
        body, self._read = self._read[:length], self._read[length:]
        return Response(int(status[1]), headers, body)

    def responses(self) -> list[Response]:
        """All, until the server closes the connection."""
        found: list[Response] = []
        while (response := self.response()) is not None:
            found.append(response)
        return found

    def reset(self) -> None:
        """Leave at once, without a word of farewell."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _more(self) -> bool:
        data = self.socket.recv(65536)
        self._read += data
        return bool(data)


@contextmanager
def connected(url: str, timeout: float = 15.0) -> Iterator[Wire]:
    host, _, port = url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=timeout) as connection:
        yield Wire(connection)


def exchange(url: str, data: bytes, *, end: bool = True) -> list[Response]:
    """All the responses to what is sent; with `end`, the caller says that nothing more comes."""
    with connected(url) as wire:
        wire.send(data)
        if end:
            wire.socket.shutdown(socket.SHUT_WR)
        return wire.responses()


def request(target: str = "/predict", body: bytes | None = BODY, method: str = "POST", **headers: Any) -> bytes:
    """A request with Host, and a Content-Length where there is a body; `headers` are more."""
    head = f"{method} {target} HTTP/1.1\r\nHost: canari\r\n"
    head += "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    if body is None:
        return head.encode() + b"\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def get(target: str) -> bytes:
    return request(target, None, "GET")


def chunked(*chunks: bytes, trailers: bytes = b"", **headers: Any) -> bytes:
    """The body in chunks."""
    head = request(body=None, Transfer_Encoding="chunked", **headers)
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailers + b"\r\n"
