"""A gate ends at the first clear answer, and looking often makes it no more credulous."""

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from canari.gate.plan import ARMS, Load
from canari.gate.recording import Table
from canari.gate.rules import Rules
from canari.gate.sequence import Judged, looks, replay, risks_at

RULES = Rules(
    file="gate.yaml",
    sha256="",
    limits={
        "error_rate": {"max": 0.005},
        "error_rate_vs_baseline": {"max": 0.005},
        "p95": {"max_ms": 100},
        "p50_vs_baseline": {"max_ratio": 1.1, "max_ms": 0.05},
        "p95_vs_baseline": {"max_ratio": 1.1, "max_ms": 0.1},
        "p99_vs_baseline": {"max_ratio": 1.25, "max_ms": 0.2},
        "exceedance_vs_baseline": {"times": 5, "max": 0.002},
        "throughput": {"min": 0.95},
    },
    duration_s=240,
    rate=200,
    gates=3,
)
START = 1_800_000_000.0
Numbers = npt.NDArray[np.float64]


def shared_noise(random: np.random.Generator, seconds: float) -> Numbers:
    """What slows whatever runs in a second: it lasts, and comes back."""
    level = np.zeros(int(seconds) + 1)
    for i in range(1, len(level)):
        level[i] = 0.9 * level[i - 1] + random.normal(0, 0.08)
    return level


def arm(random: np.random.Generator, noise: Numbers, seconds: float) -> tuple[Numbers, Numbers]:
    """When requests were due, in seconds, and what they took, in milliseconds: one in a hundred has a heavy tail."""
    due = np.sort(random.uniform(0, seconds, random.poisson(RULES.rate * seconds)))
    latency = np.exp(random.normal(np.log(1.5), 0.35, len(due)) + noise[due.astype(int)])
    heavy = random.random(len(due)) < 0.01
    latency[heavy] *= 1 + random.pareto(3.0, int(heavy.sum()))
    return due, latency


def judge(fault: str, seed: int, rules: Rules = RULES) -> Judged:
    """The verdict on a candidate with a fault beside a baseline without."""
    random = np.random.default_rng(seed)
    noise = shared_noise(random, rules.duration_s)
    baseline = arm(random, noise, rules.duration_s)
    due, latency = arm(random, noise, rules.duration_s)
    errors = np.zeros(len(due), np.bool_)
    match fault:
        case "none":
            pass
        case "20 % slower at p95":
            latency = np.where(latency > np.quantile(latency, 0.9), 1.2 * latency, latency)
        case "50 % slower at p99":
            latency = np.where(latency > np.quantile(latency, 0.98), 1.5 * latency, latency)
        case "freezes":
            since = (due + random.uniform(0, 20)) % 20
            latency = np.where(since < 1, latency + 1e3 * (1 - since), latency)
        case "one in 200 ten-fold":
            latency = np.where(random.random(len(due)) < 0.005, 10 * latency, latency)
        case "ten times slower":
            latency = 10 * latency
        case "1 % errors":
            errors = random.random(len(due)) < 0.01
        case "all errors, fast":
            errors, latency = ~errors, np.full(len(due), 0.1)
        case _:
            raise ValueError(fault)
    table = together(baseline, (due, latency), errors)
    measured = table.arm[table.intended >= START + rules.warmup_s]
    load = Load(
        started=START,
        duration_s=rules.duration_s,
        warmup_s=rules.warmup_s,
        rate=rules.rate,
        timeout_s=10.0,
        asked={name: int((measured == name).sum()) for name in ARMS},
        cpu=0.2,
    )
    return replay(table, load, rules)


