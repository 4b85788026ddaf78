"""Intervals cover what they promise: against published values, exact probabilities and simulation."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from canari.gate.statistics import (
    Levels,
    at_least,
    at_most,
    distance_interval,
    mean_interval,
    quantile_ranks,
    share_interval,
    within_either,
)

LEVELS = Levels(0.025, 0.025)
risks = st.sampled_from([0.05, 0.025, 0.005, 1e-4])


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), Table I, method 5 (Clopper and Pearson)
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0, 0.1684),
        (1, 29, 0.0009, 0.1776),
    ],
)
def test_shares_agree_with_published_intervals(k: int, n: int, low: float, high: float) -> None:
    assert share_interval(k, k, n, LEVELS) == pytest.approx((low, high), abs=5e-5)


def test_no_cases_say_nothing_about_a_share() -> None:
    assert share_interval(0, 0, 0, LEVELS) == (0.0, 1.0)


@given(n=st.integers(1, 3000), q=st.sampled_from([0.5, 0.9, 0.95, 0.99]), low=risks, high=risks)
def test_ranks_cover_the_quantile_with_the_stated_probability(n: int, q: float, low: float, high: float) -> None:
    first, last = quantile_ranks(n, q, Levels(low, high))
    # The l-th value is above the quantile if fewer than l values are below it; the u-th is below it if at least u are.
    below = stats.binom(n, q)
    assert below.cdf(first - 1) <= low + 1e-12
    assert below.sf(last - 1) <= high + 1e-12
    # And no narrower pair would do.
    assert first == 0 or below.cdf(first) > low - 1e-12
    assert below.sf(last - 2) > high - 1e-12


def test_means_are_covered_by_the_bootstrap() -> None:
    random = np.random.default_rng(2)
    missed = Counter[str]()
    for seed in range(300):
        low, high = mean_interval(random.exponential(1.0, 150), Levels(0.02, 0.1), seed)
        missed.update(below=low > 1.0, above=high < 1.0)
    assert missed["below"] <= 12  # 6 expected of an exact interval, 12 is two and a half standard deviations above
    assert missed["above"] <= 45
    assert mean_interval([0.25] * 30, LEVELS, 0) == pytest.approx((0.25, 0.25))


def test_the_distance_of_distributions_is_covered() -> None:
    """Predictions that moved by a known amount: of N(0, 1) and N(0.5, 1) the distance is 2 Phi(0.25) - 1."""
    random = np.random.default_rng(3)
    truth, covered = 2 * stats.norm.cdf(0.25) - 1, 0
    for seed in range(100):
        baseline = random.normal(0, 1, 400)
        value, (low, high) = distance_interval(baseline, 0.5 + baseline + random.normal(0, 0.1, 400), LEVELS, seed)
        assert value == pytest.approx(stats.ks_2samp(baseline, 0.5 + baseline).statistic, abs=0.1)
        covered += low <= truth <= high
    assert covered >= 90
    same = np.arange(50.0)
    assert distance_interval(same, same, LEVELS, 0) == (0.0, (0.0, 0.0))
    value, (low, high) = distance_interval(same, same + 100, LEVELS, 0)
    assert 0.75 < low < value == high == 1


@pytest.mark.parametrize(
    ("interval", "most", "least"),
    [((1.0, 2.0), "pass", "fail"), ((4.0, 5.0), "fail", "pass"), ((2.0, 4.0), "inconclusive", "inconclusive")],
)
def test_an_interval_decides_only_as_a_whole(interval: tuple[float, float], most: str, least: str) -> None:
    assert at_most(interval, 3.0) == most
    assert at_least(interval, 3.0) == least


def test_a_rule_of_two_limits_fails_only_beyond_both() -> None:
    within, beyond, across = (0.0, 1.0), (3.0, 4.0), (1.0, 3.0)
    assert within_either(beyond, 2, beyond, 2) == "fail"
    assert within_either(beyond, 2, within, 2) == within_either(within, 2, across, 2) == "pass"
    assert within_either(beyond, 2, across, 2) == within_either(across, 2, across, 2) == "inconclusive"
