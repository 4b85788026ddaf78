"""A proxy that puts a fault into a real server: `python -m proofs.gate.proxy UPSTREAM_PORT [FAULT]`.

It listens on a free port of loopback and prints it. Answers are the server's own, byte by byte, but later, or instead of some a
503. Without a fault it does nothing, so that both arms of a gate can go through one.
"""

import asyncio
import random
import re
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from canari.rehearsal.processes import Process
from proofs.results import ProofError

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n" + b'{"error":"no"}'
_REMEMBERED = 1000  # of the server's times, to tell which of its answers are slow
_START_SECONDS = 20.0
_TIMER = 0.002  # seconds that an event loop's timers may be late


class Fault:
    """Nothing, and what the faults have in common: how an answer is kept back."""

    def refuses(self) -> bool:
        """Whether the next request is answered with 503."""
        return False

    def extra(self, seconds: float) -> float:
        """For how many seconds more an answer is kept that took the server so many."""
        return 0.0 * seconds

    async def freeze(self) -> None:
        """Run beside the requests."""


class Errors(Fault):
    """Some requests are answered with 503 at once."""

    def __init__(self, share: float) -> None:
        self._share = share

    def refuses(self) -> bool:
        """By chance."""
        return random.random() < self._share


class Freezes(Fault):
    """The whole proxy does nothing for some seconds of each period."""

    def __init__(self, frozen: float, period: float) -> None:
        self._frozen, self._period = frozen, period

    async def freeze(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(random.uniform(0, self._period - self._frozen))
            began = time.monotonic()
            time.sleep(self._frozen)  # so that everything waits
            await asyncio.sleep(began + self._period - time.monotonic())


class SlowAtRandom(Fault):
    """Some answers take a multiple of their time."""

    def __init__(self, share: float, factor: float) -> None:
        self._share, self._factor = share, factor

    def extra(self, seconds: float) -> float:
        """By chance."""
        return (self._factor - 1) * seconds if random.random() < self._share else 0.0


class SlowAbove(Fault):
    """The slowest answers of late take a multiple of their time."""

    def __init__(self, q: float, factor: float) -> None:
        self._q, self._factor = q, factor
        self._times: deque[float] = deque(maxlen=_REMEMBERED)

    def extra(self, seconds: float) -> float:
        """By rank among the last answers."""
        self._times.append(seconds)
        faster = sum(one < seconds for one in self._times)
        return (self._factor - 1) * seconds if faster >= self._q * len(self._times) else 0.0


FAULTS = {
    "none": Fault(),
    "20 % slower at p95": SlowAbove(0.90, 1.2),
    "50 % slower at p99 only": SlowAbove(0.98, 1.5),
    "1 % errors": Errors(0.01),
    "freezes 1 s each 20 s": Freezes(1.0, 20.0),
    "1 request in 200 at 10 times": SlowAtRandom(1 / 200, 10.0),
    "10 times slower": SlowAtRandom(1.0, 10.0),
    "all errors": Errors(1.0),
}


class Proxy:
    """Passes requests on, one connection to the server for each that a caller opens."""

    def __init__(self, port: int, fault: Fault) -> None:
        self._port = port
        self._fault = fault

    async def serve(self) -> None:
        """Until it is ended."""
        listening = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=1024)
        print(listening.sockets[0].getsockname()[1], flush=True)
        await asyncio.gather(listening.serve_forever(), self._fault.freeze())

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs = None
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            their_reader, theirs = await asyncio.open_connection("127.0.0.1", self._port)
            while True:
                request = await _message(reader)
                if request.startswith(b"POST") and self._fault.refuses():
                    writer.write(_REFUSAL)
                    continue
                began = time.perf_counter()
                theirs.write(request)
                answer = await _message(their_reader)
                if request.startswith(b"POST"):
                    now = time.perf_counter()
                    await _until(now + self._fault.extra(now - began))
                writer.write(answer)
        for one in (writer, theirs):
            if one is not None:
                one.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return head + (await reader.readexactly(int(length[1])) if length else b"")


async def _until(moment: float) -> None:
    """To a fraction of a millisecond, which an event loop's timers are not."""
    while (left := moment - time.perf_counter()) > 0:
        await asyncio.sleep(max(left - _TIMER, 0))


@contextmanager
def proxy(port: int, fault: str, log: Path) -> Iterator[str]:
    """One before the server at this port, in a process of its own; its URL."""
    with Process("the proxy", [sys.executable, "-m", "proofs.gate.proxy", str(port), fault], log) as process:
        deadline = time.monotonic() + _START_SECONDS
        while not (said := log.read_text().strip()).isdigit():
            if process.exit_code is not None or time.monotonic() > deadline:
                raise ProofError(f"the proxy does not start: {said[-300:]}")
            time.sleep(0.01)
        yield f"http://127.0.0.1:{said}"


if __name__ == "__main__":
    asyncio.run(Proxy(int(sys.argv[1]), FAULTS[sys.argv[2]]).serve())
