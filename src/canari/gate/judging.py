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

from canari.gate.blocks import Blocks, Compared, End, Latencies, block_count
from canari.gate.plan import ARMS, Arm, Load
from canari.gate.recording import Request, Table, to_table
from canari.gate.rules import Rules
from canari.gate.statistics import Interval, Levels, Numbers, Risks, at_least, at_most, finite, share_interval, within_either
from canari.gate.verdict import HEALTH, Generator, RuleResult
from canari.gate.words import number, share, shares, span

GRACE_SECONDS = 1.0  # for answers to the last requests, when throughput is counted
_QUANTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)(_vs_baseline)?")
_HEALTHY = {"max_cpu": 0.9, "max_delay_ms": 100.0}
_DELAY_QUANTILE = 0.99


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What a load gave."""

    results: tuple[RuleResult, ...]
    generator: Generator
    warmup: int  # requests that were dropped
    missing: int  # requests that were asked for and are not in the recording
    starved: bool  # whether the generator was


def judge_load(requests: Sequence[Request] | Table, load: Load, rules: Rules, risks: Risks | None = None) -> Measured:
    """Judge the load rules of `rules`; the generator's health is judged whether or not a rule asks for it.

    `risks` are what one rule may risk at this look; without them it is the only look.
    """
    table = requests if isinstance(requests, Table) else to_table(list(requests))
    table = table.where(_possible(table))
    risks = risks or rules.risks()
    measured = table.where((table.intended >= load.measured_from) & (table.intended < load.measured_to))
    health, generator, starved = _judge_generator(measured, load, rules.limits.get(HEALTH, {}))
    lag = _lag_ms(measured, load, rules.limits.get(HEALTH, {})) if starved else 0.0
    pair = _Pair({arm: _Arm(measured.where(measured.arm == arm), load, load.asked[arm], lag) for arm in ARMS}, load)
    results = [result for name, limit in rules.limits.items() if (result := _judge(name, limit, pair, risks)) is not None]
    return Measured(
        results=(*results, health),
        generator=generator,
        warmup=int(np.count_nonzero(table.intended < load.measured_from)),
        missing=sum(arm.missing for arm in pair.arms.values()),
        starved=starved,
    )


def _possible(table: Table) -> npt.NDArray[np.bool_]:
    """Whether each request's times can be: those of another tell nothing, as if it were missing. A failure needs no time."""
    return table.failed | ((table.delay_ms >= 0) & (table.latency_ms >= 0) & np.isfinite(table.latency_ms))


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

    @property
    def error_rate(self) -> float:
        """Share of the requests asked for that are known to have failed."""
        return self.failed / self.n if self.n else math.nan

    def errors(self, levels: Levels) -> Interval:
        """The share of failed requests."""
        return share_interval(self.surely_failed, self.failed + self.missing, self.n, levels)

    def latencies(self, blocks: int) -> Latencies:
        """For the bootstrap: a failed request is endless, but not where only a starved generator may have missed its answer."""
        table, seconds = self.table, self.load.measured_to - self.load.measured_from
        own = np.where(table.delay_ms <= table.latency_ms, table.latency_ms - table.delay_ms, table.latency_ms)
        least = np.maximum(own - self.lag_ms, 0.0) if self.starved else own
        ends: dict[End, Numbers] = {"least": least, "innocent": least, "most": own, "charged": table.latency_ms}
        if self.failed:
            ends["least"] = np.where(table.failed, np.where(self.sure, math.inf, 0.0), least)
            ends["innocent"] = np.where(table.failed, 0.0, least)
            ends["most"] = np.where(table.failed, math.inf, own)
            ends["charged"] = np.where(table.failed, math.inf, table.latency_ms)
        return Latencies(
            block=np.minimum((table.intended - self.load.measured_from) / seconds * blocks, blocks - 1).astype(np.int64),
            ends=ends,
            missing=self.missing,
        )

    def commonest_error(self) -> str:
        errors, counts = np.unique(self.table.error[self.table.failed], return_counts=True)
        return f"; most often: {errors[counts.argmax()]}" if len(errors) else ""

    def answered_in_time(self) -> int:
        answered = self.table.intended + self.table.latency_ms / 1e3
        return int(np.count_nonzero(~self.table.failed & (answered <= self.load.measured_to + GRACE_SECONDS)))


