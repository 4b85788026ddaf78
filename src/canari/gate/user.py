"""Locust users whose requests come on a clock.

Importing this module imports Locust, which patches the standard library for gevent: only processes that do nothing but send
load import it.
"""

# ruff: noqa: I001 - Locust first: it patches what the others import
from locust import FastHttpUser, task
from locust.exception import CatchResponseError, StopUser

import math
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from itertools import takewhile
from random import Random
from typing import Any, ClassVar, Protocol

import gevent
import msgspec
from gevent.event import Event
from gevent.pool import Pool

from canari.gate import answers
from canari.gate.arrivals import ARRIVALS, stream
from canari.gate.client import Endpoint
from canari.gate.http import describe
from canari.gate.recording import Request
from canari.gate.rows import GENERATED, ask_signature, generate, records
from canari.model import Value

# When time.perf_counter was zero, seconds since 1970; one for the whole process, so that a clock that jumps moves no request.
EPOCH = time.time() - time.perf_counter()
_BAD_STATUS = 400
_CATCH_UP_SECONDS = 0.01


class _Arrival:
    """One request that is due, and what is known of it so far."""

    def __init__(self, due: float, sendable: float) -> None:
        self.due = due  # on the clock of time.perf_counter
        self.sendable = sendable
        self.sent = self.done = math.nan
        self.status = 0
        self.arm = ""
        self.version: str | None = None
        self.error: str | None = None

    def fail(self, error: str) -> None:
        """Keep the first reason."""
        self.error = self.error or error

    def answered(self, response: Any, exception: BaseException | None) -> None:
        """Note an answer as Locust's request event reports it."""
        self.done = time.perf_counter()
        headers = response.headers or {}
        self.arm = headers.get("x-canari-arm") or ""
        self.version = headers.get("x-canari-version")
        self.status = response.status_code or 0
        if exception is None:
            return
        if self.status >= _BAD_STATUS:
            self.fail(f"HTTP {self.status}")
        elif isinstance(exception, CatchResponseError):
            self.fail(str(exception)[:200])
        else:
            self.status = 0
            self.fail(describe(exception))

    def as_request(self, arm: str, epoch: float) -> Request:
        return Request(
            arm=arm or self.arm,
            intended=epoch + self.due,
            delay_ms=(self.sent - self.sendable) * 1e3,
            queued_ms=(self.sendable - self.due) * 1e3,
            latency_ms=(self.done - self.due) * 1e3,
            status=self.status,
            version=self.version,
            error=self.error,
        )


_arrival: ContextVar[_Arrival] = ContextVar("arrival")


class _RequestEvent:
    """Stands between the client and Locust's request event, so that all who listen see the latency from when it was due."""

    def __init__(self, event: Any, arm: str) -> None:
        self._event = event
        self._arm = arm

    def fire(self, **meta: Any) -> None:
        arrival = _arrival.get()
        arrival.answered(meta["response"], meta["exception"])
        meta["response_time"] = (arrival.done - arrival.due) * 1e3
        if self._arm:
            meta["name"] = f"{self._arm} {meta['name']}"
        self._event.fire(**meta)


class Sink(Protocol):
    """Takes the records, as `canari.gate.recording.Writer` does."""

    def write(self, request: Request) -> None:
        """Take one."""


class Ending:
    """Ends the arrivals of all users who share it, and knows when."""

    def __init__(self) -> None:
        self.event = Event()
        self.at = math.inf  # on the clock of time.perf_counter; infinite where they end by themselves

    def now(self, **_: Any) -> None:
        """What is due from now on is not sent; Locust's own events may call this."""
        self.at = min(self.at, time.perf_counter())
        self.event.set()


