"""A small server with canari's `/signature` and `/predict`, and one fault: `python -m tests.gate.faulty FAULT [AMOUNT]`.

It listens on a free port and prints it. Raw asyncio, so that it can do what no framework lets a server do.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

SIGNATURE = {
    "name": "toy",
    "version": "1",
    "inputs": [
        {"name": "age", "kind": "number", "range": [20, 80]},
        {"name": "visits", "kind": "integer", "range": [0, 12]},
        {"name": "smoker", "kind": "boolean"},
        {"name": "exercise", "kind": "category", "levels": ["none", "some"], "shares": [0.3, 0.7]},
    ],
    "outputs": [{"name": "risk", "kind": "probability"}],
    "source": {"language": "R", "version": "4.2.2", "model_class": "glm", "sha256": "0"},
}
CSV = "age,visits,smoker,exercise\n" + "".join(f"{20 + i / 2},{i % 13},{'TRUE' if i % 3 else 'FALSE'},some\n" for i in range(120))


class Server:
    """Answers `risk`, a hundredth of the age (plus AMOUNT for the fault `shifted`)."""

    def __init__(self, fault: str, amount: float) -> None:
        self.fault = fault
        self.amount = amount
        self.started: float | None = None
        self.requests = 0

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self.request(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = next((int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("content-length:")), 0)
        body = await reader.readexactly(length)
        if self.fault == "hangs":
            await asyncio.sleep(3600)
        if head.startswith("get /signature"):
            answer(writer, 200, SIGNATURE)
            return True
        rows = json.loads(body)
        if self.fault == "unmarked" and "x-canari-synthetic" in head:
            answer(writer, 400, {"error": "a caller's request is marked synthetic"})
            return True
        if self.fault == "marked" and "x-canari-synthetic: 1" not in head:
            answer(writer, 400, {"error": "a gate's request is not marked synthetic"})
            return True
        self.started = self.started or time.monotonic()
        self.requests += 1
        if self.fault == "late":
            await asyncio.sleep(self.amount)
        if self.fault == "freezes":  # for a fifth of each AMOUNT seconds
            phase = (time.monotonic() - self.started) % self.amount
            if phase > 0.8 * self.amount:
                time.sleep(self.amount - phase)
        if self.fault == "errors" and random.random() < self.amount:
            answer(writer, 503, {"error": "no"})
            return True
        if self.fault == "dies" and time.monotonic() - self.started > self.amount:
            os._exit(1)
        if self.fault == "refuses":
            answer(writer, 400, {"error": "row 0, column 'age': expected no age"})
            return True
        if self.fault == "cuts":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n[")
            return False
        if self.fault == "drips":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
        if self.fault == "babbles":
            answer(writer, 200, {"status": "ok"})
            return True
        shift = self.amount if self.fault == "shifted" else 0.0
        answer(writer, 200, {"model": "toy", "version": "1", "predictions": [{"risk": r["age"] / 100 + shift} for r in rows]})
        return True


def answer(writer: asyncio.StreamWriter, status: int, content: object) -> None:
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\ncontent-type: application/json\r\n"
    writer.write(f"{head}x-canari-version: toy:1\r\nx-canari-arm: stable\r\n\r\n".encode() + body)


async def serve(fault: str, amount: float, port: int) -> None:
    listening = await asyncio.start_server(Server(fault, amount).connection, "127.0.0.1", port, backlog=1024)
    sys.stdout.write(f"{listening.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await listening.serve_forever()


@contextmanager
def server(fault: str = "none", amount: float = 0.0, port: int = 0) -> Iterator[str]:
    """Start one in a process of its own; its URL."""
    command = [sys.executable, "-m", "tests.gate.faulty", fault, str(amount), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
