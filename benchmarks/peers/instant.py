"""A server that costs next to nothing: the same prediction for every request, whole or not understood, as fast as uvloop writes.

python instant.py PORT
"""

import asyncio
import sys
from typing import Any

import uvloop

_BODY = b'{"model":"toy","version":"1","predictions":[{"prediction":1.0}]}'
_ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-canari-version: toy:1\r\nx-canari-arm: stable\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)


class Instant(asyncio.Protocol):
    """Answers once for each head and body that has come whole."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._came = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer what is whole."""
        self._came += data
        while True:
            head, found, rest = self._came.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if not found or len(rest) < length:
                return
            self._came = rest[length:]
            self._transport.write(_ANSWER)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Instant, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
