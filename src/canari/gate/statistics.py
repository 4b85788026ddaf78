"""Intervals without assumptions about a distribution, and the decision that they allow.

Every interval is two-sided, with alpha / 2 on each side. They take requests as independent; latencies that hang together (a
pause that hits many at once) make the true confidence lower than the stated one.

What was not seen is not left out: requests that are missing from a recording count as good at one end of an interval and as
bad at the other. So losing data widens an interval, and never turns a fail into a pass.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from canari.gate.verdict import Outcome

Interval = tuple[float, float]

BOOTSTRAP_RESAMPLES = 2000


def share_interval(least: int, most: int, n: int, confidence: float) -> Interval:
    """The share behind k of n cases, where all that is known is `least` <= k <= `most`.

    Clopper and Pearson's exact interval (Biometrika 26, 1934): its lower end for `least`, its upper end for `most`.
    """
    if n == 0:
        return 0.0, 1.0
    low = stats.binomtest(least, n).proportion_ci(confidence, method="exact").low
    high = stats.binomtest(min(most, n), n).proportion_ci(confidence, method="exact").high
    return float(low), float(high)


def quantile_ranks(n: int, q: float, confidence: float) -> tuple[int, int]:
    """Ranks l and u, from 1, such that the q-quantile lies between the l-th and u-th smallest of n values.

    Distribution-free, from the binomial law of the number of values below the quantile (David and Nagaraja, Order Statistics,
    3rd edition, 7.1). l = 0 or u = n + 1 says that n values do not bound the quantile on that side.
    """
    alpha = 1 - confidence
    below = stats.binom(n, q)
    return int(below.ppf(alpha / 2)), int(below.ppf(1 - alpha / 2)) + 1


def quantile_interval(
    low: npt.NDArray[np.float64], high: npt.NDArray[np.float64], q: float, confidence: float
) -> tuple[float, Interval]:
    """The q-quantile of n non-negative values, each known to lie between an entry of `low` [n] and one of `high` [n].

    Returns the value at rank ceil(q n) of `high`, and the interval: its lower end from `low`, its upper end from `high`; 0 and
    infinity where n values do not bound it.
    """
    n = len(low)
    if n == 0:
        return math.nan, (0.0, math.inf)
    first, last = quantile_ranks(n, q, confidence)
    low, high = np.sort(low), np.sort(high)
    return (
        float(high[max(math.ceil(q * n), 1) - 1]),
        (float(low[first - 1]) if first >= 1 else 0.0, float(high[last - 1]) if last <= n else math.inf),
    )


def mean_interval(values: Sequence[float] | npt.NDArray[np.float64], confidence: float, seed: int) -> Interval:
    """The mean behind `values` [n], n > 0, by the percentile bootstrap over rows (Efron, Annals of Statistics 7, 1979)."""
    result = stats.bootstrap(
        (np.asarray(values, np.float64),),
        np.mean,
        n_resamples=BOOTSTRAP_RESAMPLES,
        batch=max(1, 2**22 // max(len(values), 1)),
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


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
