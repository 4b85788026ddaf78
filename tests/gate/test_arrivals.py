"""Arrivals keep their rate and their law, and a seed repeats them."""

from itertools import islice

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from canari.gate.arrivals import even, poisson, stream


def test_poisson_arrivals_have_exponential_gaps() -> None:
    times = np.array(list(islice(poisson(100.0, stream(1, "test")), 20_000)))
    gaps = np.diff(times)
    assert stats.kstest(gaps, stats.expon(scale=0.01).cdf).pvalue > 0.01
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 0.03


@given(rate=st.floats(0.1, 1e4), seed=st.integers(0, 2**32))
def test_even_arrivals_fall_one_into_each_slot(rate: float, seed: int) -> None:
    times = np.array(list(islice(even(rate, stream(seed, "test")), 200)))
    position = times * rate - np.arange(200)
    assert (position >= -1e-9).all()
    assert (position <= 1 + 1e-9).all()


def test_a_seed_repeats_arrivals_and_each_purpose_has_its_own() -> None:
    def first(seed: int, purpose: str) -> list[float]:
        return list(islice(poisson(10.0, stream(seed, purpose)), 50))

    assert first(3, "arrivals baseline") == first(3, "arrivals baseline")
    assert first(3, "arrivals baseline") != first(3, "arrivals candidate")
    assert first(3, "arrivals baseline") != first(4, "arrivals baseline")
