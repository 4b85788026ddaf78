"""JUnit XML of a verdict, as an independent reader of such files reads it."""

from typing import Any

import pytest
from hypothesis import given, settings

from canari.gate.report import junit
from canari.gate.verdict import Outcome, Verdict
from tests.gate.test_report import rule, verdict
from tests.gate.verdicts import VERDICTS

junitparser = pytest.importorskip("junitparser", reason="needs junitparser, of the group dev")


def read(text: str) -> Any:
    """The one suite of a document."""
    (suite,) = junitparser.JUnitXml.fromstring(text.encode())
    return suite


def results(suite: Any) -> dict[str, list[tuple[str, str, str]]]:
    """Of each case what it ended with: element, type and message."""
    return {case.name: [(type(result).__name__, result.type, result.message) for result in case.result] for case in suite}


def test_a_suite_a_gate_a_case_a_rule() -> None:
    suite = read(
        junit.render(
            verdict(
                rule("p50", "pass", decided_s=3.5),
                rule("p95", "fail", why="twice as slow", decided_s=7.0),
                rule("p99", "inconclusive", why="too few"),
                outcome="fail",
                rules_file="loadtests/gates/release.yaml",
                seed=42,
                planned_s=60.0,
                false_alarms=0.05,
            )
        )
    )
    assert (suite.name, suite.tests, suite.failures, suite.errors) == ("toy:2 beside toy:1", 3, 1, 1)
    assert suite.time == 10
    assert results(suite) == {
        "p50": [],
        "p95": [("Failure", "fail", "twice as slow")],
        "p99": [("Error", "inconclusive", "too few")],
    }
    assert [(case.classname, case.time) for case in suite] == [("release", 3.5), ("release", 7.0), ("release", 10.0)]
    properties = {one.name: one.value for one in suite.properties()}
    assert properties["seed"] == "42"
    assert properties["candidate"] == "toy:2"
    assert properties["planned_s"] == "60.0"
    assert properties["false_alarms"] == "0.05"
    assert "misses" not in properties, "not known"
    assert "value 12.5 ms, interval 10 ms to ∞, limit 100 ms" in next(iter(suite)).system_out


@pytest.mark.parametrize("rules", [[], [rule("generator", "pass")]])
def test_a_gate_that_judged_nothing_is_red(rules: list[Any]) -> None:
    suite = read(junit.render(verdict(*rules, outcome="inconclusive")))
    assert suite.errors == 1
    assert results(suite)["verdict"] == [("Error", "inconclusive", "Nothing was judged that is about the candidate.")]


@settings(deadline=None)
@given(VERDICTS)
def test_any_verdict_can_be_read_and_is_red_where_it_is_no_pass(gate: Verdict) -> None:
    suite = read(junit.render(gate))
    ended: list[Outcome] = [one.outcome for one in gate.rules]
    cases = list(suite)
    assert suite.tests == len(cases)
    assert suite.failures == ended.count("fail") == sum(isinstance(r, junitparser.Failure) for c in cases for r in c.result)
    assert suite.errors == sum(isinstance(r, junitparser.Error) for c in cases for r in c.result)
    assert len(cases) - len(gate.rules) == suite.errors - ended.count("inconclusive") in (0, 1)
    assert (suite.failures + suite.errors == 0) == (gate.outcome == "pass")
