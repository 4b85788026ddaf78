"""How long a gate must last to tell what its rules forbid from what they allow, found before any release.

From a recording of the stable version against itself whole stretches of seconds are drawn with replacement, both arms together,
and put together to gates of any length. In each stretch the arms' parts are changed at random, so that a drawn candidate differs
from its baseline in nothing but chance: it should pass. With a fault put into its requests that is beyond one rule's limit, that
rule should fail it. The shortest gate in which both happen in the wanted share of the draws is found by bisection, with the risks
that the rules have at the gate's end; then whole gates are judged look by look, as a running one is (simulated power, as in Efron
and Tibshirani, An Introduction to the Bootstrap, 1993, section 25).
"""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import stats

from canari.errors import CanariError, UsageError
from canari.gate import recording
from canari.gate.http import NoAnswerError
from canari.gate.judging import judge_load
from canari.gate.plan import ARMS, Load, LoadPlan
from canari.gate.recording import Request, Table, to_table
from canari.gate.rows import GENERATED, ask_signature, generate, read_csv, records
from canari.gate.rules import Rules
from canari.gate.sending import send
from canari.gate.sequence import look, replay
from canari.gate.statistics import Risks
from canari.gate.verdict import HEALTH, Outcome, RuleResult
from canari.gate.words import number, share

LONGEST_S = 3600.0

_REQUESTS = "requests.ndjson"
_SHORTEST_S = 5.0
_FEWEST_S = 20.0  # of a recording, after the warm-up
_MOST_REQUESTS = 4_000_000  # of one simulated gate, for the memory's sake
_PRECISION = 1.15  # of the lengths that are found
_LENGTHENED = 1.2
_ROUNDED_S = 5.0
_LONGEST_STRETCH_S = 30.0
_STRETCHES = 12
_OTHER_RATE = 0.1  # share by which a recording's rate may differ from the rules'
_LONGEST_GAP = 60.0  # times the mean time between two requests, and seconds
_SEED = 7
_LEAST_MS = 1e-3

_MEDIAN = Risks(0.5, 0.5)  # intervals that shrink to the value
_ONE_ERROR = float(stats.norm.sf(1.0))  # the risk of an interval's end that lies one standard error from the value
_ENDLESS_SPREAD = 2.0  # times the seconds' noise, from which stretches differ more than seconds explain

_QUANTILE = re.compile(r"p\d+(?:\.\d+)?(_vs_baseline)?")
_SHARES = ("error_rate", "error_rate_vs_baseline", "exceedance_vs_baseline", "throughput")

Effect = Callable[[Table, npt.NDArray[np.bool_], np.random.Generator], Table]
"""Changes the requests of a table that are marked, the candidate's."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule forbids."""

    allowed: str  # the rule's limit, in words
    forbidden: str  # what must fail
    effect: Effect


class RuleNeeds(msgspec.Struct, frozen=True, kw_only=True):
    """How many seconds of load one rule needs."""

    name: str
    allowed: str
    forbidden: str
    noise: float | None  # standard error after one second, by the bootstrap; a share of the value, of a rule of shares itself
    spread: float | None  # the same, by how much stretches of the recording differ
    passes_s: float | None  # until it passes an unchanged candidate; None: not within `Needs.longest_s`
    fails_s: float | None  # until it fails the forbidden one
    why: str = ""  # where it never can


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """How long a gate must last."""

    rules: tuple[RuleNeeds, ...]
    not_planned: tuple[str, ...]  # rules of something else than the load
    seconds: float | None  # of load; None: not within `longest_s`
    passed: float  # share of whole simulated gates of that length that passed an unchanged candidate
    failed: float  # that failed it
    longest_s: float
    rate: float  # requests a second to each arm
    power: float

    def too_short(self, seconds: float) -> str | None:
        """Why a gate of so many seconds is too short; None where it is long enough."""
        if self.seconds is not None and seconds >= self.seconds:
            return None
        late = [one for one in self.rules if not (one.passes_s and one.fails_s and max(one.passes_s, one.fails_s) <= seconds)]
        reasons = [
            f"{one.name} needs {_length(one.passes_s, self.longest_s)} to pass an unchanged candidate and "
            f"{_length(one.fails_s, self.longest_s)} to fail {one.forbidden}"
            for one in late
        ]
        if not reasons:
            reasons = [f"all rules together need {self.seconds:g} s" if self.seconds else "not all rules together ever pass"]
        return f"{seconds:g} s of load are too short: {'; '.join(reasons)}"


