"""The comparer, as `canari gate shadow` runs it: takes copies of callers' requests, asks both versions, counts how they differ.

A gateway copies requests to it and ignores what it answers, so it answers at once and compares later. While both Services serve
the same version it does nothing with them. What it sends is marked synthetic; copies that are marked are no caller's, and are
left alone: so nothing can go round in circles.
"""

import re
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import quote

import gevent
import msgspec
import prometheus_client
from gevent.pool import Pool
from gevent.pywsgi import WSGIServer
from gevent.queue import Full, Queue
from prometheus_client import CollectorRegistry, Counter, Gauge

from canari.errors import CanariError
from canari.gate.http import Answer, NoAnswerError, NobodyThereError, call
from canari.gate.rows import ask_signature
from canari.gate.shadow.answers import Fields, Tolerance, compare, infer_fields, predict_fields
from canari.gate.shadow.summary import Comparison, Outcome, State, Summary, now

MAX_BODY = 8 * 2**20  # as much as a server of canari takes
MAX_QUEUED = 1000  # requests that wait to be compared
MAX_QUEUED_BYTES = 32 * 2**20

_WORKERS = 8
_CONNECTIONS = 1000
_KEPT = 5  # comparisons in the summary
_ASK_SECONDS = 2.0  # between two looks at which versions are served
_TIMEOUT = 5.0  # seconds for one answer
_BURST_SECONDS = 1.0
_SERVER_ERROR = 500
_SYNTHETIC = "HTTP_X_CANARI_SYNTHETIC"
_PREDICTIONS = re.compile(r"/predict|/v2/models/[^/]+(/versions/[^/]+)?/infer")
# What an answer depends on besides the body. Nothing else is sent on: no cookie, no authorization.
_HEADERS = {
    "CONTENT_TYPE": "Content-Type",
    "HTTP_CONTENT_ENCODING": "Content-Encoding",
    "HTTP_INFERENCE_HEADER_CONTENT_LENGTH": "Inference-Header-Content-Length",
}

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[[str, list[tuple[str, str]]], Any]


class _Copy(NamedTuple):
    """A caller's request, copied, and the comparison that it came in."""

    comparison: Comparison
    path: str
    headers: dict[str, str]
    body: bytes


