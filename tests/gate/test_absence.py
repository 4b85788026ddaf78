"""Never a pass by absence: whatever a recording lost, no gate passes that did not pass with it, and none fails that passed."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from canari.gate.judging import judge_load
from canari.gate.plan import ARMS, Arm, Load
from canari.gate.recording import Table
from canari.gate.rules import Rules
from canari.gate.sequence import replay
from canari.gate.statistics import Numbers
from canari.gate.verdict import HEALTH, Outcome

START = 1_800_000_000.0
FAR = 1e6  # seconds that a clock may jump
LIMITS: dict[str, dict[str, float]] = {
    "error_rate": {"max": 0.02},
    "error_rate_vs_baseline": {"max": 0.02},
    "p50": {"max_ms": 20},
    "p95": {"max_ms": 100},
    "p50_vs_baseline": {"max_ratio": 1.5, "max_ms": 1},
    "p95_vs_baseline": {"max_ratio": 1.5, "max_ms": 2},
    "exceedance_vs_baseline": {"times": 10, "max": 0.02},
    "throughput": {"min": 0.95},
}


class Recorded(msgspec.Struct, frozen=True):
    """A whole recording of a gate, what was asked for, and the rules."""

    table: Table
    load: Load
    rules: Rules
    due: dict[Arm, Numbers]

    def without(self, removed: npt.NDArray[np.bool_]) -> Table:
        return self.table.where(~removed)


def _arm(draw: Any, random: np.random.Generator, due: Numbers) -> dict[str, Any]:
    """What one arm answered: typically and in bursts, with errors, and with what a clock that jumps makes of it."""
    n = len(due)
    latency = draw(st.sampled_from([1.0, 1.0, 1.0, 1.0, 1.2, 3.0, 400.0])) * random.lognormal(0, 0.4, n)
    burst = (due % 7 < draw(st.sampled_from([0.0, 0.0, 2.0]))) | (random.random(n) < draw(st.sampled_from([0.0, 0.0, 0.1])))
    latency = np.where(burst, latency * draw(st.sampled_from([1.0, 8.0, 300.0])), latency)
    failed = random.random(n) < draw(st.sampled_from([0.0, 0.0, 0.0, 0.003, 0.05, 1.0]))
    if draw(st.booleans()):  # once and for all, or never
        failed |= due < draw(st.sampled_from([0.0, 2.0]))
    status = np.where(failed, draw(st.sampled_from([0, 500])), 200)
    latency = np.where(failed, draw(st.sampled_from([0.1, 900.0])), latency)
    delay = np.where(random.random(n) < draw(st.sampled_from([0.0, 0.0, 0.0, 0.05])), 150.0, 0.2)
    intended, strange = START + due, random.random(n) < draw(st.sampled_from([0.0, 0.0, 0.0, 0.0, 0.002, 0.3]))
    match draw(st.sampled_from(["early", "late", "negative", "NaN", "negative delay"])):
        case "early":
            intended = intended - FAR * strange
        case "late":
            intended = intended + FAR * strange
        case "negative":
            latency = np.where(strange, -FAR, latency)
        case "NaN":
            latency = np.where(strange, math.nan, latency)
        case "negative delay":
            delay = np.where(strange, -FAR, delay)
    return {"intended": intended, "latency": latency + delay, "delay": delay, "failed": failed, "status": status}


@st.composite
def recordings(draw: Any) -> Recorded:
    """Gates of any length, of arms alike and unlike, of which either may be silent."""
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    length, rate = draw(st.sampled_from([2.0, 12.0, 12.0, 25.0])), draw(st.sampled_from([10.0, 80.0, 80.0]))
    due = {arm: np.sort(random.random(random.poisson(length * rate))) * length for arm in ARMS}
    silent = draw(st.sampled_from([(), (), (), (), ("baseline",), ("candidate",), ARMS]))
    parts = [{"arm": arm, **_arm(draw, random, due[arm])} for arm in ARMS if arm not in silent]
    columns: dict[str, Any] = {
        name: np.concatenate([part[name] for part in parts]) if parts else np.zeros(0)
        for name in ("intended", "latency", "delay", "failed", "status")
    }
    names = np.array([part["arm"] for part in parts for _ in part["intended"]], np.str_)
    order = np.argsort(columns["intended"])
    table = Table(
        arm=names[order],
        intended=columns["intended"][order],
        delay_ms=columns["delay"][order],
        queued_ms=np.zeros(len(order)),
        latency_ms=columns["latency"][order],
        status=columns["status"][order].astype(np.int64),
        version=np.array([""] * len(order), np.str_),
        error=np.where(columns["failed"][order], "no", ""),
    )
    warmup = draw(st.sampled_from([0.0, 0.1])) * length
    limits = draw(st.lists(st.sampled_from(sorted(LIMITS)), min_size=1, max_size=4, unique=True))
    rules = Rules(
        file="rules.yaml",
        sha256="",
        limits={name: LIMITS[name] for name in limits},
        duration_s=length,
        rate=rate,
        warmup_s=warmup,
    )
    load = Load(
        started=START,
        duration_s=length,
        warmup_s=warmup,
        rate=rate,
        timeout_s=10.0,
        asked={arm: int(np.count_nonzero(due[arm] >= warmup)) for arm in ARMS},
        cpu=draw(st.sampled_from([0.2, 0.2, 0.2, 0.97])),
    )
    return Recorded(table, load, rules, due)


@st.composite
def removals(draw: Any) -> tuple[str, float, int]:
    """Which requests get lost, and how many of them."""
    return (
        draw(
            st.sampled_from(["random", "baseline", "candidate", "a stretch", "slow", "failed", "good", "late to send", "strange"])
        ),
        draw(st.sampled_from([0.002, 0.02, 0.3, 1.0])),
        draw(st.integers(0, 1000)),
    )


def removed(recorded: Recorded, removal: tuple[str, float, int]) -> npt.NDArray[np.bool_]:
    what, share, seed = removal
    table, random = recorded.table, np.random.default_rng(seed)
    since = table.intended - START
    chosen = {
        "random": np.ones(len(table), np.bool_),
        "baseline": table.arm == "baseline",
        "candidate": table.arm == "candidate",
        "a stretch": abs(since - random.random() * recorded.load.duration_s) < recorded.load.duration_s / 8,
        "slow": table.latency_ms > 50,
        "failed": table.failed,
        "good": ~table.failed,
        "late to send": table.delay_ms > 1,
        "strange": (abs(since) > FAR / 2) | ~(table.latency_ms >= 0),
    }[what]
    lost: npt.NDArray[np.bool_] = chosen & (random.random(len(table)) < share)
    return lost


def not_better(after: Mapping[str, Outcome], before: Mapping[str, Outcome]) -> None:
    """What passes without the requests passed with them, and what fails without them did not pass with them."""
    assert after.keys() == before.keys()
    for name, outcome in after.items():
        assert outcome != "pass" or before[name] == "pass", name
        assert outcome != "fail" or before[name] != "pass", name


@settings(max_examples=120, deadline=None)
@given(recordings(), removals())
def test_one_look(recorded: Recorded, removal: tuple[str, float, int]) -> None:
    before, after = (
        {result.name: result.outcome for result in judge_load(table, recorded.load, recorded.rules).results}
        for table in (recorded.table, recorded.without(removed(recorded, removal)))
    )
    not_better(after, before)


@settings(max_examples=80, deadline=None)
@given(recordings(), removals(), st.sampled_from(["latency_ms", "delay_ms", "intended"]), st.sampled_from([-FAR, math.nan, FAR]))
def test_impossible_times_are_no_better_than_missing_ones(
    recorded: Recorded, removal: tuple[str, float, int], column: str, impossible: float
) -> None:
    table = recorded.table
    changed = np.where(removed(recorded, removal), impossible, getattr(table, column))
    before, after = (
        {result.name: result.outcome for result in judge_load(one, recorded.load, recorded.rules).results}
        for one in (table, msgspec.structs.replace(table, **{column: changed}))
    )
    for name, outcome in after.items():
        assert outcome != "pass" or before[name] == "pass", name


@settings(max_examples=40, deadline=None)
@given(recordings(), removals(), st.booleans())
def test_a_whole_gate(recorded: Recorded, removal: tuple[str, float, int], known: bool) -> None:
    due = recorded.due if known else None
    before, after = (
        replay(table, recorded.load, recorded.rules, due)
        for table in (recorded.table, recorded.without(removed(recorded, removal)))
    )
    note(f"{before.results}\n{after.results}")
    not_better({"gate": after.outcome}, {"gate": before.outcome})


def test_errors_that_an_early_look_failed_are_not_forgotten_when_they_are_lost() -> None:
    """All errors in the first seconds: few in the end, but enough to fail the candidate when they came."""
    due = np.arange(2500) / 100
    table = whole({"baseline": due, "candidate": due}, failed=lambda arm, due: (arm == "candidate") & (due < 0.4))
    rules = Rules(file="rules.yaml", sha256="", limits={"error_rate": {"max": 0.05}}, duration_s=25.0, warmup_s=0.0)
    load = asked(25.0, 2500)
    assert replay(table, load, rules).outcome == "fail"
    assert replay(table.where(~table.failed), load, rules).outcome == "inconclusive"


@pytest.mark.parametrize("silent", [("baseline",), ("candidate",), ARMS])
@settings(max_examples=10, deadline=None)
@given(recorded=recordings())
def test_a_silent_arm_is_inconclusive(silent: tuple[Arm, ...], recorded: Recorded) -> None:
    """Where an arm was asked for anything; without the candidate nothing fails, without both nothing can be told at all."""
    left = recorded.table.where(~np.isin(recorded.table.arm, silent))
    outcome = replay(left, recorded.load, recorded.rules, recorded.due).outcome
    assert outcome != "pass"
    if "candidate" in silent:
        assert outcome == "inconclusive"


@settings(max_examples=10, deadline=None)
@given(recordings())
def test_no_traffic_at_all_is_inconclusive(recorded: Recorded) -> None:
    nobody = msgspec.structs.replace(recorded.load, asked={"baseline": 0, "candidate": 0})
    nothing = recorded.table.where(np.zeros(len(recorded.table), np.bool_))
    due: dict[Arm, Numbers] = {arm: np.zeros(0) for arm in ARMS}
    assert replay(nothing, nobody, recorded.rules, due).outcome == "inconclusive"


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(LIMITS)), min_size=1, unique=True), st.sampled_from([0.05, 0.5]), st.sampled_from([0, 503])
)
def test_a_candidate_of_fast_errors_only_fails(names: list[str], ms: float, status: int) -> None:
    """Ten seconds of them, by any rule: a latency that no answer had is endless."""
    due = np.arange(1000) / 100
    table = whole({"baseline": due, "candidate": due}, failed=lambda arm, due: arm == "candidate", ms=ms, status=status)
    rules = Rules(file="rules.yaml", sha256="", limits={name: LIMITS[name] for name in names}, duration_s=10.0, warmup_s=0.0)
    judged = replay(table, asked(10.0, 1000), rules)
    assert judged.outcome == "fail"
    assert {result.outcome for result in judge_load(table, asked(10.0, 1000), rules).results if result.name != HEALTH} == {"fail"}


def whole(due: dict[Arm, Numbers], *, failed: Any, ms: float = 1.0, status: int = 500) -> Table:
    """A recording of both arms, of which some requests failed after `ms`."""
    names = np.concatenate([np.full(len(due[arm]), arm) for arm in ARMS])
    times = np.concatenate([due[arm] for arm in ARMS])
    bad = failed(names, times)
    order = np.argsort(times, kind="stable")
    random = np.random.default_rng(1)
    return Table(
        arm=names[order],
        intended=START + times[order],
        delay_ms=np.full(len(order), 0.1),
        queued_ms=np.zeros(len(order)),
        latency_ms=np.where(bad, ms, random.lognormal(0.5, 0.3, len(order)))[order],
        status=np.where(bad, status, 200)[order],
        version=np.array([""] * len(order), np.str_),
        error=np.where(bad, "no", "")[order],
    )


def asked(seconds: float, n: int) -> Load:
    return Load(
        started=START, duration_s=seconds, warmup_s=0.0, rate=n / seconds, timeout_s=10.0, asked=dict.fromkeys(ARMS, n), cpu=0.2
    )