def record_same(
    baseline_url: str, candidate_url: str, rules: Rules, out: Path, *, rows_file: Path | None = None, seed: int = 0
) -> list[Request]:
    """Send the rules' load to two servers of the stable version, and keep the recording in `out`.

    Raises `CanariError` where one of them cannot be measured, or serves another version than the other.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / _REQUESTS).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{out}: cannot be written: {error.strerror}") from None
    try:
        baseline, candidate = (ask_signature(url, rules.timeout_s) for url in (baseline_url, candidate_url))
    except NoAnswerError as error:
        raise CanariError(f"a server cannot be measured: {error}") from None
    if baseline.tag != candidate.tag:
        raise UsageError(f"expected two servers of one version, came {baseline.tag} and {candidate.tag}")
    columns = generate(baseline.inputs, GENERATED, seed) if rows_file is None else read_csv(rows_file, baseline.inputs)
    plan = LoadPlan(
        urls={"baseline": baseline_url, "candidate": candidate_url},
        rows=records(columns),
        rate=rules.rate,
        arrivals=rules.arrivals,
        duration_s=rules.duration_s,
        warmup_s=rules.warmup_s,
        timeout_s=rules.timeout_s,
        seed=seed,
        locustfile=rules.locustfile,
        recording=str(out / _REQUESTS),
    )
    send(plan, (), lambda *_: False)
    return recording.read(out / _REQUESTS)


def plan_gate(
    requests: Sequence[Request],
    rules: Rules,
    *,
    power: float = 0.95,
    excess: float = 1.0,
    runs: int = 100,
    tell: Callable[[str], object] = str,
) -> Needs:
    """How long a gate with `rules` must last, from a recording of the stable version against itself.

    What must fail is beyond a rule's limit by `excess` times as much as the limit is beyond no change. `runs` gates are drawn of
    each length; `tell` is called with what is simulated now, which takes minutes where gates must be long. Raises `UsageError`
    where the recording does not fit the rules, or its arms are not alike.
    """
    source = _Source(_checked(requests, rules), rules)
    longest = min(LONGEST_S, _MOST_REQUESTS / (2 * rules.rate))
    simulation = _Simulation(source, rules, power, runs, longest, tell)
    names = [name for name in rules.limits if _of_load(name)]
    if not names:
        raise UsageError(f"{rules.file}: no rule of the load, whose length could be planned")
    needs = tuple(simulation.needs(name, excess) for name in names)
    seconds, outcomes = simulation.whole(needs)
    return Needs(
        rules=needs,
        not_planned=tuple(name for name in rules.limits if name not in names and name != HEALTH),
        seconds=seconds,
        passed=outcomes.count("pass") / max(len(outcomes), 1),
        failed=outcomes.count("fail") / max(len(outcomes), 1),
        longest_s=longest,
        rate=rules.rate,
        power=power,
    )


def _of_load(name: str) -> bool:
    return name in _SHARES or _QUANTILE.fullmatch(name) is not None


def _checked(requests: Sequence[Request], rules: Rules) -> Table:
    """What was recorded after the warm-up, from second 0 on; refused where no gate of stable against itself looks so."""
    table = to_table(requests)
    if strange := sorted({*table.arm.tolist()} - {*ARMS}):
        raise UsageError(f"the recording is not a gate's: expected requests to baseline and candidate, came {strange[0]!r}")
    if silent := [arm for arm in ARMS if arm not in table.arm]:
        raise UsageError(f"the recording has no request to the {silent[0]}")
    if broken := [arm for arm in ARMS if table.failed[table.arm == arm].all()]:
        raise UsageError(f"the recording has no good answer of the {broken[0]}")
    gaps = np.diff(table.intended)
    if (gaps > max(_LONGEST_GAP / (2 * rules.rate), 1.0)).any():
        raise UsageError(
            f"the recording has a gap of {number(float(gaps.max()))} s: a clock jumped, or it is of more than one load"
        )
    table = table.where(table.intended >= table.intended[0] + rules.warmup_s)
    table = msgspec.structs.replace(table, intended=table.intended - table.intended[0]) if len(table) else table
    seconds = _seconds(table)
    if seconds < _FEWEST_S:
        raise UsageError(
            f"the recording has {number(seconds)} s of load after the warm-up of {rules.warmup_s:g} s, "
            f"expected {_FEWEST_S:g} or more"
        )
    for arm in ARMS:
        rate = int(np.count_nonzero(table.arm == arm)) / seconds
        if abs(rate / rules.rate - 1) > _OTHER_RATE:
            raise UsageError(
                f"the recording has {number(rate)} requests a second to the {arm}, {rules.file} asks for {rules.rate:g}: "
                "record it with the same rules"
            )
    return table


def _seconds(table: Table) -> float:
    return float(table.intended[-1]) if len(table) else 0.0


def _load(table: Table, rules: Rules, seconds: float, warmup: float) -> Load:
    """A load that has nothing else than these requests."""
    judged = table.intended >= warmup
    asked = {arm: int(np.count_nonzero(judged & (table.arm == arm))) for arm in ARMS}
    return Load(
        started=0.0, duration_s=seconds, warmup_s=warmup, rate=rules.rate, timeout_s=rules.timeout_s, asked=asked, cpu=0.0
    )


class _Source:
    """The recording that gates are drawn from."""

    def __init__(self, table: Table, rules: Rules) -> None:
        self.table = table
        self.rules = rules
        self.seconds = _seconds(table)
        self._other = np.where(table.arm == ARMS[0], ARMS[1], ARMS[0])
        self._stretch = min(self.seconds / 6, _LONGEST_STRETCH_S)
        self.swapped = msgspec.structs.replace(table, arm=self._other)
        self.same = self._judge(self.table, _MEDIAN)
        self._refuse_unlike()

    def _judge(self, table: Table, risks: Risks) -> dict[str, RuleResult]:
        seconds = np.nextafter(_seconds(table), math.inf)
        measured = judge_load(table, _load(table, self.rules, seconds, 0.0), self.rules, risks)
        return {result.name: result for result in measured.results}

    def _refuse_unlike(self) -> None:
        if self.same[HEALTH].outcome != "pass":
            raise UsageError(f"the recording says little of the servers: {self.same[HEALTH].why}")
        for judged in (self.same, self._judge(self.swapped, _MEDIAN)):
            for name, result in judged.items():
                if name.endswith("_vs_baseline") and result.outcome == "fail":
                    raise UsageError(
                        f"the recording's two arms, which should be one version, differ by more than {name} allows: "
                        f"{result.why}; another version, unlike servers, or too short a recording"
                    )

    def typical(self, name: str) -> float:
        """A rule's value, of both arms."""
        value = self.same[name].value
        return math.nan if value is None else value

    def noise(self, name: str) -> float | None:
        """The standard error of a rule's value after one second of load, by the bootstrap over blocks of the whole recording."""
        miss = _ONE_ERROR * (2 if _QUANTILE.fullmatch(name) and name.endswith("_vs_baseline") else 1)
        result = self._judge(self.table, Risks(_ONE_ERROR, miss))[name]
        end = result.interval[0 if name == "throughput" else 1] if result.interval else None
        if end is None or result.value is None:
            return None
        return abs(_scale(name, end) - _scale(name, result.value)) * math.sqrt(self.seconds)

    def spread(self, name: str) -> float | None:
        """The same, from how much stretches of the recording differ."""
        length = self.seconds / _STRETCHES
        values = []
        for start in np.arange(_STRETCHES) * length:
            cut = self.table.where((self.table.intended >= start) & (self.table.intended < start + length))
            cut = msgspec.structs.replace(cut, intended=cut.intended - start)
            value = self._judge(cut, _MEDIAN)[name].value if len(cut) else None
            if value is not None:
                values.append(_scale(name, value))
        return float(np.std(values, ddof=1)) * math.sqrt(length) if len(values) > 1 and np.isfinite(values).all() else None

    def draw(self, run: int, seconds: float) -> Table:
        """The requests of a gate of so many seconds, the same for the same `run`; not those of a longer one."""
        count = math.ceil(seconds / self._stretch)
        chance = _random(run, seconds, "stretches").random((count, 2))
        starts = chance[:, 0] * (self.seconds - self._stretch)
        first = np.searchsorted(self.table.intended, starts)
        last = np.searchsorted(self.table.intended, starts + self._stretch)
        rows = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])
        shift = np.repeat(np.arange(count) * self._stretch - starts, last - first)
        swap = np.repeat(chance[:, 1] < 0.5, last - first)
        drawn = Table(**{field: getattr(self.table, field)[rows] for field in self.table.__struct_fields__})
        drawn = msgspec.structs.replace(
            drawn, intended=drawn.intended + shift, arm=np.where(swap, self._other[rows], self.table.arm[rows])
        )
        return drawn.where(drawn.intended < seconds)


