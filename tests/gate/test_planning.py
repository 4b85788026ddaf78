"""How long a gate must last: against power computed without our code, and what noise, margin and rate make of it."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from canari.gate.planning import Needs, RuleNeeds, fault_of, plan_gate
from canari.gate.recording import Request
from canari.gate.rules import Rules

SECONDS = 60


def same(rate: float, *, blocks: float = 0.0, errors: float = 0.0, own: float = 0.3, seed: int = 1) -> list[Request]:
    """Two servers of one version: lognormal latencies, whose level's logarithm varies from second to second by `blocks`."""
    random = np.random.default_rng(seed)
    requests = []
    for arm in ("baseline", "candidate"):
        due = np.sort(random.random(round(SECONDS * rate))) * SECONDS
        latency = np.exp(random.normal(0, own, len(due)) + random.normal(0, blocks, SECONDS)[due.astype(int)])
        failed = random.random(len(due)) < errors
        requests += [
            Request(arm=arm, intended=1.8e9 + t, delay_ms=0, queued_ms=0, latency_ms=ms, status=200, error="no" if bad else None)
            for t, ms, bad in zip(due.tolist(), latency.tolist(), failed.tolist(), strict=True)
        ]
    return requests


def rules(rate: float = 50, gates: int = 1, **limits: dict[str, float]) -> Rules:
    return Rules(file="rules.yaml", sha256="", limits=limits, rate=rate, warmup_s=0.0, gates=gates)


def plan(requests: list[Request], rules: Rules, **options: Any) -> tuple[RuleNeeds, Needs]:
    needs = plan_gate(requests, rules, **options)
    return needs.rules[0], needs


@pytest.mark.parametrize("gates", [1, 5])
def test_errors_take_as_long_as_the_binomial_law_says(gates: int) -> None:
    """At 2 % allowed: until no error in n shows that it is not more, and until so many of n at 4 % show that it is."""
    found, _ = plan(same(50), rules(gates=gates, error_rate={"max": 0.02}), runs=100)
    alarm, miss = 0.05 / gates / 2, 0.05  # half of the risk is the last look's; no pass comes before it
    passes = next(n for n in range(1, 10_000) if 0.98**n <= miss) / 50

    def power(n: int) -> float:
        least = int(stats.binom(n, 0.02).isf(alarm)) + 1  # so many errors are rarer than that at the limit
        return float(stats.binom(n, 0.04).sf(least - 1))

    fails = next(n for n in range(100, 10_000) if power(n) >= 0.95 and power(n + 40) >= 0.95) / 50
    assert found.passes_s is not None
    assert passes / 1.3 <= found.passes_s <= max(1.3 * passes, 5.0)
    assert found.fails_s is not None
    assert fails / 1.35 <= found.fails_s <= 1.35 * fails


@pytest.mark.parametrize("blocks", [0.0, 0.15])
def test_a_ratio_takes_as_long_as_its_noise_says(blocks: float) -> None:
    """The logarithm of the medians' ratio varies as theirs do: each second's level, and the median's own error."""
    found, _ = plan(same(50, blocks=blocks), rules(p50_vs_baseline={"max_ratio": 1.3, "max_ms": 0}), runs=40)
    own = math.hypot(0.3, blocks)
    noise = math.sqrt(2 * (blocks**2 + math.pi / 2 * own**2 / 50))  # after a second
    assert found.noise == pytest.approx(noise, rel=0.35)
    assert found.spread == pytest.approx(noise, rel=0.6)
    wanted = stats.norm.isf(0.05)

    def length(margin: float, risk: float) -> float:
        return float(((stats.norm.isf(risk) + wanted) * noise / margin) ** 2)

    passes, fails = length(math.log(1.3), 0.05 / 2), length(math.log(1.6 / 1.3), 0.05 / 2)
    assert found.passes_s is not None
    assert passes / 2 <= found.passes_s <= max(2 * passes, 7.5)
    assert found.fails_s is not None
    assert fails / 2 <= found.fails_s <= max(2 * fails, 7.5)


def test_what_no_hour_shows_is_told_and_no_gate_is_long_enough() -> None:
    found, needs = plan(same(50), rules(error_rate={"max": 0.00001}), runs=20)
    assert (found.passes_s, found.fails_s, needs.seconds) == (None, None, None)
    assert "needs more than 3600 s" in str(needs.too_short(1e6))


def test_a_limit_that_the_stable_version_breaks_is_never_kept() -> None:
    found, needs = plan(same(50, errors=0.05), rules(error_rate={"max": 0.02}), runs=20)
    assert (found.passes_s, needs.seconds) == (None, None)
    assert "itself is beyond it, with 5" in found.why


def test_the_duration_is_enough_for_every_rule_and_whole_gates_pass() -> None:
    limits = {"error_rate": {"max": 0.02}, "p50_vs_baseline": {"max_ratio": 1.5, "max_ms": 0.1}, "throughput": {"min": 0.9}}
    _, needs = plan(same(50), Rules(file="rules.yaml", sha256="", limits=limits, rate=50, warmup_s=0.0), runs=20)
    longest = max(seconds or math.inf for one in needs.rules for seconds in (one.passes_s, one.fails_s))
    assert needs.seconds is not None
    assert longest <= needs.seconds <= 1.5 * longest + 5
    assert (needs.passed, needs.failed) == (1.0, 0.0)
    assert needs.too_short(needs.seconds) is None
    assert "error_rate needs" in str(needs.too_short(5))


@pytest.mark.parametrize(
    ("name", "limit", "typical", "theirs", "forbidden"),
    [
        ("error_rate", {"max": 0.005}, 0.0, 1.0, "1.00%"),
        ("error_rate", {"max": 0.005}, 0.001, 1.0, "0.90%"),
        ("error_rate_vs_baseline", {"max": 0.005}, 0.0, 1.0, "1.00% more"),
        ("p95_vs_baseline", {"max_ratio": 1.1, "max_ms": 0.1}, 1.0, 2.0, "1.2 times"),
        ("p95_vs_baseline", {"max_ratio": 1.1, "max_ms": 20}, 1.0, 2.0, "21 times"),
        ("p99", {"max_ms": 250}, 50.0, 1.0, "450 ms"),
        ("throughput", {"min": 0.95}, 1.0, 1.0, "90.00%"),
        ("exceedance_vs_baseline", {"times": 5, "max": 0.002}, 0.0, 2.0, "0.40% more over 10 ms"),
    ],
)
def test_what_must_fail_is_as_far_beyond_the_limit_as_that_is_beyond_no_change(
    name: str, limit: dict[str, float], typical: float, theirs: float, forbidden: str
) -> None:
    assert fault_of(name, limit, typical, theirs, 1.0).forbidden == forbidden
