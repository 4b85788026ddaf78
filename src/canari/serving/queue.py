"""The bounded queue in front of the model: what must wait too long is refused at once, so that the rest keeps its latency.

How long is too long adapts ("controlled delay", B. Maurer, Fail at Scale, ACM Queue 13(8), 2015): a queue that was empty a moment
ago holds a burst, and everybody in it is answered; one that has not been empty for a while holds more than the model can do. One
that is empty because it turned requests away a moment ago is of the second kind: else it would fill up again and again.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import inf
from time import perf_counter
from typing import Generic, Protocol, TypeVar

from canari.runtime import Runtime
from canari.serving.http import HttpError

T = TypeVar("T")

# In a queue that has not been empty for `_BURST` seconds a request may wait for `_STANDING` seconds, else for `_BURST`; where the
# model itself is slow, for so many predictions. Of a model that takes 1 ms or more, twice the requests that it can answer, coming
# at random, then take, in 99 of 100 cases, less than 4 times as long as half of them do; of a quicker one, about `_STANDING`.
_BURST = 0.25
_STANDING = 0.005
_BURST_PREDICTIONS = 40.0
_STANDING_PREDICTIONS = 5.0

# So many callers who each wait for their answer before they ask again are no overload, unless the wait were longer than this.
_CALLERS = 16
_CALLERS_WAIT = 0.02

# For so many times the shorter wait after a request was turned away, an empty queue is no sign that the overload is over.
_CALM = 6.0

# However short their wait, there are never more than so many.
_LONGEST = 2048

# The event loop predicts for so long before it looks for new requests, health checks among them.
_SLICE_SECONDS = 0.002

# Of the mean time a prediction takes, the share that the newest one has.
_NEWEST = 0.05


class Observer(Protocol):
    """What is told of every request's wait; `lane` is "inline" or "threads"."""

    def waited(self, lane: str, seconds: float) -> None:
        """A request left the queue for the model."""

    def refused(self, reason: str) -> None:
        """A request was turned away: "overload" or "deadline"."""


class Job(ABC):
    """A request that waits for the model. All but `run` happens on the event loop's thread."""

    __slots__ = ("arrived", "deadline")

    arrived: float  # when, by perf_counter
    deadline: float | None  # until when its caller waits, by perf_counter

    @property
    def gone(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return False

    @abstractmethod
    def run(self, waited: float) -> None:
        """Make the answer and keep it; raises nothing. `waited` is in seconds."""

    @abstractmethod
    def finish(self) -> None:
        """Give the answer that `run` made."""

    @abstractmethod
    def refuse(self, error: HttpError) -> None:
        """Give an error instead of an answer."""


class Queue:
    """Two lanes: small requests to an inline model take turns in the event loop, all others go to threads.

    Must be made, and used, on the event loop's thread, but for `run` of the jobs in threads.
    """

    def __init__(self, runtime: Runtime, observer: Observer, answer_timeout: float) -> None:
        self._inline = _InlineLane(observer, answer_timeout) if runtime.inline else None
        self._threads = _ThreadLane(observer, answer_timeout, runtime.workers, runtime.row_seconds)

    def submit(self, job: Job, *, small: bool) -> None:
        """Queue a job; it is finished or refused later."""
        (self._inline if small and self._inline is not None else self._threads).submit(job)

    async def run(
        self, function: Callable[[], T], *, small: bool, arrived: float, deadline: float | None = None
    ) -> tuple[T, float]:
        """What `function` answers, and the seconds it waited; raises what it raises, `HttpError` 503 or 504 without its turn."""
        call = _Call(function, arrived, deadline)
        self.submit(call, small=small)
        return await call.future, call.waited

    def lengths(self) -> dict[str, int]:
        """How many wait in each lane."""
        return {"inline": 0 if self._inline is None else self._inline.length, "threads": self._threads.length}

    def in_flight(self) -> int:
        """How many wait, or are being predicted."""
        return sum(self.lengths().values()) + self._threads.busy

    def close(self) -> None:
        """Let the threads end."""
        self._threads.close()


class _Lane:
    """Jobs in the order in which they came, and how long the next one may have waited."""

    name: str

    def __init__(self, observer: Observer, answer_timeout: float, mean: float = 0.0) -> None:
        self._observer = observer
        self._answer_timeout = answer_timeout
        self._waiting: deque[Job] = deque()
        self._last_empty = 0.0  # when a request last found it so, and nobody had been turned away a moment before
        self._calm_from = 0.0
        self._mean = mean  # seconds of a prediction

    @property
    def length(self) -> int:
        return len(self._waiting)

    def _admit(self, job: Job) -> bool:
        if not self._waiting:
            if job.arrived > self._calm_from:
                self._last_empty = job.arrived
        elif len(self._waiting) >= _LONGEST:
            self._overload(job, job.arrived)
            return False
        return True

    def _burst(self) -> float:
        return min(max(_BURST, _BURST_PREDICTIONS * self._mean), self._answer_timeout)

    def _patience(self, now: float) -> float:
        burst = self._burst()
        if now - self._last_empty <= burst:
            return burst
        return self._standing()

    def _standing(self) -> float:
        callers = min(_CALLERS * self._mean, _CALLERS_WAIT)
        return min(max(_STANDING, callers, _STANDING_PREDICTIONS * self._mean), self._answer_timeout)

    def _overload(self, job: Job, now: float) -> None:
        self._calm_from = now + _CALM * self._standing()
        self._observer.refused("overload")
        job.refuse(overloaded(self._mean))

    def _turn(self, job: Job, now: float, patience: float) -> bool:
        """Whether it is worth while to predict for a job whose turn it is; else it is refused, or forgotten."""
        if job.gone:
            return False
        waited = now - job.arrived
        if job.deadline is not None and now >= job.deadline:
            self._observer.refused("deadline")
            job.refuse(HttpError(504, "the deadline passed before it was this request's turn"))
            return False
        if waited > patience:
            self._overload(job, now)
            return False
        self._observer.waited(self.name, waited)
        return True

    def _took(self, seconds: float) -> None:
        self._mean += _NEWEST * (seconds - self._mean)


class _InlineLane(_Lane):
    """Predicts in the event loop, a slice of time after the other; answers go out together at the end of one."""

    name = "inline"

    def submit(self, job: Job) -> None:
        if not self._admit(job):
            return
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._predict)
        self._waiting.append(job)

    def _predict(self) -> None:
        waiting, done = self._waiting, []
        begun = now = perf_counter()
        # Where few wait, it was not they who took the time: the process did not run.
        few = len(waiting) * self._mean < self._standing()
        patience, end = inf if few else self._patience(now), now + _SLICE_SECONDS
        while waiting and now < end:
            job = waiting.popleft()
            if self._turn(job, now, patience):
                job.run(now - job.arrived)
                done.append(job)
            now = perf_counter()
        if done:
            self._took((now - begun) / len(done))
        if waiting:
            asyncio.get_running_loop().call_soon(self._predict)
        for job in done:
            job.finish()


