"""The search for the highest rate, over servers that are arithmetic."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canari.gate.statistics import Levels, quantile_ranks, share_interval
from canari.gate.verdict import Generator, Outcome
from canari.loadtest.highest import find_highest, seconds_at
from canari.loadtest.judging import requests_needed
from canari.loadtest.result import Latency, Step
from canari.loadtest.scenario import load_scenario


def step(rate: float, outcome: Outcome, *, starved: bool = False) -> Step:
    return Step(
        outcome=outcome, objectives=(), started="2026-01-31T12:00:00+00:00", duration_s=5, warmup_s=0, requests=int(5 * rate),
        rows=1, rate_asked=rate, rate_got=rate, failures={}, latency=Latency(p50=1, p95=2, p99=3, max=4),
        generator=Generator(cpu=0.1, delay_p99_ms=1), starved=starved,
    )  # fmt: skip


@given(capacity=st.floats(0.2, 50_000), start=st.floats(0.5, 5_000))
def test_it_is_within_a_tenth_of_the_capacity(capacity: float, start: float) -> None:
    found = find_highest(lambda rate, _: step(rate, "pass" if rate <= capacity else "fail"), start, lambda _: 5)
    assert found.rate is not None
    assert found.rate <= capacity <= 1.1 * found.rate
    assert found.broken_at is not None
    assert found.rate < found.broken_at <= 1.1 * found.rate
    assert found.bound == "server"


def test_a_starved_generator_ends_it_and_is_named() -> None:
    def measure(rate: float, _: float) -> Step:
        return step(rate, "pass" if rate < 300 else "inconclusive", starved=rate >= 300)

    found = find_highest(measure, 100, lambda _: 5)
    assert (found.rate, found.bound) == (200, "generator")
    assert "the generator itself is the limit at 400 requests a second" in found.why
    assert [one.rate_asked for one in found.steps] == [100, 200, 400, 400]


def test_what_decides_nothing_is_sent_once_more_for_twice_as_long_and_proves_nothing() -> None:
    asked: list[tuple[float, float]] = []

    def measure(rate: float, seconds: float) -> Step:
        asked.append((rate, seconds))
        return step(rate, "inconclusive" if rate > 100 else "pass")

    found = find_highest(measure, 100, lambda _: 5)
    assert asked[:3] == [(100, 5), (200, 5), (200, 10)]
    assert found.rate == 100
    assert found.broken_at is not None
    assert found.broken_at <= 110


@pytest.mark.parametrize(("outcome", "rate"), [("fail", None), ("pass", 100_000)])
def test_it_ends_where_there_is_no_limit(outcome: Outcome, rate: float | None) -> None:
    found = find_highest(lambda rate, _: step(rate, outcome), 100_000 if rate else 100, lambda _: 5)
    assert (found.rate, found.bound) == (rate, "steps")


def test_a_load_is_long_enough_to_pass(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "format: 1\nstages: [{seconds: 1, rate: 1}]\nobjectives: {p99: {max_ms: 1}, p50: {max_ms: 1}, error_rate: {max: 0.02}}\n"
    )
    scenario = load_scenario(path)
    n = requests_needed(scenario)
    # By the intervals themselves: some room, and no more than that.
    levels = Levels(0.05, 0.05)
    assert quantile_ranks(n, 0.99, levels)[1] < n
    assert quantile_ranks(n // 4, 0.99, levels)[1] > n // 4
    assert share_interval(0, 0, n, levels)[1] < 0.02
    assert seconds_at(scenario, 100) * 100 > n
    assert seconds_at(scenario, 10_000) == 5
    assert seconds_at(scenario, 0.5) == 600