class _Pair:
    """Both arms, and the blocks of time that they share."""

    def __init__(self, arms: dict[Arm, _Arm], load: Load) -> None:
        self.arms = arms
        self.fewest = min(arm.n for arm in arms.values())
        count = block_count(load.measured_to - load.measured_from)
        self.blocks = Blocks({name: arm.latencies(count) for name, arm in arms.items()}, count)


def _judge(name: str, limit: dict[str, float], pair: _Pair, risks: Risks) -> RuleResult | None:
    """By one rule of the load; None for a rule of something else."""
    quantile = _QUANTILE.fullmatch(name)
    if quantile and quantile[2]:
        compared = pair.blocks.compared(float(quantile[1]) / 100, either(risks))
        return relative(name, compared, limit, pair.fewest)
    if name == "error_rate_vs_baseline":
        return _judge_more_errors(name, pair, limit["max"], risks)
    if name == "exceedance_vs_baseline":
        return _judge_exceedance(name, pair, limit, risks)
    result = _judge_alone(name, limit, pair, "candidate", risks)
    if result is not None and result.outcome == "fail":
        same = _judge_alone(name, limit, pair, "baseline", risks)
        if same is not None and same.outcome == "fail":
            why = f"{result.why}; the baseline fails it too in the same seconds, so that it says nothing of the candidate"
            return msgspec.structs.replace(result, outcome="inconclusive", why=why)
    return result


def _judge_alone(name: str, limit: dict[str, float], pair: _Pair, of: Arm, risks: Risks) -> RuleResult | None:
    """One arm by a rule that compares nothing; None for another rule."""
    arm = pair.arms[of]
    if name == "error_rate":
        result = judge_share(name, arm.failed, arm.n, limit["max"], risks, least=arm.surely_failed,
                             most=arm.failed + arm.missing, what="requests had no good answer")  # fmt: skip
        return msgspec.structs.replace(result, why=result.why + arm.commonest_error())
    if name == "throughput":
        return _judge_throughput(arm, limit["min"], risks)
    if quantile := _QUANTILE.fullmatch(name):
        return _judge_quantile(name, float(quantile[1]) / 100, pair, of, limit["max_ms"], risks)
    return None


def judge_share(
    name: str,
    count: int,
    n: int,
    limit: float,
    risks: Risks,
    *,
    least: int | None = None,
    most: int | None = None,
    what: str,
) -> RuleResult:
    """Judge that at most the share `limit` of n cases is bad; `count` were seen, `least` to `most` there may have been."""
    interval = share_interval(count if least is None else least, count if most is None else most, n, risks.of_most)
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


def _judge_throughput(arm: _Arm, limit: float, risks: Risks) -> RuleResult:
    answered = arm.answered_in_time()
    most = arm.n if arm.starved else answered + arm.missing
    interval = share_interval(answered, most, arm.n, risks.of_least)
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


def _judge_quantile(name: str, q: float, pair: _Pair, of: Arm, limit: float, risks: Risks) -> RuleResult:
    value, interval = pair.blocks.quantile(of, q, risks.of_most)
    arm = pair.arms[of]
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


def either(risks: Risks) -> Levels:
    """Of two intervals of which one alone lets the candidate pass, and only both together fail it."""
    return Levels(risks.false_alarm, risks.miss / 2)


def relative(name: str, compared: Compared, limit: dict[str, float], samples: int) -> RuleResult:
    """Judge a latency against the baseline's: too slow only where ratio and difference are beyond."""
    ours, theirs = compared.ours, compared.theirs
    known = math.isfinite(theirs) and theirs > 0
    value, more = (ours / theirs, ours - theirs) if known else (math.nan, math.nan)
    return RuleResult(
        name=name,
        outcome=within_either(compared.ratio, limit["max_ratio"], compared.difference, limit["max_ms"]),
        value=finite(value),
        unit="times the baseline",
        interval=_ends(compared.ratio),
        limit=limit,
        samples=samples,
        why=f"{number(ours)} ms against {number(theirs)} ms: {number(value)} times {span(compared.ratio)} and {number(more)} ms "
        f"more {span(compared.difference)}; too slow only beyond both {limit['max_ratio']:g} times and {limit['max_ms']:g} ms",
    )


