"""When a scenario's requests are due: arrivals whose rate changes with time."""

import math
from collections.abc import Iterator, Sequence

from canari.gate.arrivals import ARRIVALS, stream
from canari.loadtest.scenario import Stage


def staged(stages: Sequence[Stage], kind: str, seed: int) -> Iterator[float]:
    """Seconds from the start at which requests are due, in order, through all stages.

    Arrivals at rate 1 on a stretched clock: one that is due when x requests are to have come is due when the integral of the
    rate is x. With Poisson arrivals this is the Poisson process of that rate (Çinlar, Introduction to Stochastic Processes,
    1975, section 4.7; it is exact and, unlike thinning, throws none away).
    """
    begins, before = 0.0, 0.0  # seconds, and requests, until the stage
    remaining = iter(stages)
    stage = next(remaining)
    for count in ARRIVALS[kind](1.0, stream(seed, "arrivals")):
        while count - before >= stage.requests:
            begins, before = begins + stage.seconds, before + stage.requests
            following = next(remaining, None)
            if following is None:
                return
            stage = following
        yield begins + _seconds_until(stage, count - before)


def _seconds_until(stage: Stage, count: float) -> float:
    """After how many seconds of a stage `count` requests are due, on average: where rate * t + slope * t² / 2 is that many."""
    slope = (stage.end - stage.start) / stage.seconds
    root = math.sqrt(max(stage.start**2 + 2 * slope * count, 0.0))
    # In this form nothing cancels, whatever the signs.
    return min(2 * count / (stage.start + root), stage.seconds) if count > 0 else 0.0
