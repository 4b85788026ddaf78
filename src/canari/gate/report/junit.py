"""A verdict as JUnit XML, which every pipeline can show: a test suite a gate, a test case a rule.

Written as Jenkins' xUnit plugin and Maven's Surefire describe it. A broken rule is a failure, one that the data do not decide an
error: both are red, and each says which it is.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import NamedTuple
from xml.etree import ElementTree as ET

from canari.gate.report import sentences
from canari.gate.report.page import interval_text, legal, limit_text, value_text
from canari.gate.verdict import Outcome, RuleResult, Verdict

_ELEMENTS: dict[Outcome, str] = {"pass": "system-out", "fail": "failure", "inconclusive": "error"}


class Suite(NamedTuple):
    """What one test suite says."""

    name: str
    class_name: str  # of its test cases
    outcome: Outcome
    sentence: str
    rules: Sequence[RuleResult]
    started: str  # ISO 8601
    seconds: float | None  # that it took; None where that is not known
    properties: Mapping[str, str]


def render(verdict: Verdict) -> str:
    """The XML of a gate; a suite is red exactly where its verdict is no pass."""
    return document([of_gate(verdict)])


def of_gate(verdict: Verdict) -> Suite:
    """The suite of one gate."""
    baseline, candidate = verdict.baseline, verdict.candidate
    facts = {
        "baseline": baseline.name,
        "baseline.url": baseline.url,
        "candidate": candidate.name,
        "candidate.url": candidate.url,
        "seed": verdict.seed,
        "rate": verdict.rate,
        "planned_s": verdict.planned_s,
        "attempts": verdict.attempts,
        "false_alarms": verdict.false_alarms,
        "misses": verdict.misses,
        "gates": verdict.gates,
        "predictions": verdict.predictions,
        "rules.file": verdict.rules_file,
        "rules.sha256": verdict.rules_sha256,
    }
    return Suite(
        name=f"{candidate.name} beside {baseline.name}",
        class_name=PurePath(verdict.rules_file).stem or "gate",
        outcome=verdict.outcome,
        sentence=sentences.outcome(verdict),
        rules=verdict.rules,
        started=verdict.started,
        seconds=verdict.duration_s,
        properties={name: str(value) for name, value in facts.items() if value is not None},
    )


def document(suites: Iterable[Suite]) -> str:
    """Several suites as one document."""
    root = ET.Element("testsuites")
    for suite in suites:
        root.append(_element(suite))
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _element(suite: Suite) -> ET.Element:
    cases = [_case(suite, rule.name, rule.outcome, rule.why, rule.decided_s, _measured(rule)) for rule in suite.rules]
    if not any(rule.outcome == suite.outcome for rule in suite.rules):
        # Where nothing was judged, or no rule is to blame, a green suite would say what the verdict does not.
        cases.append(_case(suite, "verdict", suite.outcome, suite.sentence, None, ""))
    counts = {
        "tests": len(cases),
        "failures": sum(case.find("failure") is not None for case in cases),
        "errors": sum(case.find("error") is not None for case in cases),
        "skipped": 0,
    }
    element = ET.Element(
        "testsuite",
        {
            "name": legal(suite.name),
            **{name: str(count) for name, count in counts.items()},
            **_time(suite.seconds),
            "timestamp": legal(suite.started),
        },
    )
    properties = ET.SubElement(element, "properties")
    for name, value in suite.properties.items():
        ET.SubElement(properties, "property", {"name": name, "value": legal(value)})
    element.extend(cases)
    return element


def _case(suite: Suite, name: str, outcome: Outcome, why: str, decided_s: float | None, measured: str) -> ET.Element:
    """One test case; what only the end decided took the whole load."""
    seconds = suite.seconds if decided_s is None else decided_s
    case = ET.Element("testcase", {"name": legal(name), "classname": legal(suite.class_name), **_time(seconds)})
    said = ET.SubElement(case, _ELEMENTS[outcome])
    if outcome != "pass":
        said.attrib |= {"type": outcome, "message": legal(why)}
    said.text = legal("\n".join(part for part in (why, measured) if part))
    return case


def _measured(rule: RuleResult) -> str:
    return f"value {value_text(rule)}, interval {interval_text(rule)}, limit {limit_text(rule)}, {rule.samples} samples"


def _time(seconds: float | None) -> dict[str, str]:
    return {} if seconds is None else {"time": f"{max(seconds, 0.0):.3f}"}
