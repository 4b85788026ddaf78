"""What a rehearsal found: for a person a self-contained HTML page and a table on the screen, for a pipeline XML and Markdown."""

import collections
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from canari.gate.predictions import Comparison
from canari.gate.recording import to_table
from canari.gate.report import followed
from canari.gate.report.page import MARKS, environment, value_text
from canari.gate.verdict import combine
from canari.model import Value
from canari.rehearsal.outcome import StepRule
from canari.rehearsal.rehearse import GATES, JUNIT, REPORT, SUMMARY, GateRun, Rehearsal
from canari.rehearsal.report import charts, pipeline
from canari.rehearsal.report.steps import by_step, matrix

_STYLES = {"pass": "green", "fail": "bold red", "inconclusive": "yellow"}
_NO_ANSWER = "no answer"


def write_report(rehearsal: Rehearsal, out: Path) -> Path:
    """Write `report.html`, `junit.xml` and `summary.md` into `out`; returns the page, which needs no network."""
    (out / JUNIT).write_text(pipeline.junit_xml(rehearsal.verdict), encoding="utf-8")
    (out / SUMMARY).write_text(pipeline.summary(rehearsal.verdict), encoding="utf-8")
    page = environment("canari.rehearsal").get_template("report.html.jinja").render(**_content(rehearsal))
    path = out / REPORT
    path.write_text(page, encoding="utf-8")
    return path


def print_summary(rehearsal: Rehearsal, console: Console) -> None:
    """One table: what each rule measured at each step; then the callers' account, what a person must know and the decision."""
    verdict = rehearsal.verdict
    console.print()
    console.print(_rule_table(verdict.rules))
    console.print()
    for rule in verdict.rules:
        if rule.outcome != "pass":
            console.print(Text.assemble((rule.outcome, _STYLES[rule.outcome]), f"  {rule.name} ({rule.step}): {rule.why}"))
    calls = verdict.calls
    by_arm = ", ".join(f"{arm} {count.answered:,} (+{count.failed:,} failed)" for arm, count in calls.by_arm.items())
    sent = f"{calls.sent:,} requests sent, {calls.answered:,} answered, {calls.failed:,} failed"
    console.print(f"callers: {sent}; by arm: {by_arm}", soft_wrap=True)
    if verdict.outcome == "fail" and rehearsal.comparison and not rehearsal.gates:
        _print_rows(rehearsal.comparison, verdict.stable, verdict.candidate, console)
    for change in verdict.breaking:
        console.print(f"[yellow]a caller of {verdict.stable} would notice:[/] {change}", soft_wrap=True)
    for tag in verdict.unproved:
        console.print(
            f"[bold red]{tag} is UNPROVED[/]: its predictions were never compared with the source's own", soft_wrap=True
        )
    console.print(Text.assemble((verdict.decision.upper(), _STYLES[verdict.outcome]), ": ", verdict.reason), soft_wrap=True)


