"""Recordings in, results out: what each rule catches, what it lets pass, and that absence is never good news."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canari.gate.judging import judge_load
from canari.gate.plan import Load
from canari.gate.recording import Request
from canari.gate.rules import Rules
from canari.gate.verdict import combine

RULES = Rules(
    file="release.yaml",
    sha256="",
    limits={
        "error_rate": {"max": 0.005},
        "p95": {"max_ms": 100},
        "p99": {"max_ms": 250},
        "p50_vs_baseline": {"max_ratio": 1.5, "max_ms": 5},
        "p95_vs_baseline": {"max_ratio": 1.5, "max_ms": 10},
        "throughput": {"min": 0.95},
    },
)
START = 1_800_000_000.0


def arm(name: str, latencies: Any, **changes: Any) -> list[Request]:
    """Requests a hundredth of a second apart."""
    return [
        msgspec.structs.replace(
            Request(arm=name, intended=START + i / 100, delay_ms=0.5, queued_ms=0.0, latency_ms=float(latency), status=200),
            **{key: value(i) for key, value in changes.items()},
        )
        for i, latency in enumerate(latencies)
    ]


def load(n: int, asked: int | None = None, cpu: float = 0.2) -> Load:
    asked = n if asked is None else asked
    return Load(
        started=START, duration_s=n / 100, warmup_s=0.0, rate=100.0, timeout_s=10.0, cpu=cpu,
        asked={"baseline": asked, "candidate": asked},
    )  # fmt: skip


def latencies(n: int, typical: float, seed: int) -> Any:
    return np.random.default_rng(seed).lognormal(np.log(typical), 0.3, n)


def outcomes(requests: list[Request], load: Load, rules: Rules = RULES) -> dict[str, str]:
    return {result.name: result.outcome for result in judge_load(requests, load, rules).results}


def failing(i: int) -> str | None:
    return "HTTP 500" if i % 50 == 0 else None


def test_a_forest_beside_a_submillisecond_glm_passes() -> None:
    found = outcomes(arm("baseline", latencies(900, 0.7, 1)) + arm("candidate", latencies(900, 2.1, 2)), load(900))
    assert set(found.values()) == {"pass"}


@pytest.mark.parametrize(
    ("candidate", "name"),
    [
        (arm("candidate", latencies(900, 1.0, 2) + 30), "p50_vs_baseline"),
        (arm("candidate", latencies(900, 1.0, 2) + 30), "p95_vs_baseline"),
        (arm("candidate", latencies(900, 1.0, 2) * 120), "p95"),
        (arm("candidate", np.where(np.arange(900) % 40, 1.0, 400.0)), "p99"),
        (arm("candidate", latencies(900, 1.0, 2), error=failing), "error_rate"),
        (arm("candidate", [0.1] * 900, error=lambda _: "HTTP 503", status=lambda _: 503), "p95"),
        (arm("candidate", np.linspace(0, 9000, 900)), "throughput"),
    ],
)
def test_each_rule_catches_its_fault(candidate: list[Request], name: str) -> None:
    assert outcomes(arm("baseline", latencies(900, 1.0, 1)) + candidate, load(900))[name] == "fail"


def test_both_limits_of_a_relative_rule_must_be_passed() -> None:
    slow = arm("baseline", latencies(900, 60.0, 1))
    found = outcomes(slow + arm("candidate", latencies(900, 60.0, 2) + 12), load(900))  # 12 ms, and a fifth
    assert (found["p50_vs_baseline"], found["p95_vs_baseline"]) == ("pass", "pass")


def test_what_the_baseline_breaks_too_says_nothing_of_the_candidate() -> None:
    slow = [arm(name, latencies(900, 9000.0, seed)) for name, seed in (("baseline", 1), ("candidate", 2))]
    found = outcomes(slow[0] + slow[1], load(900))
    assert found["p95"] == "inconclusive"
    assert "fail" not in found.values()
    slower = outcomes(slow[0] + arm("candidate", latencies(900, 90000.0, 2)), load(900))
    assert (slower["p95"], slower["p95_vs_baseline"]) == ("inconclusive", "fail")


def test_a_broken_baseline_makes_no_candidate_pass_a_relative_rule() -> None:
    for error in ({"error": lambda i: "refused", "status": lambda i: 0}, {"error": failing}):
        broken = arm("baseline", [0.1] * 900, **error)
        found = outcomes(broken + arm("candidate", latencies(900, 40.0, 2)), load(900))
        assert found["p95_vs_baseline"] != "pass"


@pytest.mark.parametrize(
    ("changes", "cpu"), [({"delay_ms": lambda i: 130.0}, 0.2), ({}, 0.97)], ids=["late to send", "out of processor"]
)
def test_a_starved_generator_decides_nothing_by_the_clock(changes: dict[str, Any], cpu: float) -> None:
    requests = [
        *arm("baseline", 130 + latencies(900, 1.0, 1), **changes),
        *arm("candidate", np.maximum(latencies(900, 150.0, 2), 131), **changes, error=lambda i: "timeout" if i % 9 == 0 else None,
             status=lambda i: 200 if i % 9 else 0),
    ]  # fmt: skip
    found = outcomes(requests, load(900, cpu=cpu))
    assert found["generator"] == "inconclusive"
    assert "fail" not in found.values()
    # But an answer that says that it is an error needs no clock.
    answered = [r for r in requests if r.arm == "baseline"] + arm("candidate", [1.0] * 900, error=failing, status=lambda i: 500)
    assert outcomes(answered, load(900, cpu=cpu))["error_rate"] == "fail"


def test_a_freeze_far_beyond_a_starved_generators_delay_fails_all_the_same() -> None:
    late = {"delay_ms": lambda i: 130.0}
    frozen = arm("candidate", [2000.0 if i % 5 == 0 else 135.0 for i in range(900)], **late)
    found = outcomes(arm("baseline", [135.0] * 900, **late) + frozen, load(900))
    assert found["generator"] == "inconclusive"
    assert found["p95"] == "fail"
    assert found["p95_vs_baseline"] == "fail"
    # Out of processor, nobody knows how late an answer was seen.
    assert "fail" not in outcomes(arm("baseline", [135.0] * 900, **late) + frozen, load(900, cpu=0.97)).values()


def test_the_generators_own_delay_is_not_charged_towards_a_fail() -> None:
    late = arm("baseline", [31.0] * 900, delay_ms=lambda i: 30.0)
    candidate = arm("candidate", [110.0] * 900, delay_ms=lambda i: 30.0)
    found = outcomes(late + candidate, load(900))
    assert found["p95"] == "inconclusive"  # 80 ms without the delay, 110 ms with it; the limit is 100 ms
    assert found["generator"] == "pass"
    # Compared with each other, both are as slow as without it: half a millisecond against nine.
    delayed = [arm(name, [30.0 + own] * 900, delay_ms=lambda i: 30.0) for name, own in (("baseline", 0.5), ("candidate", 9.0))]
    assert outcomes(delayed[0] + delayed[1], load(900))["p50_vs_baseline"] == "fail"


def test_the_generator_is_judged_without_a_rule_and_alone_passes_nothing() -> None:
    requests = arm("baseline", [1.0] * 900) + arm("candidate", [1.0] * 900)
    measured = judge_load(requests, load(900), msgspec.structs.replace(RULES, limits={"prediction_shift": {"max": 0.1}}))
    assert [(result.name, result.outcome) for result in measured.results] == [("generator", "pass")]
    assert combine(measured.results) == combine([]) == "inconclusive"


@pytest.mark.parametrize("silent", ["baseline", "candidate"])
def test_a_silent_arm_passes_nothing_that_needs_it(silent: str) -> None:
    other = "candidate" if silent == "baseline" else "baseline"
    measured = judge_load(arm(other, latencies(900, 1.0, 1)), load(900), RULES)
    found = {result.name: result.outcome for result in measured.results}
    assert combine(measured.results) == "inconclusive"
    assert found["generator"] == "inconclusive"
    if silent == "candidate":
        assert set(found.values()) == {"inconclusive"}


def test_the_warm_up_is_dropped_and_counted() -> None:
    requests = arm("baseline", [1.0] * 1000) + arm("candidate", np.where(np.arange(1000) < 100, 900.0, 1.0))
    warm = msgspec.structs.replace(load(1000), warmup_s=1.0, asked={"baseline": 900, "candidate": 900})
    measured = judge_load(requests, warm, RULES)
    assert measured.warmup == 200
    assert combine(measured.results) == "pass"


# Recordings of all kinds of candidates, around the limits and far from them.
recordings = st.builds(
    lambda n, slow, slow_share, errors, silent, delay, seed: (n, slow, slow_share, errors, silent, delay, seed),
    n=st.sampled_from([50, 400, 900, 1500]),
    slow=st.sampled_from([0.0, 6.0, 30.0, 90.0, 300.0]),
    slow_share=st.sampled_from([0.0, 0.03, 0.3, 1.0]),
    errors=st.sampled_from([0.0, 0.003, 0.02, 1.0]),
    silent=st.booleans(),
    delay=st.sampled_from([0.5, 20.0, 120.0]),
    seed=st.integers(0, 1000),
)
removals = st.sampled_from(["failed", "slow", "late half", "baseline", "candidate", "good", "random", "delayed"])


def make(n: int, slow: float, slow_share: float, errors: float, silent: bool, delay: float, seed: int) -> list[Request]:
    random = np.random.default_rng(seed)
    times = latencies(n, 1.0, seed) + slow * (random.random(n) < slow_share)
    failed = random.random(n) < errors
    return [
        *arm("baseline", latencies(n, 1.0, seed + 1)),
        *arm(
            "candidate",
            times + 1,
            error=lambda i: "no" if failed[i] else None,
            status=lambda i: 200 if not failed[i] else 0 if silent else 500,
            delay_ms=lambda i: delay if i % 70 == 0 else 0.5,
        ),
    ]


@settings(max_examples=60, deadline=None)
@given(recordings, removals, st.floats(0.01, 1.0))
def test_removing_data_never_makes_a_pass_and_never_fails_what_passed(
    recording: tuple[int, float, float, float, bool, float, int], what: str, share: float
) -> None:
    """The generator knows how many requests it was asked for: with that, whatever is removed from the recording, absence is no
    good news, and what was good stays at worst open."""
    requests = make(*recording)
    asked = load(recording[0])
    kinds: dict[str, Callable[[Request], bool]] = {
        "failed": lambda r: r.error is not None,
        "slow": lambda r: r.latency_ms > 4,
        "late half": lambda r: r.intended > START + asked.duration_s / 2,
        "baseline": lambda r: r.arm == "baseline",
        "candidate": lambda r: r.arm == "candidate",
        "good": lambda r: r.error is None,
        "random": lambda r: True,
        "delayed": lambda r: r.delay_ms > 1,
    }
    chosen = kinds[what]
    random = np.random.default_rng(recording[-1])
    left = [r for r in requests if not (chosen(r) and random.random() < share)]
    before, after = outcomes(requests, asked), outcomes(left, asked)
    assert before.keys() == after.keys()
    for name, outcome in after.items():
        assert outcome != "pass" or before[name] == "pass", name
        assert outcome != "fail" or before[name] != "pass", name


@pytest.mark.parametrize(
    ("name", "change", "seconds"),
    [
        ("p50_vs_baseline", lambda t, ms, random: ms + 30, 3),
        ("p95", lambda t, ms, random: np.where(t % 10 < 2, (2 - t % 10) * 1e3 + ms, ms), 60),
        ("error_rate", lambda t, ms, random: np.where(random.random(len(t)) < 0.02, np.inf, ms), 15),
    ],
    ids=["30 ms later", "frozen 2 s in 10", "2 % errors"],
)
def test_what_must_fail_fails_at_a_hundred_requests_a_second(name: str, change: Any, seconds: int) -> None:
    found = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        times = np.sort(random.random(seconds * 100)) * seconds + random.random() * 10
        ms = change(times, random.lognormal(0, 0.5, len(times)), random)
        candidate = arm(
            "candidate", np.where(np.isinf(ms), 1.0, ms), error=lambda i, ms=ms: "HTTP 500" if np.isinf(ms[i]) else None
        )
        found.append(outcomes(arm("baseline", latencies(len(times), 1.0, seed)) + candidate, load(len(times)))[name])
    assert found.count("fail") >= 38
