"""A proxy that puts a fault into a real server: `python -m proofs.gate.proxy UPSTREAM_PORT FAULT [OUTSIDE OUTSIDE_AT]`.

It listens on a free port of loopback and prints it. Answers are the server's own, byte by byte, but later, or instead of some a
503. Without a fault it does nothing, so that both arms of a gate can go through one.

A fault is as large as its caller sees it, of whose time for a request the server's is a part only: `OUTSIDE` is by how many
seconds the median of the caller's times is above that inside the proxy, `OUTSIDE_AT` the same at the quantile of the fault.
`GET /proxy-times` tells the seconds inside, of the last requests.
"""

import asyncio
import json
import math
import random
import re
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from canari.rehearsal.processes import Process
from proofs.results import ProofError

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n" + b'{"error":"no"}'
_TIMES = "/proxy-times"
_ASKS_TIMES = f"GET {_TIMES} ".encode()
_REMEMBERED = 1000  # of the server's times
_START_SECONDS = 20.0
_TIMER = 0.002  # seconds that an event loop's timers may be late


class Fault:
    """Nothing, and what the faults have in common: how an answer is kept back."""

    at = 0.5  # the quantile of the caller's times that it is about
    outside = outside_at = 0.0  # seconds that pass outside the proxy, at the median and at that quantile

    def refuses(self) -> bool:
        """Whether the next request is answered with 503."""
        return False

    def extra(self, seconds: float, _times: Sequence[float]) -> float:
        """For how many seconds more an answer is kept that took the server so many, as the last ones took `times`."""
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
    """The whole proxy does nothing for some seconds, once each period."""

    def __init__(self, frozen: float, period: float) -> None:
        self._frozen, self._period = frozen, period

    async def freeze(self) -> None:
        """For ever, from a random moment on."""
        await asyncio.sleep(random.uniform(0, self._period))
        while True:
            began = time.monotonic()
            time.sleep(self._frozen)  # so that everything waits
            await asyncio.sleep(began + self._period - time.monotonic())


class SlowAtRandom(Fault):
    """Some answers take a multiple of their time."""

    def __init__(self, share: float, factor: float) -> None:
        self._share, self._factor = share, factor

    def extra(self, seconds: float, _times: Sequence[float]) -> float:
        """By chance."""
        return (self._factor - 1) * (seconds + self.outside) if random.random() < self._share else 0.0


class SlowQuantile(Fault):
    """A share of the answers, more than lie above a quantile of all, take a multiple of it: so the quantile becomes that."""

    def __init__(self, share: float, q: float, factor: float) -> None:
        self._share, self.at, self._factor = share, q, factor

    def extra(self, seconds: float, times: Sequence[float]) -> float:
        """By chance."""
        if random.random() >= self._share:
            return 0.0
        usual = sorted(times)[math.ceil(self.at * len(times)) - 1] + self.outside_at
        return max(self._factor * usual - self.outside - seconds, 0.0)


FAULTS = {
    "none": Fault(),
    "20 % slower at p95": SlowQuantile(0.15, 0.95, 1.2),
    "50 % slower at p99 only": SlowQuantile(0.02, 0.99, 1.5),
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
        self._times: deque[float] = deque(maxlen=_REMEMBERED)

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
                if request.startswith(_ASKS_TIMES):
                    body = json.dumps([*self._times]).encode()
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
                    continue
                if request.startswith(b"POST") and self._fault.refuses():
                    writer.write(_REFUSAL)
                    continue
                began = time.perf_counter()
                theirs.write(request)
                answer = await _message(their_reader)
                if request.startswith(b"POST"):
                    now = time.perf_counter()
                    self._times.append(now - began)
                    await _until(now + self._fault.extra(now - began, self._times))
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
def proxy(port: int, fault: str, log: Path, outside: Sequence[float] = ()) -> Iterator[str]:
    """One before the server at this port, in a process of its own; its URL."""
    command = [sys.executable, "-m", "proofs.gate.proxy", str(port), fault, *map(str, outside)]
    with Process("the proxy", command, log) as process:
        deadline = time.monotonic() + _START_SECONDS
        while not (said := log.read_text().strip()).isdigit():
            if process.exit_code is not None or time.monotonic() > deadline:
                raise ProofError(f"the proxy does not start: {said[-300:]}")
            time.sleep(0.01)
        yield f"http://127.0.0.1:{said}"


def times(url: str) -> list[float]:
    """How many seconds each of the last requests spent in the proxy at `url` and behind it."""
    return [float(seconds) for seconds in httpx.get(f"{url}{_TIMES}", timeout=_START_SECONDS).json()]


def main(port: str, fault: str, outside: str = "0", outside_at: str = "0") -> None:
    """Serve until ended."""
    chosen = FAULTS[fault]
    chosen.outside, chosen.outside_at = float(outside), float(outside_at)
    asyncio.run(Proxy(int(port), chosen).serve())


if __name__ == "__main__":
    main(*sys.argv[1:])
