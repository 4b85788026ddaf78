"""A server with canari's `/signature` and `/predict` that answers so many requests a second and no more: `python -m
tests.loadtest.limited RATE`.

It listens on a free port and prints it. What comes faster waits in line.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.gate.faulty import SIGNATURE, answer


class Turnstile:
    """Lets one request through every 1 / rate seconds."""

    def __init__(self, rate: float) -> None:
        self.seconds = 1 / rate
        self.free = 0.0

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self.request(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        if head.startswith("get /signature"):
            return answer(writer, 200, SIGNATURE)
        length = next(int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("content-length:"))
        rows = json.loads(await reader.readexactly(length))
        self.free = max(self.free, time.monotonic()) + self.seconds
        await asyncio.sleep(self.free - time.monotonic())
        return answer(writer, 200, {"predictions": [{"risk": 0.5} for _ in rows]})


async def serve(rate: float) -> None:
    listening = await asyncio.start_server(Turnstile(rate).connection, "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{listening.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await listening.serve_forever()


@contextmanager
def limited(rate: float) -> Iterator[str]:
    """Start one in a process of its own; its URL."""
    command = [sys.executable, "-m", "tests.loadtest.limited", str(rate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
