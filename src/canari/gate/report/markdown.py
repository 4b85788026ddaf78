"""A verdict as GitHub-flavoured Markdown, for the summary of a pipeline's step or of a pull request."""

import html
import re
from collections.abc import Iterable, Sequence

from canari.gate.report import sentences
from canari.gate.report.page import interval_text, limit_text, value_text
from canari.gate.verdict import Outcome, RuleResult, Verdict

SIGNS: dict[Outcome, str] = {"pass": "✅", "fail": "❌", "inconclusive": "❔"}

_FIRST = ("fail", "inconclusive", "pass")
_UNSEEN = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_MARKUP = re.compile(r"[\\`*\[\]#|~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def render(verdict: Verdict) -> str:
    """The summary of a gate: its outcome in the first line, then its rules, then how it was measured."""
    candidate, baseline = verdict.candidate, verdict.baseline
    rules = sorted(verdict.rules, key=lambda rule: _FIRST.index(rule.outcome))
    open_ = [rule for rule in rules if rule.outcome != "pass"]
    parts = [
        headline(verdict.outcome, f"{sentences.HEADLINES[verdict.outcome]}: {candidate.name} beside {baseline.name}"),
        plain(sentences.outcome(verdict)),
        rule_table(rules),
        reasons(open_),
        table(
            ("", "version", "asked at"),
            [("candidate", candidate.name, candidate.url), ("baseline", baseline.name, baseline.url)],
        ),
        folded("How it was measured", _facts(verdict)),
    ]
    return join(parts)


def headline(outcome: Outcome, words: str) -> str:
    """The first line."""
    return f"## {SIGNS[outcome]} {plain(words)}"


def rule_table(rules: Sequence[RuleResult]) -> str:
    """A line a rule, in the order given; "" for none."""
    rows = [
        (f"{SIGNS[rule.outcome]} {rule.outcome}", rule.name, value_text(rule), interval_text(rule), limit_text(rule))
        for rule in rules
    ]
    return table(("outcome", "rule", "value", "interval", "limit"), rows)


def reasons(rules: Iterable[RuleResult]) -> str:
    """Why each of the rules ended so, as a list."""
    return "\n".join(f"- **{plain(rule.name)}**: {plain(rule.why)}" for rule in rules)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of plain texts; "" where it has no row."""
    if not rows:
        return ""
    lines = [[plain(cell) for cell in head], ["---"] * len(head), *([plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def folded(title: str, lines: Iterable[str]) -> str:
    """A list of plain texts that is shown when asked for."""
    return f"<details><summary>{plain(title)}</summary>\n\n{bullets(lines)}\n\n</details>"


def bullets(lines: Iterable[str]) -> str:
    """A list of plain texts."""
    return "\n".join(f"- {plain(text)}" for text in lines)


def join(parts: Iterable[str]) -> str:
    """Blocks as one text; those without words are left out."""
    return "\n\n".join(part for part in parts if part) + "\n"


def plain(words: str) -> str:
    """Words that show as they are, in one line: no markup, no HTML, no formula, no end of a table's cell."""
    escaped = _MARKUP.sub(r"\\\g<0>", _UNSEEN.sub(" ", words).strip())
    return html.escape(escaped, quote=False).replace("$", "&#36;")


def _facts(verdict: Verdict) -> list[str]:
    return [
        f"{verdict.rate:g} requests a second to each in the same seconds, from {verdict.started}; seed {verdict.seed}",
        *(f"{about}: {text}" for about, text in sentences.unjudged(verdict).items()),
        *filter(None, [sentences.risks(verdict)]),
        f"predictions: {verdict.predictions}",
        f"rules: {verdict.rules_file}, sha256:{verdict.rules_sha256}",
    ]
