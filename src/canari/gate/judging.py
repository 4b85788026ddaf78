"""From recorded requests and rules to results.

A limit that the baseline breaks too, in the same seconds, says nothing of the candidate: such a fail is inconclusive.

Three things are never taken for good news: a request that is missing from the recording (it counts as failed towards a pass
and as good towards a fail), a failed request (its latency is endless), and a generator that was starved: it may have seen
each answer as late as it was itself in sending, so only what is slower than twice that can fail a candidate.
"""

import math
import re
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from canari.gate.plan import ARMS, Load
from canari.gate.recording import Request, Table, to_table
from canari.gate.rules import Rules
from canari.gate.statistics import (
    Interval,
    at_least,
    at_most,
    finite,
    quantile_interval,
    share_interval,
    within_either,
)
from canari.gate.verdict import HEALTH, Generator, RuleResult
from canari.gate.words import number, share, shares, span

_QUANTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)(_vs_baseline)?")
_GRACE_SECONDS = 1.0  # for answers to the last requests, when throughput is counted
_HEALTHY = {"max_cpu": 0.9, "max_delay_ms": 100.0}
_DELAY_QUANTILE = 0.99


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What a load gave."""

    results: tuple[RuleResult, ...]
    generator: Generator
    warmup: int  # requests that were dropped
    starved: bool  # whether the generator was


def judge_load(requests: Sequence[Request] | Table, load: Load, rules: Rules) -> Measured:
    """Judge the load rules of `rules`; the generator's health is judged whether or not a rule asks for it."""
    table = requests if isinstance(requests, Table) else to_table(list(requests))
    measured = table.where((table.intended >= load.measured_from) & (table.intended < load.measured_to))
    health, generator = _judge_generator(measured, load, rules.limits.get(HEALTH, {}))
    lag = 0.0 if health.outcome == "pass" else _lag_ms(measured, load, rules.limits.get(HEALTH, {}))
    arms = {arm: _Arm(measured.where(measured.arm == arm), load, load.asked[arm], lag) for arm in ARMS}
    results = [*_judge_arms(arms["baseline"], arms["candidate"], rules), health]
    return Measured(
        results=tuple(results),
        generator=generator,
        warmup=int(np.count_nonzero(table.intended < load.measured_from)),
        starved=health.outcome != "pass",
    )


class _Arm:
    """The measured requests of one arm, and what is not known of them.

    `lag_ms` is how much a starved generator may have added to any latency; 0 for a healthy one.
    """

    def __init__(self, table: Table, load: Load, asked: int, lag_ms: float) -> None:
        self.table = table
        self.load = load
        self.lag_ms = lag_ms
        self.starved = lag_ms > 0
        self.n = max(asked, len(table))
        self.missing = self.n - len(table)
        self.failed = int(np.count_nonzero(table.failed))
        # That no answer came in time may be a starved generator's own fault.
        self.sure = table.failed & (table.status > 0) if self.starved else table.failed
        self.surely_failed = int(np.count_nonzero(self.sure))

    def latency(self, q: float, confidence: float) -> tuple[float, Interval]:
        """The q-quantile of latency in ms; the generator's own delay is charged to the server only at the upper end."""
        latency = self.table.latency_ms
        return self._quantile(latency - self.table.delay_ms, latency, math.inf, q, confidence)

    def latency_without_delay(self, q: float, confidence: float, failed_low: float) -> tuple[float, Interval]:
        """The same without the generator's own delay, which two arms that are compared share."""
        latency = self.table.latency_ms - self.table.delay_ms
        return self._quantile(latency, latency, failed_low, q, confidence)

    def _quantile(
        self, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64], failed_low: float, q: float, confidence: float
    ) -> tuple[float, Interval]:
        """Of latencies known to lie between `low` and `high`; a failed one lies between `failed_low` and infinity."""
        least = np.where(self.table.failed, np.where(self.sure, failed_low, 0.0), np.maximum(low - self.lag_ms, 0.0))
        low = np.append(least, np.zeros(self.missing))
        high = np.append(np.where(self.table.failed, math.inf, high), np.full(self.missing, math.inf))
        return quantile_interval(low, high, q, confidence)

    def commonest_error(self) -> str:
        errors, counts = np.unique(self.table.error[self.table.failed], return_counts=True)
        return f"; most often: {errors[counts.argmax()]}" if len(errors) else ""

    def answered_in_time(self) -> int:
        answered = self.table.intended + self.table.latency_ms / 1e3
        return int(np.count_nonzero(~self.table.failed & (answered <= self.load.measured_to + _GRACE_SECONDS)))


