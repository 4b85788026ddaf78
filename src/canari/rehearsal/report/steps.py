"""The rules of a rehearsal, ordered by the steps at which they were judged."""

from collections.abc import Sequence
from dataclasses import dataclass

from canari.gate.report.page import limit_text
from canari.rehearsal.outcome import StepRule


@dataclass(frozen=True)
class Line:
    """One rule over all steps: its result at each, None where it was not judged; its limit is the same at each."""

    rule: str
    limit: str
    cells: list[StepRule | None]


def matrix(rules: Sequence[StepRule]) -> list[Line]:
    """A line a rule, a cell a step."""
    steps = by_step(rules)
    lines = []
    for name in dict.fromkeys(rule.name for rule in rules):
        cells = [next((rule for rule in found if rule.name == name), None) for found in steps.values()]
        lines.append(Line(name, next(limit_text(cell) for cell in cells if cell is not None), cells))
    return lines


def by_step(rules: Sequence[StepRule]) -> dict[str, list[StepRule]]:
    """The rules of each step, in the order of time."""
    steps: dict[str, list[StepRule]] = {}
    for rule in rules:
        steps.setdefault(rule.step, []).append(rule)
    return steps
