"""When requests are due: an open loop asks for them on a clock, whatever the server does."""

from collections.abc import Callable, Iterator
from random import Random


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
