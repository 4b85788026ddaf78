"""The live servers beside a gate: what callers get from the candidate, and what from the baseline in the same minute.

Read from the servers' own `/metrics`, in Prometheus's text format: `canari_request_duration_seconds`, of the requests for
predictions that are no load test's. The candidate's errors count since its servers began: a canary is as old as its release, so
that what went wrong between two gates counts too. The baseline's errors, and all latencies, count while the gate measures: a
server that has run for weeks has seen other days.

Live requests come as they come. So a rule that they are too few to decide does not count, and is named in the verdict; a rule
that fails needs evidence like any other.
"""

import math
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self, TypeAlias

import gevent.pool
import msgspec
from prometheus_client.parser import text_string_to_metric_families

from canari.errors import CanariError
from canari.gate.blocks import Compared
from canari.gate.http import NoAnswerError, call
from canari.gate.judging import either, relative
from canari.gate.plan import ARMS, Arm
from canari.gate.rules import Rules
from canari.gate.statistics import Interval, Levels, Risks, at_most, finite, quantile_ranks, share_interval, within_either
from canari.gate.verdict import Live, LiveArm, RuleResult, only, undecided
from canari.gate.words import share, shares

_DURATIONS = "canari_request_duration_seconds"
_COUNT, _BUCKET = f"{_DURATIONS}_count", f"{_DURATIONS}_bucket"
_PREDICTIONS = re.compile(r"(.*/)?(predict|infer|ModelInfer)")
_GOOD = {"2xx", "OK"}
# What a version answers for by itself; 4xx and their like are the callers' doing.
_ERRORS = {"5xx", "INTERNAL", "UNKNOWN", "UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "DATA_LOSS"}
_LATENCY_RULE = re.compile(r"live_p(\d{1,2}(?:\.\d+)?)_vs_baseline")

_EVERY_SECONDS = 5.0
_ANSWER_SECONDS = 2.0
_LARGEST_METRICS = 4 * 2**20
_LARGEST_COUNT = 2**53
_AT_ONCE = 16

_REQUESTS, _FAILED = "requests", "errors"
Key: TypeAlias = str | float  # a float is a bucket of good answers: how many took at most so many seconds
Counts: TypeAlias = Counter[Key]


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One live server."""

    name: str
    url: str
    restarts: int | None = None  # where whoever named it knows


Fleet: TypeAlias = Mapping[Arm, Sequence[Server]]


class Scrape(msgspec.Struct, frozen=True, kw_only=True):
    """What one server has counted since it began."""

    began: float | None  # seconds since 1970
    counts: Counts


def read_metrics(text: str) -> Scrape:
    """The counts of a page of metrics; raises ValueError where it is none, or has impossible numbers."""
    began, counts = None, Counter[Key]()
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "process_start_time_seconds":
                    began = float(sample.value)
                elif sample.name in (_COUNT, _BUCKET) and _is_callers(sample.labels):
                    _count(sample.name, sample.labels, float(sample.value), counts)
    except (ValueError, KeyError, IndexError, AttributeError, TypeError, OverflowError) as error:
        raise ValueError(f"not Prometheus's text format: {' '.join(str(error).split())[:100] or type(error).__name__}") from None
    if began is not None and not math.isfinite(began):
        began = None
    return Scrape(began=began, counts=counts)


def _is_callers(labels: Mapping[str, str]) -> bool:
    return labels.get("synthetic") == "false" and _PREDICTIONS.fullmatch(labels.get("route", "")) is not None


def _count(name: str, labels: Mapping[str, str], value: float, counts: Counts) -> None:
    status = labels.get("status", "")
    if not 0 <= value <= _LARGEST_COUNT:
        raise ValueError(f"{name} is {value}")
    if name == _COUNT:
        counts[_REQUESTS] += round(value)
        if status in _ERRORS:
            counts[_FAILED] += round(value)
    elif status in _GOOD:
        bound = float(labels["le"])
        if math.isnan(bound):
            raise ValueError("a bucket's bound is NaN")
        counts[bound] += round(value)


class _Tally:
    """What one server told, over its restarts."""

    def __init__(self) -> None:
        self.total: Counts = Counter()
        self.window: Counts = Counter()
        self.restarts = 0
        self._last: Scrape | None = None

    def add(self, scrape: Scrape, window_began: float) -> None:
        """Take what is new since the last time. A server that began within the window counted all of it there."""
        last, self._last = self._last, scrape
        if last is None:
            self.total.update(scrape.counts)
            if scrape.began is not None and scrape.began >= window_began:
                self.window.update(scrape.counts)
            return
        began_again = scrape.began != last.began or any(scrape.counts[key] < count for key, count in last.counts.items())
        self.restarts += began_again
        before = Counter[Key]() if began_again else last.counts
        new = {key: count - before[key] for key, count in scrape.counts.items()}
        self.total.update(new)
        self.window.update(new)


class LiveMeter:
    """Asks live servers again and again while it is entered, in a thread of its own; then judges what they told."""

    def __init__(self, find: Callable[[], Fleet], every_s: float = _EVERY_SECONDS) -> None:
        """`find` names the servers of the moment; where it raises `CanariError`, those known before are asked."""
        self._find = find
        self._every = every_s
        self._fleet: Fleet = {}
        self._tallies: dict[tuple[Arm, str], _Tally] = {}
        self._restarts: dict[tuple[Arm, str], int] = {}
        self._problems: Counter[str] = Counter()
        self._looks = 0
        self._stopping = threading.Event()
        self._executor = ThreadPoolExecutor(max_workers=1)
        self._watching: Future[None] | None = None

    def __enter__(self) -> Self:
        self._began = time.time()
        self._watching = self._executor.submit(self._watch)
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._stopping.set()
        if error is None and self._watching is not None:
            self._watching.result()
        self._executor.shutdown(wait=error is None)

    def _watch(self) -> None:
        self._look()
        while not self._stopping.wait(self._every):
            self._look()
        self._look()

    def _look(self) -> None:
        self._looks += 1
        try:
            self._fleet = self._find()
        except CanariError as error:
            self._problems[f"the live servers are not known: {error}"] += 1
        servers = [(arm, server) for arm in ARMS for server in self._fleet.get(arm, ())]
        for arm, server, scrape in gevent.pool.Pool(_AT_ONCE).imap_unordered(_ask, servers):
            key = (arm, server.name)
            if server.restarts is not None:
                self._restarts[key] = max(server.restarts, self._restarts.get(key, 0))
            if isinstance(scrape, str):
                self._problems[f"{server.name}: {scrape}"] += 1
            else:
                self._tallies.setdefault(key, _Tally()).add(scrape, self._began)

    def judge(self, rules: Rules) -> tuple[list[RuleResult], Live]:
        """The results of the live rules, and what was seen. What the requests do not decide leaves an optional rule out."""
        arms = {arm: _Seen([tally for (of, _), tally in self._tallies.items() if of == arm]) for arm in ARMS}
        restarts = {arm: self._restarts_of(arm) for arm in ARMS}
        risks = rules.risks()
        results, not_judged = [], []
        for name, limit in rules.limits.items():
            quantile = _LATENCY_RULE.fullmatch(name)
            judged: RuleResult | str
            if name == "live_error_rate":
                judged = _judge_errors(name, arms["candidate"], arms["baseline"], limit["max"], risks)
            elif name == "live_restarts":
                judged = _judge_restarts(name, len(self._servers("candidate")), restarts["candidate"], limit["max"])
            elif quantile:
                judged = _judge_latency(name, float(quantile[1]) / 100, arms["candidate"], arms["baseline"], limit, risks)
            else:
                continue
            if not isinstance(judged, str):
                results.append(judged)
            elif name in rules.optional:
                not_judged.append(f"{name}: {judged}")
            else:
                results.append(undecided(name, only(limit), judged))
        problems = tuple(f"{problem} ({times} of {self._looks} times)" for problem, times in self._problems.most_common())
        live = Live(
            candidate=arms["candidate"].account(restarts["candidate"]),
            baseline=arms["baseline"].account(restarts["baseline"]),
            not_judged=tuple(not_judged),
            problems=problems,
        )
        return results, live

    def _servers(self, arm: Arm) -> list[str]:
        return sorted({name for of, name in (*self._restarts, *self._tallies) if of == arm})

    def _restarts_of(self, arm: Arm) -> int:
        """Each server's as whoever named it knows, or as its counters show, whichever is more."""
        seen = {name: self._tallies[arm, name].restarts for of, name in self._tallies if of == arm}
        return sum(max(self._restarts.get((arm, name), 0), seen.get(name, 0)) for name in self._servers(arm))


def _ask(asked: tuple[Arm, Server]) -> tuple[Arm, Server, Scrape | str]:
    """What the server has counted, or why it is not known."""
    arm, server = asked
    try:
        answer = call(f"{server.url.rstrip('/')}/metrics", timeout=_ANSWER_SECONDS, largest=_LARGEST_METRICS)
        if answer.status != 200:
            return arm, server, f"HTTP {answer.status} for /metrics"
        return arm, server, read_metrics(answer.body.decode())
    except NoAnswerError as error:
        return arm, server, str(error)
    except ValueError as error:  # UnicodeDecodeError is one
        return arm, server, f"/metrics is {error}" if not isinstance(error, UnicodeDecodeError) else "/metrics is not UTF-8 text"


class _Seen:
    """One arm's servers together."""

    def __init__(self, tallies: Sequence[_Tally]) -> None:
        self.servers = len(tallies)
        self.total, self.window = Counter[Key](), Counter[Key]()
        for tally in tallies:
            self.total.update(tally.total)
            self.window.update(tally.window)
        self._buckets = sorted((key, count) for key, count in self.window.items() if isinstance(key, float))

    @property
    def good(self) -> int:
        """Good answers while the gate measured."""
        return self._buckets[-1][1] if self._buckets else 0

    def latency(self, q: float, levels: Levels) -> tuple[float, Interval]:
        """The q-quantile of good answers in ms, and its interval."""
        n = self.good
        if n == 0:
            return math.nan, (0.0, math.inf)
        first, last = quantile_ranks(n, q, levels)
        low = self._at(first)[0] if first >= 1 else 0.0
        return self._value(q), (low, self._at(last)[1] if last <= n else math.inf)

    def _value(self, q: float) -> float:
        return self._at(max(math.ceil(q * self.good), 1))[1] if self.good else math.nan

    def _at(self, rank: int) -> Interval:
        """What the rank-th smallest latency in ms is at least and at most.

        Both are one number within a bucket, whose answers are taken as spread evenly over it (as `histogram_quantile` of
        Prometheus does); beyond the last bound there is no most.
        """
        lower, below = 0.0, 0
        for upper, count in self._buckets:
            if count >= rank and math.isfinite(upper):
                between = 1e3 * (lower + (upper - lower) * (rank - below) / (count - below))
                return between, between
            if math.isfinite(upper):
                lower, below = upper, max(below, count)
        return 1e3 * lower, math.inf

    def account(self, restarts: int) -> LiveArm:
        p50, p95, p99 = (finite(self._value(q)) for q in (0.5, 0.95, 0.99))
        return LiveArm(
            servers=self.servers,
            requests=self.total[_REQUESTS],
            errors=self.total[_FAILED],
            restarts=restarts,
            window_requests=self.window[_REQUESTS],
            window_errors=self.window[_FAILED],
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
        )


def _judge_errors(name: str, candidate: _Seen, baseline: _Seen, limit: float, risks: Risks) -> RuleResult | str:
    """Too many only where the share, and what it has more than the baseline's, are beyond: no version answers everything."""
    n, errors = candidate.total[_REQUESTS], candidate.total[_FAILED]
    if n == 0:
        return _no_callers(candidate)
    their_n, their_errors = baseline.window[_REQUESTS], baseline.window[_FAILED]
    levels = either(risks) if their_n else risks.of_most
    interval = share_interval(errors, errors, n, levels)
    why = f"{errors} of {n} callers' requests failed: {share(errors / n)} {shares(interval)}, at most {share(limit)}"
    if their_n:
        each = levels.shared(2)
        low, high = share_interval(errors, errors, n, each)
        their_low, their_high = share_interval(their_errors, their_errors, their_n, Levels(each.high, each.low))
        outcome = within_either(interval, limit, (low - their_high, high - their_low), limit)
        why += f" or so much more than the baseline's {share(their_errors / their_n)} of {their_n}"
    else:
        outcome = at_most(interval, limit)
    fewest = math.ceil(math.log(levels.high) / math.log1p(-limit))
    if outcome == "inconclusive" and n < fewest:
        return f"{why}; fewer than {fewest} requests cannot show it"
    return RuleResult(
        name=name, outcome=outcome, value=errors / n, unit="share", interval=interval, limit=limit, samples=n, why=why
    )


def _judge_latency(
    name: str, q: float, candidate: _Seen, baseline: _Seen, limit: dict[str, float], risks: Risks
) -> RuleResult | str:
    for arm, seen in (("candidate", candidate), ("baseline", baseline)):
        if not seen.good:
            return f"no caller had an answer from a live {arm} while the gate measured"
    each = either(risks).shared(2)
    ours, (our_low, our_high) = candidate.latency(q, each)
    theirs, (their_low, their_high) = baseline.latency(q, Levels(each.high, each.low))
    compared = Compared(
        ours=ours,
        theirs=theirs,
        ratio=(our_low / their_high if their_high else 0.0, our_high / their_low if their_low else math.inf),
        difference=(our_low - their_high, our_high - their_low),
    )
    result = relative(name, compared, limit, min(candidate.good, baseline.good))
    bounded = all(
        1 <= rank <= seen.good
        for seen, levels in ((candidate, each), (baseline, Levels(each.high, each.low)))
        for rank in quantile_ranks(seen.good, q, levels)
    )
    if result.outcome == "inconclusive" and not bounded:
        return f"{candidate.good} answers of the candidate and {baseline.good} of the baseline are too few"
    return result


def _judge_restarts(name: str, servers: int, restarts: int, limit: float) -> RuleResult | str:
    if not servers:
        return "no live candidate told what it counted"
    return RuleResult(
        name=name,
        outcome="pass" if restarts <= limit else "fail",
        value=float(restarts),
        unit="restarts",
        interval=None,
        limit=limit,
        samples=servers,
        why=f"{servers} live server{'s' * (servers != 1)} of the candidate restarted {restarts} times, at most {limit:g}",
    )


def _no_callers(candidate: _Seen) -> str:
    return "no caller is on the candidate yet" if candidate.servers else "no live candidate told what it counted"
