"""A gate looks at what it has several times, and ends at the first clear answer.

Each look may be wrong, so the looks share what a rule may risk: half of it is for the last, the rest in equal parts for those
before (Bonferroni's bound, which holds however the looks hang together; an alpha-spending function in the sense of Lan and
DeMets, Biometrika 70, 1983, that keeps most for the end). A fail ends the gate at any look; a pass no earlier than
`Rules.earliest_pass_s`.
"""

from collections.abc import Mapping

import msgspec
import numpy as np

from canari.gate.judging import GRACE_SECONDS, Measured, judge_load
from canari.gate.plan import ARMS, Arm, Load
from canari.gate.recording import Table
from canari.gate.rules import Rules
from canari.gate.statistics import Numbers, Risks
from canari.gate.verdict import HEALTH, Look, Outcome, Reading, RuleResult, combine

_FIRST_SECONDS = 1.0  # after the warm-up, with the answers to what was due in them
_FACTOR = 1.4
_LAST_SHARE = 0.5

Due = Mapping[Arm, Numbers]
"""For each arm the seconds from the start of the load at which requests became due, in order."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What a load was judged to be, and when."""

    outcome: Outcome  # of the load's rules
    results: tuple[RuleResult, ...]
    looks: tuple[Look, ...]
    stopped_s: float  # seconds of load that were needed
    measured: Measured


def looks(rules: Rules) -> list[float]:
    """The seconds of load at which a gate looks; the last is its planned end."""
    end = rules.duration_s
    found, after = [], _FIRST_SECONDS
    while (seconds := rules.warmup_s + GRACE_SECONDS + after) < end / _FACTOR:
        found.append(seconds)
        after *= _FACTOR
    return [*found, end]


def risks_at(rules: Rules, seconds: float) -> Risks:
    """What a rule may risk at one look."""
    whole, moments = rules.risks(), looks(rules)
    last = seconds == moments[-1]
    return Risks(
        false_alarm=_part(whole.false_alarm, last, len(moments) - 1),
        miss=_part(whole.miss, last, sum(rules.earliest_pass_s <= moment for moment in moments[:-1])),
    )


def _part(risk: float, last: bool, earlier: int) -> float:
    if last:
        return risk * (_LAST_SHARE if earlier else 1)
    return risk * (1 - _LAST_SHARE) / max(earlier, 1)


def look(table: Table, load: Load, rules: Rules, seconds: float, due: Due | None = None) -> Measured:
    """Judge what was known after so many seconds of the load: the last look sees everything.

    An earlier one sees what was due a second before and answered by then. `due` tells how much that should be; without it a
    request of which nothing is known may have been due at any time.
    """
    risks = risks_at(rules, seconds)
    if seconds >= rules.duration_s:
        return judge_load(table, load, rules, risks)
    until = min(seconds - GRACE_SECONDS, load.duration_s)
    now = load.started + seconds
    seen = table.where((table.intended < load.started + until) & (table.intended + table.latency_ms / 1e3 <= now))
    asked = {arm: _asked(table, load, arm, until, due) for arm in ARMS}
    return judge_load(seen, msgspec.structs.replace(load, duration_s=until, asked=asked), rules, risks)


def _asked(table: Table, load: Load, arm: Arm, until: float, due: Due | None) -> int:
    """How many requests of an arm became due between the warm-up and `until` seconds of load."""
    if due is not None:
        return int(np.searchsorted(due[arm], until) - np.searchsorted(due[arm], load.warmup_s))
    measured = table.intended[(table.arm == arm) & (table.intended >= load.measured_from)]
    missing = max(load.asked[arm] - int(np.count_nonzero(measured < load.measured_to)), 0)
    return int(np.count_nonzero(measured < load.started + until)) + missing


def decides(measured: Measured, rules: Rules, seconds: float) -> bool:
    """Whether a look ends the gate."""
    outcome = combine(measured.results)
    return outcome == "fail" or (outcome == "pass" and seconds >= rules.earliest_pass_s)


def replay(table: Table, load: Load, rules: Rules, due: Due | None = None) -> Judged:
    """Judge a recording look by look, as a running gate does, and stop where it stops.

    `load.duration_s` may be shorter than `rules.duration_s`: then the gate was ended, and the last look is where it was.
    """
    taken: list[Look] = []
    for seconds in looks(rules):
        measured = look(table, load, rules, seconds, due)
        taken.append(_told(measured, seconds))
        if decides(measured, rules, seconds) or seconds >= load.duration_s:
            break
    results = tuple(msgspec.structs.replace(result, decided_s=_decided(result, taken)) for result in measured.results)
    return Judged(outcome=combine(results), results=results, looks=tuple(taken), stopped_s=seconds, measured=measured)


def _told(measured: Measured, seconds: float) -> Look:
    return Look(
        seconds=seconds,
        outcome=combine(measured.results),
        readings={
            result.name: Reading(
                outcome=result.outcome,
                value=result.value,
                low=result.interval[0] if result.interval else None,
                high=result.interval[1] if result.interval else None,
            )
            for result in measured.results
        },
    )


def _decided(result: RuleResult, taken: list[Look]) -> float | None:
    """Since when every look has said the same; None for what was not decided."""
    if result.name == HEALTH or result.outcome == "inconclusive":
        return None
    since = None
    for one in reversed(taken):
        if one.readings[result.name].outcome != result.outcome:
            break
        since = one.seconds
    return since