def together(baseline: tuple[Numbers, Numbers], candidate: tuple[Numbers, Numbers], errors: npt.NDArray[np.bool_]) -> Table:
    due = np.concatenate([baseline[0], candidate[0]])
    order = np.argsort(due)
    names = np.array(["baseline"] * len(baseline[0]) + ["candidate"] * len(candidate[0]))
    failed = np.concatenate([np.zeros(len(baseline[0]), np.bool_), errors])
    nothing = np.zeros(len(due))
    return Table(
        arm=names[order],
        intended=START + due[order],
        delay_ms=nothing,
        queued_ms=nothing,
        latency_ms=np.concatenate([baseline[1], candidate[1]])[order],
        status=np.where(failed, 500, 200)[order],
        version=np.full(len(due), ""),
        error=np.where(failed, "HTTP 500", "")[order],
    )


def test_an_unchanged_candidate_passes_before_the_planned_end() -> None:
    judged = [judge("none", seed) for seed in range(5)]
    assert [one.outcome for one in judged].count("fail") == 0
    assert [one.outcome for one in judged].count("pass") >= 4
    assert min(one.stopped_s for one in judged) >= RULES.earliest_pass_s
    assert np.median([one.stopped_s for one in judged]) < RULES.duration_s


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        ("20 % slower at p95", "p95_vs_baseline"),
        ("50 % slower at p99", "p99_vs_baseline"),
        ("freezes", "p99_vs_baseline"),
        ("one in 200 ten-fold", "exceedance_vs_baseline"),
        ("1 % errors", "error_rate"),
    ],
)
def test_a_subtle_fault_fails(fault: str, rule: str) -> None:
    judged = [judge(fault, seed) for seed in range(3)]
    assert {one.outcome for one in judged} == {"fail"}
    assert any(result.name == rule and result.outcome == "fail" for one in judged for result in one.results)


@pytest.mark.parametrize("fault", ["all errors, fast", "ten times slower"])
def test_a_clear_fault_fails_within_five_seconds_of_traffic(fault: str) -> None:
    for seed in range(3):
        judged = judge(fault, seed)
        assert judged.outcome == "fail"
        assert judged.stopped_s < 5
        assert judged.looks[-1].seconds == judged.stopped_s


def test_what_comes_once_in_a_while_has_its_chance_to_come() -> None:
    """Nothing is wrong in the first half: a gate that passed there would have promoted a server that freezes."""
    rules = msgspec.structs.replace(RULES, duration_s=60.0)
    assert rules.earliest_pass_s == 60
    assert msgspec.structs.replace(rules, pass_after_s=10.0).earliest_pass_s == 10
    assert msgspec.structs.replace(RULES, duration_s=100.0).earliest_pass_s == 60
    assert RULES.earliest_pass_s == 120


@pytest.mark.parametrize("duration", [1.0, 5.0, 12.0, 60.0, 300.0, 3600.0])
@pytest.mark.parametrize("gates", [1, 3])
def test_all_looks_of_all_rules_of_all_gates_share_the_stated_rates(duration: float, gates: int) -> None:
    rules = msgspec.structs.replace(RULES, gates=gates).lasting(duration)
    moments = looks(rules)
    assert moments == sorted(set(moments))
    assert moments[-1] == duration
    risks = [risks_at(rules, moment) for moment in moments]
    assert gates * len(rules.limits) * sum(risk.false_alarm for risk in risks) == pytest.approx(rules.false_alarms)
    deciding = [risk.miss for risk, moment in zip(risks, moments, strict=True) if moment >= rules.earliest_pass_s]
    assert sum(deciding) == pytest.approx(rules.misses)


def test_each_rule_says_when_it_was_decided() -> None:
    judged = judge("1 % errors", 1)
    (errors,) = (result for result in judged.results if result.name == "error_rate")
    assert errors.decided_s == judged.stopped_s
    assert [look.readings["error_rate"].outcome for look in judged.looks][-1] == "fail"
    assert all(look.readings["error_rate"].outcome != "fail" for look in judged.looks[:-1])
    (throughput,) = (result for result in judged.results if result.name == "throughput")
    assert throughput.decided_s is not None
    assert throughput.decided_s <= judged.stopped_s