class _ThreadLane(_Lane):
    """Predicts in as many threads as the model has workers."""

    name = "threads"

    def __init__(self, observer: Observer, answer_timeout: float, workers: int, mean: float) -> None:
        super().__init__(observer, answer_timeout, mean)
        self._pool = ThreadPoolExecutor(workers, "canari-predict")
        self._workers = self._free = workers
        self._watching: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> int:
        return self._workers - self._free

    def submit(self, job: Job) -> None:
        if not self._admit(job):
            return
        self._waiting.append(job)
        self._next()
        if self._waiting and self._watching is None:
            self._watch()

    def _watch(self) -> None:
        """Look again when the longest waiting has waited too long: no worker may be free by then."""
        now = perf_counter()
        wait = self._waiting[0].arrived + self._patience(now) - now
        self._watching = asyncio.get_running_loop().call_later(max(wait, 0.001), self._turn_away)

    def _turn_away(self) -> None:
        self._watching = None
        now = perf_counter()
        patience = self._patience(now)
        while self._waiting and now - self._waiting[0].arrived > patience:
            self._turn(self._waiting.popleft(), now, patience)
        if self._waiting:
            self._watch()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _next(self) -> None:
        loop = asyncio.get_running_loop()
        while self._free and self._waiting:
            now = perf_counter()
            job = self._waiting.popleft()
            if self._turn(job, now, self._patience(now)):
                self._free -= 1
                late = loop.call_later(job.arrived + self._answer_timeout - now, self._late, job)
                running = loop.run_in_executor(self._pool, job.run, now - job.arrived)
                running.add_done_callback(lambda _, job=job, now=now, late=late: self._done(job, now, late))  # type: ignore[misc]

    def _done(self, job: Job, begun: float, late: asyncio.TimerHandle) -> None:
        late.cancel()
        self._free += 1
        self._took(perf_counter() - begun)
        if not job.gone:
            job.finish()
        self._next()

    def _late(self, job: Job) -> None:
        if not job.gone:
            self._observer.refused("deadline")
            job.refuse(HttpError(504, f"the model did not answer within {self._answer_timeout:g} seconds"))


class _Call(Job, Generic[T]):
    """A function whose result somebody awaits."""

    __slots__ = ("_error", "_function", "_result", "future", "waited")

    def __init__(self, function: Callable[[], T], arrived: float, deadline: float | None) -> None:
        self.arrived, self.deadline = arrived, deadline
        self.future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._function = function
        self._error: Exception | None = None
        self.waited = 0.0

    @property
    def gone(self) -> bool:
        return self.future.done()

    def run(self, waited: float) -> None:
        self.waited = waited
        try:
            self._result = self._function()
        except Exception as error:  # noqa: BLE001  whoever awaits it gets it
            self._error = error

    def finish(self) -> None:
        if self.future.done():
            return
        if self._error is None:
            self.future.set_result(self._result)
        else:
            self.future.set_exception(self._error)

    def refuse(self, error: HttpError) -> None:
        if not self.future.done():
            self.future.set_exception(error)


def overloaded(mean: float) -> HttpError:
    """503 with Retry-After, in whole seconds: when the model takes seconds, not before it could have answered somebody."""
    retry_after = max(1, round(_STANDING_PREDICTIONS * mean))
    return HttpError(
        503, "more requests wait than the model can answer in time: try again later", ((b"retry-after", b"%d" % retry_after),)
    )
