"""Intervals without assumptions about a distribution, and the decision that they allow.

An interval's two ends have risks of their own: beyond the one a candidate fails, and its risk is that of a false alarm; the other
lets it pass, and its risk is that of a miss.

What was not seen is not left out: requests that are missing from a recording count as good at one end of an interval and as
bad at the other. So losing data widens an interval, and never turns a fail into a pass.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from canari.gate.verdict import Outcome

Interval = tuple[float, float]
Numbers = npt.NDArray[np.float64]

_DRAWS = 2000
_DRAWS_BEYOND = 20  # at either end, so that the end itself is known
_MOST_DRAWS = 40_000
_DISTANCE_POINTS = 256


class Risks(NamedTuple):
    """How often one rule may be wrong."""

    false_alarm: float  # fail what keeps to the limit
    miss: float  # pass what does not

    @property
    def of_most(self) -> "Levels":
        """For a limit from above: fails by the lower end of the interval, passes by the upper."""
        return Levels(self.false_alarm, self.miss)

    @property
    def of_least(self) -> "Levels":
        """For a limit from below, the other way round."""
        return Levels(self.miss, self.false_alarm)


class Levels(NamedTuple):
    """How often the truth may lie below the lower end of an interval, and how often above the upper."""

    low: float
    high: float

    def shared(self, by: int) -> "Levels":
        """For each of several intervals that must hold together (Bonferroni)."""
        return Levels(self.low / by, self.high / by)


def share_interval(least: int, most: int, n: int, levels: Levels) -> Interval:
    """The share behind k of n cases, where all that is known is `least` <= k <= `most`.

    Clopper and Pearson's exact interval (Biometrika 26, 1934): its lower end for `least`, its upper end for `most`.
    """
    if n == 0:
        return 0.0, 1.0
    most = min(most, n)
    low = float(stats.beta.ppf(levels.low, least, n - least + 1)) if least else 0.0
    high = float(stats.beta.ppf(1 - levels.high, most + 1, n - most)) if most < n else 1.0
    return low, high


def quantile_ranks(n: int, q: float, levels: Levels) -> tuple[int, int]:
    """Ranks l and u, from 1, such that the q-quantile lies between the l-th and u-th smallest of n independent values.

    Distribution-free, from the binomial law of the number of values below the quantile (David and Nagaraja, Order Statistics,
    3rd edition, 7.1). l = 0 or u = n + 1 says that n values do not bound the quantile on that side.
    """
    first, last = stats.binom.ppf((levels.low, 1 - levels.high), n, q)
    return int(first), int(last) + 1


def mean_interval(values: Sequence[float] | Numbers, levels: Levels, seed: int) -> Interval:
    """The mean behind `values` [n], n > 0, by the percentile bootstrap over rows (Efron, Annals of Statistics 7, 1979)."""
    values = np.asarray(values, np.float64)
    means = np.concatenate([weights @ values / len(values) for weights in _draws(len(values), levels, seed)])
    low, high = np.quantile(means, [levels.low, 1 - levels.high])
    return float(low), float(high)


def distance_interval(baseline: Numbers, candidate: Numbers, levels: Levels, seed: int) -> tuple[float, Interval]:
    """The largest difference between the distributions of two predictions on the same rows [n] each, and its interval.

    Kolmogorov and Smirnov's distance. That of a resample (pairs of predictions, with replacement) from the one observed bounds
    how far the latter is from the truth (Bickel and Freedman, Annals of Statistics 9, 1981, section 4).
    """
    points = np.unique(np.concatenate([baseline, candidate]))
    if len(points) > _DISTANCE_POINTS:
        points = np.unique(np.quantile(points, np.linspace(0, 1, _DISTANCE_POINTS), method="nearest"))
    more = (candidate[:, None] <= points).astype(np.float64) - (baseline[:, None] <= points)
    observed = more.mean(axis=0)
    value = float(np.abs(observed).max())
    beyond = np.concatenate(
        [np.abs(weights @ more / len(more) - observed).max(axis=1) for weights in _draws(len(more), levels, seed)]
    )
    down, up = np.quantile(beyond, [1 - levels.low, 1 - levels.high])
    return value, (max(value - float(down), 0.0), min(value + float(up), 1.0))


def _draws(n: int, levels: Levels, seed: int) -> Iterator[Numbers]:
    """How often each of n rows is drawn, in each of enough draws with replacement: arrays [draws, n]."""
    count = min(max(_DRAWS, math.ceil(_DRAWS_BEYOND / min(levels))), _MOST_DRAWS)
    random = np.random.default_rng(seed)
    batch = max(1, min(count, 2**22 // n))
    equal = np.full(n, 1 / n)
    for start in range(0, count, batch):
        yield random.multinomial(n, equal, min(batch, count - start)).astype(np.float64)


def at_most(interval: Interval, limit: float) -> Outcome:
    """Pass where the whole interval is within the limit, fail where the whole interval is beyond it."""
    if interval[1] <= limit:
        return "pass"
    return "fail" if interval[0] > limit else "inconclusive"


def at_least(interval: Interval, limit: float) -> Outcome:
    """The same for a limit from below."""
    if interval[0] >= limit:
        return "pass"
    return "fail" if interval[1] < limit else "inconclusive"


def within_either(first: Interval, first_limit: float, second: Interval, second_limit: float) -> Outcome:
    """Fail where both intervals are wholly beyond their limits, pass where one is wholly within its own."""
    outcomes = {at_most(first, first_limit), at_most(second, second_limit)}
    if "pass" in outcomes:
        return "pass"
    return "fail" if outcomes == {"fail"} else "inconclusive"


def finite(number: float) -> float | None:
    """For JSON, which knows neither infinity nor NaN."""
    return number if math.isfinite(number) else None
