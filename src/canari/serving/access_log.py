"""The access log: a line of JSON about a request, of every request or of a share of them.

Containers log on the standard output, a pipe that somebody else reads, or does not. So the event loop only puts what there is to
say into a bounded buffer; a thread of its own writes it. What does not fit is dropped and counted.
"""

import atexit
import os
from datetime import UTC, datetime
from http import HTTPMethod
from queue import SimpleQueue
from random import random
from select import PIPE_BUF
from threading import Thread
from time import sleep, time
from typing import NamedTuple

import msgspec

from canari.signature import Signature

STDOUT = 1

# Lines that wait to be written. At 20,000 a second they are there for 50 ms.
_MOST_WAITING = 4096

# The thread writes what has come in so long at once, so that it seldom interrupts the event loop.
_PAUSE_SECONDS = 0.02

# What no server answers on purpose. Refusals for overload (503, UNAVAILABLE) are sampled like answers: they come in thousands.
_FAILURES: frozenset[int | str] = frozenset({500, "INTERNAL", "UNKNOWN", "DATA_LOSS"})


class Entry(NamedTuple):
    """One answered request. Nothing of it is a caller's value, but the ids that the caller gave."""

    request_id: bytes
    trace_id: str | None
    protocol: str  # "http" or "grpc"
    method: str  # HTTP's, or the gRPC method's name
    route: str  # the path's template
    status: int | str  # HTTP's number or gRPC's name
    duration: float  # seconds from the request's arrival to its answer
    waited: float  # seconds of them in the queue
    rows: int
    request_bytes: int
    response_bytes: int
    synthetic: bool


class AccessLog:
    """Writes to a file descriptor, in a thread of its own until it is closed."""

    def __init__(self, share: float, signature: Signature, bento: str | None, descriptor: int = STDOUT) -> None:
        """Log `share` of the requests, and all that the server failed to answer."""
        self._overflown = 0  # lines that did not fit into the buffer
        self._unwritten = 0  # lines that the system refused
        self._share = share
        self._descriptor = descriptor
        self._about = {"model": signature.name, "version": signature.version, "bento": bento}
        self._waiting: SimpleQueue[tuple[float, Entry] | None] = SimpleQueue()
        # A daemon, since it may be stuck in a pipe that nobody reads when the process ends.
        self._thread = Thread(target=self._write_all, name="canari-access-log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @property
    def dropped(self) -> int:
        """How many lines were lost, because nobody read them, or the ones before."""
        return self._overflown + self._unwritten

    def wants(self, status: int | str) -> bool:
        """Whether a request that was answered so gets a line."""
        return random() < self._share or status in _FAILURES  # noqa: S311

    def write(self, entry: Entry) -> None:
        """Give a request its line, soon; never waits."""
        if self._waiting.qsize() < _MOST_WAITING:
            self._waiting.put((time(), entry))
        else:
            self._overflown += 1

    def close(self, timeout: float = 2.0) -> None:
        """Write what is left, if it is read within `timeout` seconds."""
        atexit.unregister(self.close)
        self._waiting.put(None)
        self._thread.join(timeout)

    def _write_all(self) -> None:
        ended = False
        while not ended:
            taken = [self._waiting.get()]
            sleep(_PAUSE_SECONDS)
            while not self._waiting.empty():
                taken.append(self._waiting.get())
            ended = None in taken
            self._write([self._line(*answered) for answered in taken if answered is not None])

    def _write(self, lines: list[bytes]) -> None:
        """Write lines, as many at once as a pipe takes wholly or not at all: none is cut where the process ends meanwhile."""
        start = 0
        while start < len(lines):
            end, size = start + 1, len(lines[start])
            while end < len(lines) and size + len(lines[end]) <= PIPE_BUF:
                size += len(lines[end])
                end += 1
            chunk = b"".join(lines[start:end])
            try:
                while chunk:
                    chunk = chunk[os.write(self._descriptor, chunk) :]
            except OSError:  # nobody reads any more
                self._unwritten += end - start
            start = end

    def _line(self, at: float, entry: Entry) -> bytes:
        line = {
            "time": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "request_id": entry.request_id.decode("latin-1"),
            "trace_id": entry.trace_id,
            "protocol": entry.protocol,
            "method": entry.method if entry.protocol != "http" or entry.method in HTTPMethod.__members__ else "_OTHER",
            "route": entry.route,
            "status": entry.status,
            "duration_ms": round(entry.duration * 1e3, 3),
            "queue_ms": round(entry.waited * 1e3, 3),
            "rows": entry.rows,
            "request_bytes": entry.request_bytes,
            "response_bytes": entry.response_bytes,
            "synthetic": entry.synthetic,
            **self._about,
        }
        return msgspec.json.encode(line) + b"\n"
