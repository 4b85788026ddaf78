"""Arrivals keep their rate and their law, and a seed repeats them."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from canari.gate.arrivals import due_times, even, poisson, shares, stream
from canari.gate.plan import ARMS, LoadPlan


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


@given(workers=st.integers(0, 7), seed=st.integers(0, 2**31), arrivals=st.sampled_from(["even", "poisson"]))
def test_workers_share_a_rate_and_nobody_sends_anothers_arrivals(workers: int, seed: int, arrivals: str) -> None:
    plan = LoadPlan(
        urls={"baseline": "", "candidate": ""}, rows=[], rate=210.0, arrivals=arrivals, duration_s=2.0, warmup_s=0.5,
        timeout_s=1.0, seed=seed, locustfile=None, recording="", workers=workers, web_port=8089,
    )  # fmt: skip
    each = shares(plan)
    assert len(each) == max(1, workers)
    assert sum(share.rate for share in each) == pytest.approx(plan.rate)
    assert {(share.workers, share.web_port) for share in each} == {(0, None)}
    for arm in ARMS:
        due = due_times(plan)[arm]
        apart = [due_times(share)[arm] for share in each]
        assert due.tolist() == sorted(np.concatenate(apart).tolist())
        assert len(set(due.tolist())) == len(due)
        assert abs(len(due) - 420) < (150 if arrivals == "poisson" else 1)