def _random(run: int, seconds: float, purpose: str) -> np.random.Generator:
    """A random stream of its own for each purpose in each simulated gate."""
    return np.random.default_rng([_SEED, run, round(1e3 * seconds), *purpose.encode()])


def _scale(name: str, value: float) -> float:
    """On which errors add up: a latency's logarithm, a share itself."""
    return math.log(max(value, 1e-9)) if _QUANTILE.fullmatch(name) else value


class _Simulation:
    """Gates drawn from a recording and judged."""

    def __init__(
        self, source: _Source, rules: Rules, power: float, runs: int, longest: float, tell: Callable[[str], object]
    ) -> None:
        self.source = source
        self.rules = rules
        self.power = power
        self.runs = runs
        self.longest = longest
        self.tell = tell
        self._unchanged: dict[tuple[int, float], dict[str, Outcome]] = {}  # by run and seconds, of each rule
        self._ended: dict[float, list[Outcome]] = {}  # whole gates, by seconds

    def needs(self, name: str, excess: float) -> RuleNeeds:
        """How long one rule needs."""
        limit = self.rules.limits[name]
        typical = self.source.typical(name)
        fault = fault_of(name, limit, typical, self._theirs(name), excess)
        beyond = typical < limit["min"] if name == "throughput" else _beyond(name, limit, typical)
        spread, noise = self.source.spread(name), self.source.noise(name)
        why = ""
        if beyond:
            why = f"the stable version itself is beyond it, with {_amount(name, typical)}"
        elif noise and spread and spread > _ENDLESS_SPREAD * noise:
            why = "the recording's stretches differ more than its seconds: record for longer"
        return RuleNeeds(
            name=name,
            allowed=fault.allowed,
            forbidden=fault.forbidden,
            noise=noise,
            spread=spread,
            passes_s=None if beyond else self._shortest(name, lambda run, seconds: self._passes(name, run, seconds)),
            fails_s=None if beyond else self._shortest(name, lambda run, seconds: self._fails(name, fault.effect, run, seconds)),
            why=why,
        )

    def whole(self, needs: Sequence[RuleNeeds]) -> tuple[float | None, list[Outcome]]:
        """The length at which whole gates, too, are clear about an unchanged candidate, and how they ended."""
        lengths = [seconds for one in needs for seconds in (one.passes_s, one.fails_s)]
        seconds = math.inf if None in lengths else max(length or 0.0 for length in lengths)
        while seconds <= self.longest:
            seconds = math.ceil(seconds / _ROUNDED_S) * _ROUNDED_S
            if self._often("all rules", self._is_clear, seconds):
                return seconds, self._ended[seconds]
            seconds *= _LENGTHENED
        return None, []

    def _is_clear(self, run: int, seconds: float) -> bool:
        rules = self._load_rules(self.rules).lasting(seconds)
        table = self.source.draw(run, seconds)
        outcome = replay(table, _load(table, rules, seconds, rules.warmup_s), rules).outcome
        self._ended.setdefault(seconds, []).append(outcome)
        return outcome != "inconclusive"

    @property
    def _enough(self) -> int:
        return math.ceil(self.power * self.runs - 1e-9)

    def _theirs(self, name: str) -> float:
        """The stable version's latency in ms at the quantile of a relative rule, or its median."""
        quantile = float(name[1:].removesuffix("_vs_baseline")) / 100 if _QUANTILE.fullmatch(name) else 0.5
        table = self.source.table
        own = table.latency_ms - table.delay_ms
        return max(float(np.quantile(own[~table.failed], quantile)), _LEAST_MS)

    def _load_rules(self, rules: Rules) -> Rules:
        """The rules of the load alone, each at the risk that it has beside the others."""
        return _alone(rules, [name for name in rules.limits if _of_load(name) or name == HEALTH])

    def _passes(self, name: str, run: int, seconds: float) -> bool:
        if (run, seconds) not in self._unchanged:
            self._unchanged[run, seconds] = self._last_look(self._load_rules(self.rules), self.source.draw(run, seconds), seconds)
        return self._unchanged[run, seconds][name] == "pass"

    def _fails(self, name: str, effect: Effect, run: int, seconds: float) -> bool:
        drawn = self.source.draw(run, seconds)
        changed = effect(drawn, drawn.arm == "candidate", _random(run, seconds, "fault"))
        return self._last_look(_alone(self.rules, [name]), changed, seconds)[name] == "fail"

    def _last_look(self, rules: Rules, table: Table, seconds: float) -> dict[str, Outcome]:
        rules = rules.lasting(seconds)
        measured = look(table, _load(table, rules, seconds, rules.warmup_s), rules, seconds)
        return {result.name: result.outcome for result in measured.results}

    def _shortest(self, name: str, holds: Callable[[int, float], bool]) -> float | None:
        """The shortest length at which something holds in the wanted share of the runs; None: not within the longest."""
        low, high = 0.0, _SHORTEST_S
        while not self._often(name, holds, high):
            if high >= self.longest:
                return None
            low, high = high, min(2 * high, self.longest)
        while low and high / low > _PRECISION:
            middle = math.sqrt(low * high)
            if self._often(name, holds, middle):
                high = middle
            else:
                low = middle
        return high

    def _often(self, name: str, holds: Callable[[int, float], bool], seconds: float) -> bool:
        """Whether it holds in the wanted share of the runs; half of them are enough where it holds in each."""
        self.tell(f"{name}: gates of {number(seconds)} s are simulated")
        exceptions = 0
        for run in range(self.runs):
            exceptions += not holds(run, seconds)
            if exceptions > self.runs - self._enough:
                return False
            if not exceptions and run + 1 >= self.runs / 2:
                break
        return True