def _rule_table(rules: Sequence[StepRule]) -> Table:
    """A line a rule, a column a step."""
    steps = by_step(rules)
    table = Table("rule", "limit", *steps, box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for line in matrix(rules):
        cells = ["" if c is None else Text(f"{MARKS[c.outcome]} {value_text(c)}", _STYLES[c.outcome]) for c in line.cells]
        table.add_row(line.rule, line.limit, *cells)
    return table


def _print_rows(comparison: Comparison, stable: str, candidate: str, console: Console) -> None:
    if not comparison.largest:
        return
    columns = list(comparison.largest[0].values)
    table = Table("row", *columns, "output", stable, candidate, box=None, pad_edge=False)
    for row in comparison.largest:
        table.add_row(str(row.row), *map(_cell, row.values.values()), row.output, _cell(row.baseline), _cell(row.candidate))
    console.print("the rows that differ most:")
    console.print(table)
    console.print()


def _cell(value: Value) -> str:
    if value is None:
        return "missing"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _content(rehearsal: Rehearsal) -> dict[str, Any]:
    verdict = rehearsal.verdict
    calls = to_table(rehearsal.calls)
    seconds = calls.intended - rehearsal.began
    end = float(max(verdict.duration_s, seconds.max(initial=0)))
    arms = ("stable", "candidate")
    good = {arm: (calls.arm == arm) & ~calls.failed for arm in arms}
    bins, share = _candidate_share(seconds, good["stable"], good["candidate"])
    times, weights = [change.seconds for change in verdict.weights], [change.weight for change in verdict.weights]
    pictures = {
        "weights": charts.weights_over_time(times, weights, end, bins, share),
        "callers": charts.latency_over_time(
            "Latency of callers over time", {arm: (seconds[chosen], calls.latency_ms[chosen]) for arm, chosen in good.items()}
        ),
        "errors": charts.errors_over_time(
            {name: seconds[calls.failed & (calls.arm == arm)] for name, arm in (*zip(arms, arms, strict=True), (_NO_ANSWER, ""))},
            end,
        ),
    }
    errors = collections.Counter(f"{call.arm or _NO_ANSWER}: {call.error}" for call in rehearsal.calls if call.error is not None)
    return {
        "verdict": verdict,
        "charts": pictures,
        "steps": [{"name": step, "rules": rules, "outcome": combine(rules)} for step, rules in by_step(verdict.rules).items()],
        "matrix": matrix(verdict.rules),
        "timeline": [f"{at:.1f} s: {text}" for at, text in rehearsal.timeline],
        "calls": [_calls_row(rehearsal, arm, calls.latency_ms[good[arm]]) for arm in arms],
        "errors": errors.most_common(8),
        "comparison": rehearsal.comparison and _comparison(rehearsal.comparison),
        "gates": [_gate(run, number) for number, run in enumerate(rehearsal.gates, 1)],
        "models": [{"role": arm, "signature": rehearsal.signatures[arm], "bento": rehearsal.bentos[arm]} for arm in arms],
    }


def _candidate_share(seconds: charts.Numbers, stable: Any, candidate: Any) -> tuple[charts.Numbers, charts.Numbers]:
    """Per second in which anybody was answered: its middle, and the candidate's share of the answers in percent."""
    edges = np.arange(0, int(seconds.max(initial=0)) + 2)
    mine = np.histogram(seconds[candidate], edges)[0]
    all_ = mine + np.histogram(seconds[stable], edges)[0]
    some = all_ > 0
    return edges[:-1][some] + 0.5, 100 * mine[some] / all_[some]


def _calls_row(rehearsal: Rehearsal, arm: str, latencies: charts.Numbers) -> dict[str, Any]:
    count = rehearsal.verdict.calls.by_arm.get(arm)
    quantiles = [f"{np.percentile(latencies, level):.3g} ms" if len(latencies) else "-" for level in (50, 95, 99)]
    return {
        "name": f"{arm}, {rehearsal.signatures[arm].tag}",
        "answered": count.answered if count else 0,
        "failed": count.failed if count else 0,
        "quantiles": quantiles,
    }


def _gate(run: GateRun, number: int) -> dict[str, Any]:
    table = to_table(run.requests)
    start = float(table.intended.min(initial=math.inf))
    good = {arm: table.where((table.arm == arm) & ~table.failed) for arm in ("baseline", "candidate")}
    return {
        "title": f"Gate {number} ({run.where})",
        "verdict": run.verdict,
        "followed": followed(run.verdict),
        "page": f"{GATES}/{number}/{REPORT}",
        "distribution": charts.latency_distribution(
            f"Latency in gate {number}", {arm: requests.latency_ms for arm, requests in good.items()}
        ),
        "over_time": charts.latency_over_time(
            f"Latency over time in gate {number}",
            {arm: (requests.intended - start, requests.latency_ms) for arm, requests in good.items()},
        ),
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    """The chart of each output that is a number, the rows that differ most, and why there is neither where there is none."""
    pictures = [charts.predictions(quantity.name, *quantity.pairs()) for quantity in comparison.quantities if quantity.numeric]
    return {
        "rows": comparison.rows,
        "failure": comparison.failure,
        "charts": pictures,
        "columns": list(comparison.largest[0].values) if comparison.largest else [],
        "worst": [
            {
                "index": row.row,
                "cells": [_cell(value) for value in row.values.values()],
                "output": row.output,
                "stable": _cell(row.baseline),
                "candidate": _cell(row.candidate),
            }
            for row in comparison.largest
        ],
    }
