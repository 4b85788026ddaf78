"""The highest rate at which a server keeps its objectives: doubled until it breaks, then halved in between."""

import math
from collections.abc import Callable
from typing import TypeAlias

from canari.gate.judging import GRACE_SECONDS
from canari.gate.words import number
from canari.loadtest.judging import requests_needed
from canari.loadtest.result import Bound, Highest, Step
from canari.loadtest.scenario import Scenario

Measure: TypeAlias = Callable[[float, float], Step]
"""Sends so many requests a second for so many seconds, and judges."""

_NEAR = 1.1  # the lowest rate that breaks in the highest that does not, at which the search ends
_MOST_LOADS = 24
_LOWEST, _HIGHEST = 0.1, 100_000.0  # requests a second
_SHORTEST, _LONGEST = 5.0, 600.0  # seconds of a load


def seconds_at(scenario: Scenario, rate: float) -> float:
    """How long a load at a rate must be to decide the objectives, in seconds; a queue needs some to grow, too."""
    needed = requests_needed(scenario) / rate + scenario.warmup_s + GRACE_SECONDS
    return min(max(needed, _SHORTEST), _LONGEST)


def find_highest(measure: Measure, start: float, seconds: Callable[[float], float]) -> Highest:
    """Search from a rate up and down; `seconds` tells how long a load at a rate is.

    A load that decides nothing is sent once more, for twice as long; one that still does not is no proof that the objectives are
    kept. Where it is the generator that was starved, the search ends: nothing is known of the server beyond.
    """
    steps: list[Step] = []
    kept: float | None = None  # as asked for: what random arrivals make of it is in the steps
    broken: float | None = None
    best = worst = None
    rate = min(max(start, _LOWEST), _HIGHEST)
    bound: Bound = "server"
    while True:
        step = measure(rate, seconds(rate))
        steps.append(step)
        if step.outcome == "inconclusive":
            step = measure(rate, 2 * seconds(rate))
            steps.append(step)
        if step.outcome == "inconclusive" and step.starved:
            bound = "generator"
            break
        if step.outcome == "pass":
            kept, best = rate, step.rate_asked
        else:
            broken, worst = rate, step.rate_asked
        if kept is not None and broken is not None:
            if broken <= _NEAR * kept:
                break
            rate = math.sqrt(kept * broken)
        else:
            rate = 2 * rate if broken is None else rate / 2
        if len(steps) >= _MOST_LOADS or not _LOWEST <= rate <= _HIGHEST:
            bound = "steps"
            break
    why = _why(best, worst, bound, step.rate_asked)
    return Highest(rate=best, broken_at=worst, bound=bound, why=why, steps=tuple(steps))


def _why(kept: float | None, broken: float | None, bound: Bound, last: float) -> str:
    if bound == "generator":
        shown = "no rate was measured that it keeps" if kept is None else f"the objectives are kept at {number(kept)}"
        return f"the generator itself is the limit at {number(last)} requests a second, so the server may bear more; {shown}"
    if kept is None:
        return f"the objectives are not kept, or not shown to be, at any rate down to {number(broken or last)} requests a second"
    if broken is None:
        return f"the objectives are still kept at {number(kept)} requests a second, where the search ends"
    return f"the objectives are kept at {number(kept)} requests a second, and not, or not shown to be, at {number(broken)}"