def _judge_arms(baseline: _Arm, candidate: _Arm, rules: Rules) -> list[RuleResult]:
    results = []
    for name, limit in rules.limits.items():
        quantile = _QUANTILE.fullmatch(name)
        if quantile and quantile[2]:
            results.append(_judge_relative(name, float(quantile[1]) / 100, baseline, candidate, limit, rules.confidence))
        elif (result := _judge_alone(name, limit, candidate, rules.confidence)) is not None:
            same = _judge_alone(name, limit, baseline, rules.confidence) if result.outcome == "fail" else None
            if same is not None and same.outcome == "fail":
                why = f"{result.why}; the baseline fails it too in the same seconds, so that it says nothing of the candidate"
                result = msgspec.structs.replace(result, outcome="inconclusive", why=why)
            results.append(result)
    return results


def _judge_alone(name: str, limit: dict[str, float], arm: _Arm, confidence: float) -> RuleResult | None:
    """By a rule that compares nothing; None for another rule."""
    if name == "error_rate":
        result = judge_share(name, arm.failed, arm.n, limit["max"], confidence, least=arm.surely_failed,
                             most=arm.failed + arm.missing, what="requests had no good answer")  # fmt: skip
        return msgspec.structs.replace(result, why=result.why + arm.commonest_error())
    if name == "throughput":
        return _judge_throughput(arm, limit["min"], confidence)
    if quantile := _QUANTILE.fullmatch(name):
        return _judge_quantile(name, float(quantile[1]) / 100, arm, limit["max_ms"], confidence)
    return None


def judge_share(
    name: str,
    count: int,
    n: int,
    limit: float,
    confidence: float,
    *,
    least: int | None = None,
    most: int | None = None,
    what: str,
) -> RuleResult:
    """Judge that at most the share `limit` of n cases is bad; `count` were seen, `least` to `most` there may have been."""
    interval = share_interval(count if least is None else least, count if most is None else most, n, confidence)
    outcome = at_most(interval, limit)
    why = f"{count} of {n} {what}: {share(count / n if n else math.nan)} {shares(interval)}, at most {share(limit)}"
    if outcome == "inconclusive" and count == 0:
        why += "; too few to tell"
    return RuleResult(
        name=name,
        outcome=outcome,
        value=finite(count / n) if n else None,
        unit="share",
        interval=interval,
        limit=limit,
        samples=n,
        why=why,
    )


def _judge_throughput(arm: _Arm, limit: float, confidence: float) -> RuleResult:
    answered = arm.answered_in_time()
    most = arm.n if arm.starved else answered + arm.missing
    interval = share_interval(answered, most, arm.n, confidence)
    seconds = arm.load.duration_s - arm.load.warmup_s
    return RuleResult(
        name="throughput",
        outcome=at_least(interval, limit),
        value=answered / arm.n if arm.n else None,
        unit="share",
        interval=interval,
        limit=limit,
        samples=arm.n,
        why=f"{answered / seconds:.1f} of {arm.n / seconds:.1f} requests a second were answered: {shares(interval)}, "
        f"at least {share(limit)}",
    )


def _judge_quantile(name: str, q: float, arm: _Arm, limit: float, confidence: float) -> RuleResult:
    value, interval = arm.latency(q, confidence)
    return RuleResult(
        name=name,
        outcome=at_most(interval, limit),
        value=finite(value),
        unit="ms",
        interval=_ends(interval),
        limit=limit,
        samples=arm.n,
        why=f"{number(value)} ms {span(interval)}, at most {limit:g} ms{_why_open(interval, arm)}",
    )