def _alone(rules: Rules, names: Sequence[str]) -> Rules:
    """Some of the rules, each at the risk of a false alarm that it has beside all of them."""
    every, some = (max(sum(name != HEALTH for name in of), 1) for of in (rules.limits, names))
    return msgspec.structs.replace(
        rules, limits={name: rules.limits[name] for name in names}, false_alarms=rules.false_alarms * some / every
    )


def _beyond(name: str, limit: dict[str, float], typical: float) -> bool:
    """Whether the stable version itself breaks a rule that compares nothing."""
    return not name.endswith("_vs_baseline") and not typical <= limit.get("max_ms", limit.get("max", math.inf))


def fault_of(name: str, limit: dict[str, float], typical: float, theirs: float, excess: float) -> Fault:
    """What a rule of the load forbids: beyond its limit by `excess` times as much as the limit is beyond no change.

    `typical` is the rule's value for the stable version against itself, `theirs` the stable version's latency in ms at the rule's
    quantile, or its median.
    """

    def beyond(limit: float, none: float) -> float:
        return limit + excess * (limit - none)

    if name == "error_rate":
        wanted = min(beyond(limit["max"], typical), 1.0)
        effect = _failing((wanted - typical) / max(1 - typical, 1e-9))
        return Fault(allowed=share(limit["max"]), forbidden=share(wanted), effect=effect)
    if name == "error_rate_vs_baseline":
        wanted = min(beyond(limit["max"], 0.0), 1.0)
        return Fault(allowed=f"{share(limit['max'])} more", forbidden=f"{share(wanted)} more", effect=_failing(wanted))
    if name == "throughput":
        wanted = max(beyond(limit["min"], typical), 0.0)
        return Fault(allowed=share(limit["min"]), forbidden=share(wanted), effect=_failing(1 - wanted / max(typical, wanted)))
    if name == "exceedance_vs_baseline":
        wanted = min(beyond(limit["max"], 0.0), 1.0)
        above = max(limit["times"] * theirs, limit.get("min_ms", 0.0))
        return Fault(
            allowed=f"{share(limit['max'])} more over {number(above)} ms",
            forbidden=f"{share(wanted)} more over {number(above)} ms",
            effect=_lingering(wanted, 2 * above),
        )
    if name.endswith("_vs_baseline"):
        allowed = max(limit["max_ratio"], 1 + limit["max_ms"] / theirs)
        wanted = max(beyond(limit["max_ratio"], 1.0), 1 + beyond(limit["max_ms"], 0.0) / theirs)
        return Fault(allowed=f"{number(allowed)} times", forbidden=f"{number(wanted)} times", effect=_slower(wanted))
    wanted = beyond(limit["max_ms"], typical)
    return Fault(
        allowed=f"{limit['max_ms']:g} ms",
        forbidden=f"{number(wanted)} ms",
        effect=_slower(max(wanted / theirs, 1.0)),
    )


