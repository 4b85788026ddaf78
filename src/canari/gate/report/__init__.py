"""What a person and a pipeline see of a verdict.

`render` makes `report.html`, one self-contained page; the modules `junit` and `markdown` make what a pipeline and a pull request
read. All three say the same, in the words of `sentences`.
"""

import collections
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from canari import __version__
from canari.gate.plan import ARMS, Arm
from canari.gate.recording import Request, Table, to_table
from canari.gate.report import charts
from canari.gate.report.drawing import Numbers
from canari.gate.report.page import environment, quantity_text
from canari.gate.verdict import Look, Reading, RuleResult, Verdict, Version
from canari.gate.words import number

_MOST_ERRORS = 6
_MOST_SPANS = 12  # of a table of latency over time
_LEVELS = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9, "max": 100.0}
_QUANTILE = re.compile(r"p\d{1,2}(\.\d+)?")  # the rules that limit a quantile of the candidate's latency
_FIRST = ("fail", "inconclusive", "pass")


def render(verdict: Verdict, requests: Sequence[Request], about: Mapping[str, str] | None = None) -> str:
    """The page of a gate from its verdict and the requests behind it; `about` are further facts by name."""
    table = to_table(list(requests))
    start = float(table.intended.min()) if len(table) else 0.0
    arms = {arm: table.where(table.arm == arm) for arm in ARMS}
    measured = {arm: requests.where(requests.intended >= start + verdict.dropped.warmup_s) for arm, requests in arms.items()}
    timed = {arm: (requests.intended - start, _or_endless(requests)) for arm, requests in arms.items()}
    limits = {
        rule.name: rule.limit for rule in verdict.rules if _QUANTILE.fullmatch(rule.name) and isinstance(rule.limit, float | int)
    }
    pictures = {
        "distribution": charts.latency_distribution({arm: _or_endless(requests) for arm, requests in measured.items()}, limits),
        "over_time": charts.latency_over_time(timed, verdict.duration_s, verdict.dropped.warmup_s),
    }
    page = environment().get_template("report.html.jinja")
    return page.render(
        verdict=verdict,
        rules=sorted(verdict.rules, key=lambda rule: _FIRST.index(rule.outcome)),
        charts=pictures,
        levels=list(_LEVELS),
        arms=[_row(arm, _version(verdict, arm), measured[arm]) for arm in ARMS],
        ratios=_ratios(measured),
        spans=_spans(timed, verdict.duration_s),
        followed=followed(verdict),
        errors=[(arm, *counted) for arm in ARMS for counted in _errors(measured[arm])],
        about=about or {},
        canari=__version__,
    )


class Followed(NamedTuple):
    """One rule over a gate's looks."""

    rule: RuleResult
    readings: list[tuple[Look, Reading | None]]  # None where the rule was not read
    picture: str  # SVG; "" where the rule compares nothing

    @property
    def decided(self) -> str:
        """When it was decided, in words."""
        if self.rule.outcome == "inconclusive":
            return "not decided"
        return "at the end" if self.rule.decided_s is None else f"at {number(self.rule.decided_s)} s"

    def decided_at(self, look: Look) -> bool:
        """Whether this look decided it."""
        return self.rule.decided_s is not None and math.isclose(self.rule.decided_s, look.seconds, rel_tol=1e-6)


def followed(verdict: Verdict) -> list[Followed]:
    """The rules that the gate's looks read; none where the verdict has no looks."""
    return [
        Followed(
            rule,
            [(look, look.readings.get(rule.name)) for look in verdict.looks],
            charts.reading_over_looks(rule, verdict.looks) if rule.name.endswith("_vs_baseline") else "",
        )
        for rule in verdict.rules
        if any(rule.name in look.readings for look in verdict.looks)
    ]


def _version(verdict: Verdict, arm: Arm) -> Version:
    return verdict.candidate if arm == "candidate" else verdict.baseline


def _or_endless(requests: Table) -> Numbers:
    return np.where(requests.failed, np.inf, requests.latency_ms)


def _quantile(good: Numbers, level: float) -> float | None:
    """None where fewer than one of the values would lie above the quantile."""
    known = len(good) and (level == 100 or len(good) * (1 - level / 100) >= 1)
    return float(np.percentile(good, level)) if known else None


def _row(arm: Arm, version: Version, requests: Table) -> dict[str, Any]:
    good = requests.latency_ms[~requests.failed]
    quantiles = [_quantile(good, level) for level in _LEVELS.values()]
    return {
        "arm": arm,
        "name": version.name,
        "requests": len(requests),
        "failed": int(np.count_nonzero(requests.failed)),
        "quantiles": ["-" if quantile is None else quantity_text(quantile, "ms") for quantile in quantiles],
    }


def _ratios(arms: Mapping[Arm, Table]) -> list[str]:
    """The candidate's quantiles in the baseline's."""
    texts = []
    for level in _LEVELS.values():
        theirs, ours = (_quantile(arms[arm].latency_ms[~arms[arm].failed], level) for arm in ARMS)
        texts.append(quantity_text(ours / theirs, "times the baseline") if ours is not None and theirs else "-")
    return texts


def _spans(arms: Mapping[Arm, tuple[Numbers, Numbers]], seconds: float) -> list[dict[str, Any]]:
    """Latency over time as a table: of a few spans of equal length each arm's p50, p95 and failures."""
    edges = np.linspace(0, seconds, min(_MOST_SPANS, max(1, round(seconds))) + 1)
    rows = []
    for begin, end in itertools.pairwise(edges):
        cells: list[str] = []
        for arm in ARMS:
            due, latency = arms[arm]
            within = latency[(due >= begin) & (due < end)]
            good = within[np.isfinite(within)]
            cells += [quantity_text(float(np.percentile(good, level)), "ms") if len(good) else "-" for level in (50, 95)]
            cells.append(f"{len(within) - len(good):,}")
        rows.append({"span": f"{number(begin)} to {number(end)} s", "cells": cells})
    return rows


def _errors(requests: Table) -> list[tuple[str, int]]:
    return collections.Counter(requests.error[requests.failed].tolist()).most_common(_MOST_ERRORS)
