"""Arrivals follow the stages' rates."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from canari.loadtest.arrivals import staged
from canari.loadtest.scenario import Stage

STAGES = st.lists(
    st.builds(Stage, st.floats(0.5, 5), st.just(0.0) | st.floats(0.1, 300), st.just(0.0) | st.floats(0.1, 300)),
    min_size=1,
    max_size=5,
).filter(lambda stages: any(stage.requests for stage in stages))


@settings(max_examples=60)
@given(stages=STAGES, kind=st.sampled_from(["poisson", "even"]), seed=st.integers(0, 2**32))
def test_each_stage_has_as_many_as_its_rates_say(stages: list[Stage], kind: str, seed: int) -> None:
    due = np.array(list(staged(stages, kind, seed)))
    assert (np.diff(due) >= 0).all()
    edges = np.cumsum([0.0, *(stage.seconds for stage in stages)])
    assert ((due >= 0) & (due <= edges[-1])).all()
    for stage, (begin, end) in zip(stages, itertools.pairwise(edges), strict=True):
        count = np.count_nonzero((due >= begin) & (due < end))
        if kind == "even":
            assert abs(count - stage.requests) <= 2
        else:
            assert stats.poisson.cdf(count, stage.requests) > 1e-9
            assert stats.poisson.sf(count - 1, stage.requests) > 1e-9


@pytest.mark.parametrize("kind", ["poisson", "even"])
@pytest.mark.parametrize(("start", "end"), [(0, 400), (400, 0), (100, 300)])
def test_a_ramps_arrivals_have_its_density(kind: str, start: float, end: float) -> None:
    seconds = 100.0
    due = np.array(list(staged([Stage(seconds, start, end)], kind, 5)))

    def law(t: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return (start * t + (end - start) / seconds * t**2 / 2) / (seconds * (start + end) / 2)

    assert stats.kstest(due, law).pvalue > 0.01
    first, second = np.count_nonzero(due < 50), np.count_nonzero(due >= 50)
    assert (second > 1.5 * first) if end > start else (first > 1.5 * second)


def test_steady_poisson_arrivals_have_exponential_gaps() -> None:
    due = np.array(list(staged([Stage(50, 200, 200), Stage(50, 200, 200)], "poisson", 1)))
    assert stats.kstest(np.diff(due), stats.expon(scale=1 / 200).cdf).pvalue > 0.01


def test_a_seed_repeats_them() -> None:
    stages = [Stage(5, 10, 100)]
    assert list(staged(stages, "poisson", 1)) == list(staged(stages, "poisson", 1))
    assert list(staged(stages, "poisson", 1)) != list(staged(stages, "poisson", 2))
