"""What a pipeline reads of a rehearsal, through independent readers: JUnit XML and Markdown."""

from typing import Any

import pytest

from canari.gate.verdict import Outcome
from canari.rehearsal.outcome import DECISIONS, ArmCalls, Calls, ReleaseVerdict, StepRule
from canari.rehearsal.report import pipeline
from tests.gate.test_markdown import tables
from tests.gate.test_report import verdict

junitparser = pytest.importorskip("junitparser", reason="needs junitparser, of the group dev")


def step_rule(name: str, step: str, outcome: Outcome) -> StepRule:
    return StepRule(
        name=name,
        outcome=outcome,
        value=0.01,
        unit="share",
        interval=(0, 0.02),
        limit=0.5,
        samples=9,
        why=f"{name} | so",
        step=step,
    )


def release(*rules: StepRule, outcome: Outcome, **more: Any) -> ReleaseVerdict:
    values: dict[str, Any] = {
        "reason": "it was so",
        "rule": None,
        "stable": "toy:1",
        "candidate": "toy:2",
        "unproved": [],
        "breaking": [],
        "gates": [verdict(outcome=outcome, planned_s=10.0, false_alarms=0.05, misses=0.05, gates=3)],
        "calls": Calls(
            sent=1000,
            answered=999,
            failed=1,
            by_arm={"stable": ArmCalls(answered=999, failed=1)},
            on_candidate_after_rollback=None,
        ),
        "weights": [],
        "plan": ["gate", "setWeight 10 %"],
        "not_rehearsed": [],
        "time_scale": 6.0,
        "seed": 1,
        "started": "2026-11-22T21:00:00+00:00",
        "duration_s": 71.0,
        "canari": "0.1.0",
    }
    return ReleaseVerdict(outcome=outcome, decision=DECISIONS[outcome], rules=list(rules), **{**values, **more})


RULES = (
    step_rule("prediction_shift", "before any traffic", "pass"),
    step_rule("error_rate", "step 1, gate", "pass"),
    step_rule("error_rate", "step 4, gate", "inconclusive"),
    step_rule("p95", "step 4, gate", "fail"),
)


def test_a_suite_a_step() -> None:
    suites = list(junitparser.JUnitXml.fromstring(pipeline.junit_xml(release(*RULES, outcome="fail")).encode()))
    assert [(suite.name, suite.tests, suite.failures, suite.errors) for suite in suites] == [
        ("toy:2 in place of toy:1: before any traffic", 1, 0, 0),
        ("toy:2 in place of toy:1: step 1, gate", 1, 0, 0),
        ("toy:2 in place of toy:1: step 4, gate", 2, 1, 1),
    ]
    assert {one.name: one.value for one in suites[0].properties()}["decision"] == "rolled back"


def test_a_column_a_step() -> None:
    text = pipeline.summary(release(*RULES, outcome="fail", unproved=["toy:2"], breaking=["age is gone"]))
    assert text.splitlines()[0] == "## ❌ Rolled back: toy:2 in place of toy:1"
    assert tables(text) == [
        [
            ["rule", "limit", "before any traffic", "step 1, gate", "step 4, gate"],
            ["prediction_shift", "50 %", "✅ 1 %", "", ""],
            ["error_rate", "50 %", "", "✅ 1 %", "❔ 1 %"],
            ["p95", "50 %", "", "", "❌ 1 %"],
        ]
    ]
    for said in (
        "toy:2 is unproved",
        "toy:1 would notice: age is gone",
        "sent 1,000 requests meanwhile: 999 answered, 1 failed",
        "gate 1: The planned load of 10 s was sent to its end",
        "over all 3 gates",
        "gate → setWeight 10 % → promotion, 6 times faster",
    ):
        assert said in text


def test_a_promotion_is_green() -> None:
    found = junitparser.JUnitXml.fromstring(pipeline.junit_xml(release(*RULES[:2], outcome="pass")).encode())
    assert sum(suite.failures + suite.errors for suite in found) == 0
    assert pipeline.summary(release(*RULES[:2], outcome="pass")).startswith("## ✅ Promoted: toy:2 in place of toy:1\n")