class Shadow:
    """Compares what the servers at the URLs `stable` and `candidate` answer, at most `rate` requests a second."""

    def __init__(self, stable: str, candidate: str, *, rate: float, tolerance: Tolerance) -> None:
        self._stable = stable
        self._candidate = candidate
        self._tolerance = tolerance
        self._sampler = _Sampler(rate)
        self._queue: Queue[_Copy] = Queue(MAX_QUEUED)
        self._queued_bytes = 0
        self._comparisons: deque[Comparison] = deque(maxlen=_KEPT)  # the newest first
        self._state: State = "waiting"
        self._why = "the versions were not asked yet"
        self._metrics = _Metrics(waiting=self._queue.qsize)

    def serve(self, host: str, port: int, ready: Callable[[int], Any]) -> None:
        """Listen and compare until SIGTERM or Ctrl-C; `ready` is given the port. Raises `CanariError` where it is taken."""
        server = WSGIServer((host, port), self._answer, log=None, error_log=None, spawn=Pool(_CONNECTIONS))
        try:
            server.start()
        except OSError as error:
            raise CanariError(f"cannot listen on {host}:{port}: {error.strerror}") from None
        greenlets = [gevent.spawn(self._watch), *(gevent.spawn(self._work) for _ in range(_WORKERS))]
        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, server.close)
        ready(server.server_port)
        try:
            server.serve_forever()
        finally:
            gevent.killall(greenlets)

    def summary(self) -> Summary:
        """The account so far."""
        comparisons = tuple(one.summary() for one in self._comparisons)
        return Summary(state=self._state, why=self._why, tolerance=self._tolerance, comparisons=comparisons)

    # The door: never waits for the versions.

    def _answer(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if method == "GET" and path == "/livez":
            return _reply(start, HTTPStatus.OK, b'{"live":true}')
        if method == "GET" and path == "/summary":
            return _reply(start, HTTPStatus.OK, msgspec.json.encode(self.summary()))
        if method == "GET" and path == "/metrics":
            return _reply(start, HTTPStatus.OK, self._metrics.text(), prometheus_client.CONTENT_TYPE_LATEST)
        self._metrics.received.labels(self._take(environ, path, method)).inc()
        return _reply(start, HTTPStatus.NO_CONTENT)

    def _take(self, environ: Environ, path: str, method: str) -> str:
        """Take a copy to be compared, or say why not."""
        if method != "POST" or not _PREDICTIONS.fullmatch(path) or _SYNTHETIC in environ:
            return "ignored"
        if self._state != "comparing":
            return "idle"
        comparison = self._comparisons[0]
        comparison.received += 1
        if not self._sampler.takes_one():
            comparison.sampled_out += 1
            return "sampled_out"
        body = self._read(environ)
        if body is None or self._queued_bytes + len(body) > MAX_QUEUED_BYTES:
            comparison.dropped += 1
            return "dropped"
        headers = {name: environ[key] for key, name in _HEADERS.items() if environ.get(key)}
        try:
            self._queue.put_nowait(_Copy(comparison, quote(path.encode("latin-1")), headers, body))
        except Full:
            comparison.dropped += 1
            return "dropped"
        self._queued_bytes += len(body)
        return "queued"

    def _read(self, environ: Environ) -> bytes | None:
        """The request's body; None where it is too large, or does not come whole."""
        try:
            with gevent.Timeout(_TIMEOUT):
                body: bytes = environ["wsgi.input"].read(MAX_BODY + 1)
        except (OSError, ValueError, gevent.Timeout):
            return None
        return body if len(body) <= MAX_BODY else None

    # Behind it: who is served, and what they answer.

    def _watch(self) -> None:
        while True:
            self._look()
            gevent.sleep(_ASK_SECONDS)

    def _look(self) -> None:
        """See which versions are served: a comparison lasts while the same two differ."""
        try:
            stable, candidate = (ask_signature(url, _TIMEOUT, patience=0).tag for url in (self._stable, self._candidate))
        except NoAnswerError as error:
            # Pods come and go in the middle of a comparison.
            if self._state != "comparing":
                self._state, self._why = "waiting", str(error)
            return
        current = self._comparisons[0] if self._state == "comparing" else None
        if current is not None and (current.stable, current.candidate) == (stable, candidate):
            return
        if current is not None:
            current.ended = now()
        if stable == candidate:
            self._state, self._why = "idle", f"both serve {stable}"
        else:
            self._comparisons.appendleft(Comparison(stable, candidate))
            self._state, self._why = "comparing", f"{candidate} beside {stable}"

    def _work(self) -> None:
        while True:
            copy = self._queue.get()
            self._queued_bytes -= len(copy.body)
            if copy.comparison.ended is None:
                self._compare(copy)

    def _compare(self, copy: _Copy) -> None:
        asked = [gevent.spawn(_ask, url, copy) for url in (self._stable, self._candidate)]
        gevent.joinall(asked)
        try:
            outcome = _count(copy, asked[0].get(), asked[1].get(), self._tolerance)
        except Exception as error:  # noqa: BLE001 - one request must not end the comparing of all others
            outcome = copy.comparison.count("not_comparable", f"the comparer failed: {type(error).__name__}")
        self._metrics.compared.labels(copy.comparison.candidate, outcome).inc()


class _Heard(NamedTuple):
    """What one of the two answered; status 0 and `failure` where nothing came."""

    answer: Answer
    failure: str | None = None  # why there is nothing to compare, where that is the server's fault
    nobody: bool = False

    @property
    def tag(self) -> str | None:
        """Who answered, where the answer says so."""
        model, version = (self.answer.headers.get(f"x-canari-{name}") for name in ("model", "version"))
        return f"{model}:{version}" if model and version else None


def _ask(url: str, copy: _Copy) -> _Heard:
    url += copy.path
    headers = {**copy.headers, "X-Canari-Synthetic": "1"}
    try:
        answer = call(url, body=copy.body, timeout=_TIMEOUT, headers=headers, largest=MAX_BODY)
    except NoAnswerError as error:
        # Without the URL, which may hold what a caller wrote.
        reason = str(error).removeprefix(f"{url}: ")
        return _Heard(Answer(0, {}, b""), reason, nobody=isinstance(error, NobodyThereError))
    fault = answer.status >= _SERVER_ERROR or answer.status == HTTPStatus.TOO_MANY_REQUESTS
    return _Heard(answer, f"HTTP {answer.status}" if fault else None)


def _count(copy: _Copy, stable: _Heard, candidate: _Heard, tolerance: Tolerance) -> Outcome:
    """Find what two answers to one request amount to, and count it."""
    comparison = copy.comparison
    if stable.failure is not None:
        return comparison.count("stable_failed", f"stable: {stable.failure}")
    if candidate.nobody:
        # A pod on its way, or gone: that it answers nothing says nothing of its answers.
        return comparison.count("not_comparable", "nobody listens at the candidate")
    for heard, expected in ((stable, comparison.stable), (candidate, comparison.candidate)):
        if heard.tag not in (None, expected):
            return comparison.count("not_comparable", f"{heard.tag} answered in the place of {expected}")
    if candidate.failure is not None:
        return comparison.count("candidate_failed", f"candidate: {candidate.failure}")
    status, its_status = stable.answer.status, candidate.answer.status
    if status != HTTPStatus.OK and status == its_status:
        return comparison.count("not_comparable", f"both: HTTP {status}")
    if status != HTTPStatus.OK:
        return comparison.count("different", f"stable: HTTP {status}, candidate: HTTP {its_status}")
    if its_status != HTTPStatus.OK:
        return comparison.count("candidate_failed", f"candidate: HTTP {its_status}")
    try:
        ours = _fields(copy.path, stable.answer)
    except ValueError:
        return comparison.count("not_comparable", "stable: no predictions in the answer")
    try:
        theirs = _fields(copy.path, candidate.answer)
    except ValueError:
        return comparison.count("candidate_failed", "candidate: no predictions in the answer")
    return comparison.compared(compare(ours, theirs, tolerance))


def _fields(path: str, answer: Answer) -> Fields:
    if path == "/predict":
        return predict_fields(answer.body)
    return infer_fields(answer.body, answer.headers.get("inference-header-content-length"))


def _reply(
    start: StartResponse, status: HTTPStatus, body: bytes = b"", content_type: str = "application/json"
) -> Iterable[bytes]:
    start(f"{status.value} {status.phrase}", [("Content-Type", content_type), ("Content-Length", str(len(body)))] if body else [])
    return [body]


class _Metrics:
    """What the comparer counts, for Prometheus, in a registry of its own."""

    def __init__(self, waiting: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self._registry)
        self.received = Counter(
            "canari_shadow_received",
            "Copies of requests by what became of them: ignored, idle, sampled_out, dropped, queued.",
            ["fate"],
            registry=self._registry,
        )
        self.compared = Counter(
            "canari_shadow_compared",
            "Requests sent to both versions, by what came of it.",
            ["candidate", "outcome"],
            registry=self._registry,
        )
        queue = Gauge("canari_shadow_queue", "Copies that wait to be compared.", registry=self._registry)
        queue.set_function(waiting)

    def text(self) -> bytes:
        """All of them in Prometheus's text format."""
        return prometheus_client.generate_latest(self._registry)


class _Sampler:
    """Takes at most `rate` requests a second, and a burst of one second's."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._most = max(1.0, rate * _BURST_SECONDS)
        self._left = self._most
        self._at = time.monotonic()

    def takes_one(self) -> bool:
        """Whether one more may be taken now."""
        moment = time.monotonic()
        self._left = min(self._most, self._left + (moment - self._at) * self._rate)
        self._at = moment
        if self._left < 1:
            return False
        self._left -= 1
        return True