def _judge_more_errors(name: str, pair: _Pair, limit: float, risks: Risks) -> RuleResult:
    """By the difference of two exact intervals, each at half of the risk."""
    each = risks.of_most.shared(2)
    ours, theirs = pair.arms["candidate"], pair.arms["baseline"]
    lowest, highest = ours.errors(Levels(each.low, each.high))
    their_lowest, their_highest = theirs.errors(Levels(each.high, each.low))
    interval = lowest - their_highest, highest - their_lowest
    value = ours.error_rate - theirs.error_rate
    return RuleResult(
        name=name,
        outcome=at_most(interval, limit),
        value=finite(value),
        unit="share",
        interval=interval,
        limit=limit,
        samples=pair.fewest,
        why=f"{ours.failed} of {ours.n} requests had no good answer, {theirs.failed} of {theirs.n} of the baseline's: "
        f"{share(value)} more {shares(interval)}, at most {share(limit)}",
    )


def _judge_exceedance(name: str, pair: _Pair, limit: dict[str, float], risks: Risks) -> RuleResult:
    estimate, above, (ours, theirs) = pair.blocks.exceedance(limit["times"], limit.get("min_ms", 0.0), risks.of_most)
    return RuleResult(
        name=name,
        outcome=at_most(estimate.interval, limit["max"]),
        value=finite(estimate.value),
        unit="share",
        interval=estimate.interval,
        limit=limit["max"],
        samples=pair.fewest,
        why=f"{share(ours)} of the requests took more than {number(above)} ms, {share(theirs)} of the baseline's: "
        f"{share(estimate.value)} more {shares(estimate.interval)}, at most {share(limit['max'])}",
    )


def _lag_ms(measured: Table, load: Load, limits: dict[str, float]) -> float:
    """How late a starved generator may have seen an answer: as late as it was in sending, or no one knows how late."""
    if load.cpu > {**_HEALTHY, **limits}["max_cpu"] or not len(measured):
        return math.inf
    lag = float(measured.delay_ms.max())
    return lag if math.isfinite(lag) else math.inf


def _judge_generator(measured: Table, load: Load, limits: dict[str, float]) -> tuple[RuleResult, Generator, bool]:
    """Its result, how it fared, and whether it was starved.

    Where requests are missing no gate passes: what an earlier look failed might be among them.
    """
    limits = {**_HEALTHY, **limits}
    asked = max(sum(load.asked.values()), len(measured))
    delays = np.append(measured.delay_ms, np.full(asked - len(measured), math.inf))
    delay = float(np.sort(delays)[math.ceil(_DELAY_QUANTILE * asked) - 1]) if asked else math.inf
    healthy = load.cpu <= limits["max_cpu"] and delay <= limits["max_delay_ms"]
    why = (
        f"the generator used {load.cpu:.0%} of a core, at most {limits['max_cpu']:.0%}; "
        f"its own delay p99 was {number(delay)} ms, at most {limits['max_delay_ms']:g} ms"
    )
    missing = asked - len(measured)
    if missing:
        why += f"; {missing} of {asked} requests are missing from the recording"
    result = RuleResult(
        name=HEALTH,
        outcome="pass" if healthy and not missing else "inconclusive",
        value=finite(delay),
        unit="ms",
        interval=None,
        limit=limits,
        samples=len(measured),
        why=why,
    )
    return result, Generator(cpu=load.cpu, delay_p99_ms=finite(delay)), not healthy


def _ends(interval: Interval) -> tuple[float | None, float | None]:
    return finite(interval[0]), finite(interval[1])


def _why_open(interval: Interval, arm: _Arm) -> str:
    if math.isinf(interval[0]):
        return "; too many requests had no good answer"
    if math.isinf(interval[1]):
        return "; too few good answers" if arm.failed or arm.missing else f"; {arm.n} requests are too few"
    return ""
