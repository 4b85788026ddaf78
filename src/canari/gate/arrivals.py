"""When requests are due: an open loop asks for them on a clock, whatever the server does."""

from collections.abc import Callable, Iterator
from itertools import takewhile
from random import Random

import msgspec
import numpy as np
import numpy.typing as npt

from canari.gate.plan import ARMS, Arm, LoadPlan

_SEED_STEP = 2**32  # no gate's seed and its neighbour's share a worker's


def poisson(rate: float, random: Random) -> Iterator[float]:
    """Seconds from the start at which independent callers, `rate` of them a second, would come (a Poisson process), for ever."""
    due = 0.0
    while True:
        due += random.expovariate(rate)
        yield due


def even(rate: float, random: Random) -> Iterator[float]:
    """Seconds from the start: one arrival at a random moment of each 1 / `rate` seconds, for ever.

    Random within its slot, so that two arms on one clock are interleaved without one always following the other.
    """
    slot = 0
    while True:
        yield (slot + random.random()) / rate
        slot += 1


ARRIVALS: dict[str, Callable[[float, Random], Iterator[float]]] = {"poisson": poisson, "even": even}


def stream(seed: int, purpose: str) -> Random:
    """A random stream of its own for each purpose under one seed."""
    return Random(f"{seed}:{purpose}")  # noqa: S311 (load, not secrets)


def shares(plan: LoadPlan) -> list[LoadPlan]:
    """What each of a plan's workers sends, or the one process that has none: an equal share of the rate, by a seed of its own."""
    count = max(1, plan.workers)
    return [
        msgspec.structs.replace(plan, rate=plan.rate / count, seed=plan.seed + i * _SEED_STEP, workers=0, web_port=None)
        for i in range(count)
    ]


def due_times(plan: LoadPlan) -> dict[Arm, npt.NDArray[np.float64]]:
    """For each arm the seconds from the start at which a plan's requests become due, in order."""
    return {arm: np.sort(np.array([due for share in shares(plan) for due in _offsets(share, arm)], np.float64)) for arm in ARMS}


def _offsets(plan: LoadPlan, arm: Arm) -> Iterator[float]:
    offsets = ARRIVALS[plan.arrivals](plan.rate, stream(plan.seed, f"arrivals {arm}"))
    return takewhile(lambda offset: offset < plan.duration_s, offsets)