def _judge_relative(
    name: str, q: float, baseline: _Arm, candidate: _Arm, limit: dict[str, float], confidence: float
) -> RuleResult:
    """Both arms' intervals hold together at the confidence where each has half of the error (Bonferroni)."""
    each = 1 - (1 - confidence) / 2
    # A baseline's failure says nothing about how fast it would have been.
    theirs = baseline.latency_without_delay(q, each, failed_low=0.0)
    ours = candidate.latency_without_delay(q, each, failed_low=math.inf)
    return relative(name, ours, theirs, limit, min(baseline.n, candidate.n))


def relative(
    name: str,
    candidate: tuple[float, Interval],
    baseline: tuple[float, Interval],
    limit: dict[str, float],
    samples: int,
) -> RuleResult:
    """Judge a latency in ms, with its interval, against the baseline's: too slow only where ratio and difference are beyond."""
    (ours, (our_low, our_high)), (theirs, (their_low, their_high)) = candidate, baseline
    ratio = _quotient(our_low, their_high, if_unknown=0.0), _quotient(our_high, their_low, if_unknown=math.inf)
    difference = _minus(our_low, their_high, if_unknown=-math.inf), _minus(our_high, their_low, if_unknown=math.inf)
    value = _quotient(ours, theirs, if_unknown=math.nan)
    more = _minus(ours, theirs, if_unknown=math.nan)
    return RuleResult(
        name=name,
        outcome=within_either(ratio, limit["max_ratio"], difference, limit["max_ms"]),
        value=finite(value),
        unit="times the baseline",
        interval=_ends(ratio),
        limit=limit,
        samples=samples,
        why=f"{number(ours)} ms against {number(theirs)} ms: {number(value)} times {span(ratio)} and {number(more)} ms more "
        f"{span(difference)}; too slow only beyond both {limit['max_ratio']:g} times and {limit['max_ms']:g} ms",
    )


def _lag_ms(measured: Table, load: Load, limits: dict[str, float]) -> float:
    """How late a starved generator may have seen an answer: as late as it was in sending, or no one knows how late."""
    if load.cpu > {**_HEALTHY, **limits}["max_cpu"] or not len(measured):
        return math.inf
    return float(measured.delay_ms.max())


def _judge_generator(measured: Table, load: Load, limits: dict[str, float]) -> tuple[RuleResult, Generator]:
    limits = {**_HEALTHY, **limits}
    asked = max(sum(load.asked.values()), len(measured))
    delays = np.append(measured.delay_ms, np.full(asked - len(measured), math.inf))
    delay = float(np.sort(delays)[math.ceil(_DELAY_QUANTILE * asked) - 1]) if asked else math.inf
    healthy = load.cpu <= limits["max_cpu"] and delay <= limits["max_delay_ms"]
    why = (
        f"the generator used {load.cpu:.0%} of a core, at most {limits['max_cpu']:.0%}; "
        f"its own delay p99 was {number(delay)} ms, at most {limits['max_delay_ms']:g} ms"
    )
    if len(measured) < asked:
        why += f"; {asked - len(measured)} of {asked} requests are missing from the recording"
    result = RuleResult(
        name=HEALTH,
        outcome="pass" if healthy else "inconclusive",
        value=finite(delay),
        unit="ms",
        interval=None,
        limit=limits,
        samples=len(measured),
        why=why,
    )
    return result, Generator(cpu=load.cpu, delay_p99_ms=finite(delay))


def _quotient(a: float, b: float, *, if_unknown: float) -> float:
    if b > 0 and not (math.isinf(a) and math.isinf(b)):
        return a / b
    return if_unknown


def _minus(a: float, b: float, *, if_unknown: float) -> float:
    return if_unknown if math.isinf(a) and math.isinf(b) else a - b


def _ends(interval: Interval) -> tuple[float | None, float | None]:
    return finite(interval[0]), finite(interval[1])


def _why_open(interval: Interval, arm: _Arm) -> str:
    if math.isinf(interval[0]):
        return "; too many requests had no good answer"
    if math.isinf(interval[1]):
        return "; too few good answers" if arm.failed or arm.missing else f"; {arm.n} requests are too few"
    return ""
