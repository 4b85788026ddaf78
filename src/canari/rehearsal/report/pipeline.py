"""What a rehearsal found, for a pipeline: JUnit XML with a test suite a step, and Markdown for a pull request's summary."""

from canari.gate.report import junit, markdown, sentences
from canari.gate.report.page import value_text
from canari.gate.verdict import combine
from canari.rehearsal.outcome import ReleaseVerdict
from canari.rehearsal.report.steps import by_step, matrix


def junit_xml(verdict: ReleaseVerdict) -> str:
    """A test suite a step, a test case a rule; red exactly where the candidate was not promoted."""
    facts = {
        "stable": verdict.stable,
        "candidate": verdict.candidate,
        "decision": verdict.decision,
        "time_scale": f"{verdict.time_scale:g}",
        "seed": str(verdict.seed),
        "canari": verdict.canari,
    }
    return junit.document(
        junit.Suite(
            name=f"{verdict.candidate} in place of {verdict.stable}: {step}",
            class_name="rehearsal",
            outcome=combine(rules),
            sentence=verdict.reason,
            rules=rules,
            started=verdict.started,
            seconds=None,
            properties=facts,
        )
        for step, rules in by_step(verdict.rules).items()
    )


def summary(verdict: ReleaseVerdict) -> str:
    """The decision in the first line, then each rule at each step, the callers' account and how it was rehearsed."""
    calls = verdict.calls
    rows = [
        (
            line.rule,
            line.limit,
            *("" if cell is None else f"{markdown.SIGNS[cell.outcome]} {value_text(cell)}" for cell in line.cells),
        )
        for line in matrix(verdict.rules)
    ]
    known = [f"{tag} is unproved: its predictions were never compared with the source's own." for tag in verdict.unproved]
    known += [f"A caller of {verdict.stable} would notice: {change}." for change in verdict.breaking]
    facts = [
        f"plan: {' → '.join(verdict.plan)} → promotion, {verdict.time_scale:g} times faster",
        *(f"gate {number}: {text}" for number, gate in enumerate(verdict.gates, 1) if (text := sentences.length(gate))),
        *(filter(None, [sentences.risks(verdict.gates[0])]) if verdict.gates else ()),
        f"started {verdict.started}, took {verdict.duration_s:.0f} s; seed {verdict.seed}; canari {verdict.canari}",
    ]
    return markdown.join(
        [
            markdown.headline(
                verdict.outcome, f"{verdict.decision.capitalize()}: {verdict.candidate} in place of {verdict.stable}"
            ),
            markdown.plain(verdict.reason),
            markdown.bullets(known),
            markdown.table(("rule", "limit", *by_step(verdict.rules)), rows),
            markdown.reasons(rule for rule in verdict.rules if rule.outcome != "pass"),
            f"Callers sent {calls.sent:,} requests meanwhile: {calls.answered:,} answered, {calls.failed:,} failed.",
            markdown.folded("How it was rehearsed", facts),
        ]
    )
