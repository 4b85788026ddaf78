"""Intervals cover what they promise: against published values, exact probabilities and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from canari.gate.statistics import (
    at_least,
    at_most,
    mean_interval,
    quantile_interval,
    quantile_ranks,
    share_interval,
    within_either,
)


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
    assert share_interval(k, k, n, 0.95) == pytest.approx((low, high), abs=5e-5)


def test_no_cases_say_nothing_about_a_share() -> None:
    assert share_interval(0, 0, 0, 0.95) == (0.0, 1.0)


@given(n=st.integers(1, 3000), q=st.sampled_from([0.5, 0.9, 0.95, 0.99]), confidence=st.sampled_from([0.9, 0.95, 0.975, 0.99]))
def test_ranks_cover_the_quantile_with_the_stated_probability(n: int, q: float, confidence: float) -> None:
    first, last = quantile_ranks(n, q, confidence)
    # The l-th value is above the quantile if fewer than l values are below it; the u-th is below it if at least u are.
    below = stats.binom(n, q)
    half = (1 - confidence) / 2
    assert below.cdf(first - 1) <= half + 1e-12
    assert below.sf(last - 1) <= half + 1e-12
    # And no narrower pair would do.
    assert first == 0 or below.cdf(first) > half - 1e-12
    assert below.sf(last - 2) > half - 1e-12


def test_the_upper_end_of_p99_needs_368_values() -> None:
    for n, bounded in ((367, False), (368, True)):
        values = np.arange(n, dtype=np.float64)
        _, (_, high) = quantile_interval(values, values, 0.99, 0.95)
        assert math.isfinite(high) == bounded


def test_quantiles_of_skewed_latencies_are_covered() -> None:
    random = np.random.default_rng(1)
    law = stats.lognorm(s=1.0, scale=3.0)
    covered = 0
    for _ in range(1000):
        values = law.rvs(500, random_state=random)
        _, (low, high) = quantile_interval(values, values, 0.95, 0.9)
        covered += low <= law.ppf(0.95) <= high
    assert covered >= 880  # 900 expected of an exact interval; 880 is two standard errors below


def test_means_are_covered_by_the_bootstrap() -> None:
    random = np.random.default_rng(2)
    covered = 0
    for seed in range(200):
        low, high = mean_interval(random.exponential(1.0, 150), 0.95, seed)
        covered += low <= 1.0 <= high
    assert covered >= 176
    assert mean_interval([0.25] * 30, 0.95, 0) == pytest.approx((0.25, 0.25))


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
