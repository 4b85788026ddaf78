"""A noisy neighbour: processes that take every core for a random half of the time, in stretches of 2 to 20 s."""

import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

_SHORTEST, _LONGEST = 2.0, 20.0  # seconds


def stretches(seed: int) -> Iterator[float]:
    """Seconds of work, of rest, of work, ... for ever."""
    random = Random(seed)
    while True:
        yield random.uniform(_SHORTEST, _LONGEST)


@contextmanager
def noisy_neighbour(seed: int) -> Iterator[None]:
    """One while the `with` block runs: a process for each core, all at work in the same stretches."""
    context = multiprocessing.get_context("spawn")
    hogs = [context.Process(target=_work_and_rest, args=(seed, os.getpid()), daemon=True) for _ in range(os.cpu_count() or 1)]
    for hog in hogs:
        hog.start()
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.join()


def _work_and_rest(seed: int, parent: int) -> None:
    until, working = time.monotonic(), Random(f"{seed}:first").random() < 0.5
    for seconds in stretches(seed):
        until += seconds
        while time.monotonic() < until:
            if os.getppid() != parent:
                return
            if working:
                _spin(0.1)
            else:
                time.sleep(0.1)
        working = not working


def _spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