class OpenLoopUser(FastHttpUser):
    """Callers who come on a clock: `rate` calls a second become due, whether the earlier ones were answered or not.

    A subclass says in `call` what one call is. Each arrival gives exactly one record: also one that found no connection, was
    cut off after `timeout` seconds from when it was due, or whose `call` raised an exception.
    """

    abstract = True
    fixed_count = 1
    max_redirects = 0

    rate: float = 10.0  # arrivals a second
    arrivals: str = "poisson"  # or "even"
    timeout: float = 10.0  # seconds from when a request is due until it is given up
    most_in_flight: int = 500  # connections; arrivals beyond wait, and the wait counts
    duration: float = math.inf  # seconds of arrivals
    starts_at: float | None = None  # on the clock of time.perf_counter; None is at once
    epoch: float = EPOCH  # when that clock was zero, seconds since 1970
    seed: int = 0
    arm: str = ""  # "" takes the name from the answer's x-canari-arm
    rows: ClassVar[list[dict[str, Value]]] = []  # none: drawn from the server's /signature
    sink: ClassVar[Sink | None] = None  # where the records go
    ending: ClassVar[Ending | None] = None  # for all who end together

    def __init__(self, environment: Any) -> None:
        self.connection_timeout = self.network_timeout = None  # type: ignore[assignment]  # each request has one limit, on all of it
        self.concurrency = self.most_in_flight
        super().__init__(environment)
        self.client.request_event = _RequestEvent(environment.events.request, self.arm)
        self._in_flight = Pool(self.most_in_flight)
        self._ending = self.ending or Ending()
        self._next_due = -math.inf

    def call(self, row: Any) -> None:
        """Send one row, or whatever `pick` gives, with `self.client`, and mark a wrong answer as failed."""
        raise NotImplementedError

    def offsets(self) -> Iterator[float]:
        """Seconds from the start at which calls are due, in order; ends where the arrivals end."""
        arrivals = ARRIVALS[self.arrivals](self.rate, stream(self.seed, f"arrivals {self.arm}"))
        return takewhile(lambda offset: offset < self.duration, arrivals)

    def pick(self, random: Random) -> Any:
        """What the next call sends: one of the rows."""
        return random.choice(self.rows)

    def on_start(self) -> None:
        """Draw rows where none were given."""
        if not self.rows:
            signature = ask_signature(self.host or "", self.timeout)
            type(self).rows = records(generate(signature.inputs, GENERATED, self.seed))

    def stop(self, force: bool = False) -> bool:
        """End the arrivals; Locust gives those in flight its stop timeout."""
        self._ending.now()
        return bool(super().stop(force))

    @task
    def arrive(self) -> None:
        """Let every arrival become due at its time, then wait for those in flight."""
        clock = gevent.spawn(self._send_on_the_clock)
        try:
            gevent.wait([clock, self._ending.event], count=1)
            while not clock.ready() and self._next_due <= self._ending.at:
                gevent.sleep(_CATCH_UP_SECONDS)  # what was due before the end is sent
            clock.kill()
            clock.get()
            self._in_flight.join()
        finally:
            clock.kill()
            self._in_flight.kill()
        raise StopUser

    def _send_on_the_clock(self) -> None:
        start = time.perf_counter() if self.starts_at is None else self.starts_at
        which = stream(self.seed, "rows")  # the same for all arms
        connection_free = start
        for offset in self.offsets():
            self._next_due = due = start + offset
            while (left := due - time.perf_counter()) > 0:
                gevent.sleep(left)
            if due > self._ending.at:
                return
            if self._in_flight.full():
                self._in_flight.wait_available()
                connection_free = time.perf_counter()
            elif time.perf_counter() > min(start + self.duration, self._ending.at) + self.timeout:
                return  # more was asked for than this process can send: what is missing from the recording is not judged
            self._in_flight.spawn(self._answer, _Arrival(due, max(due, connection_free)), self.pick(which))
            if left < 0:
                gevent.sleep(0)  # late: those that were started go first
        if math.isfinite(self.duration):  # the time after the last arrival was asked for, too
            gevent.sleep(max(start + self.duration - time.perf_counter(), 0))

    def _answer(self, arrival: _Arrival, row: Mapping[str, Value]) -> None:
        _arrival.set(arrival)
        arrival.sent = time.perf_counter()
        left = self.timeout - (arrival.sendable - arrival.due)
        in_time = False
        expired = f"no whole answer within {self.timeout:g} s"
        if left <= 0:
            arrival.fail(expired)
        else:
            with gevent.Timeout(left, False) as limit:
                try:
                    self.call(row)
                except Exception as error:  # noqa: BLE001 - whatever a call raises is this request's failure, and no other's
                    arrival.fail(describe(error))
                in_time = limit.pending
            if not in_time:
                arrival.status, arrival.error = 0, expired
            elif math.isnan(arrival.done):
                arrival.fail("the call sent no request")
        if math.isnan(arrival.done):
            arrival.done = time.perf_counter()
        if self.sink is not None:
            self.sink.write(arrival.as_request(self.arm, self.epoch))


def _one_prediction(answer: bytes) -> None:
    answers.predictions(answer, rows=1)


class PredictUser(OpenLoopUser):
    """Asks `POST /predict` for the prediction of one row at a time, and checks that one came."""

    abstract = True

    path: str = "/predict"
    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._endpoint = Endpoint(self.client, self.path, {"Content-Type": "application/json", **self.headers})

    def call(self, row: Mapping[str, Value]) -> None:
        """One request with one row."""
        self._endpoint.post(msgspec.json.encode([row]), _one_prediction)