def _slower(factor: float) -> Effect:
    """All requests take `factor` times as long; of that only the rule's quantile counts."""

    def effect(table: Table, chosen: npt.NDArray[np.bool_], _random: np.random.Generator) -> Table:
        slower = table.delay_ms + factor * (table.latency_ms - table.delay_ms)
        return msgspec.structs.replace(table, latency_ms=np.where(chosen, slower, table.latency_ms))

    return effect


def _failing(part: float) -> Effect:
    """Each request fails with the probability `part`."""

    def effect(table: Table, chosen: npt.NDArray[np.bool_], random: np.random.Generator) -> Table:
        failed = chosen & (random.random(len(table)) < part)
        return msgspec.structs.replace(
            table, error=np.where(failed, "HTTP 500", table.error), status=np.where(failed, 500, table.status)
        )

    return effect


def _lingering(part: float, ms: float) -> Effect:
    """Each request takes at least `ms` with the probability `part`."""

    def effect(table: Table, chosen: npt.NDArray[np.bool_], random: np.random.Generator) -> Table:
        late = chosen & (random.random(len(table)) < part)
        return msgspec.structs.replace(
            table, latency_ms=np.where(late, np.maximum(table.latency_ms, table.delay_ms + ms), table.latency_ms)
        )

    return effect


def _amount(name: str, value: float) -> str:
    return f"{number(value)} ms" if _QUANTILE.fullmatch(name) else share(value)


def _length(seconds: float | None, longest: float) -> str:
    return f"more than {longest:g} s" if seconds is None else f"{number(seconds)} s"
