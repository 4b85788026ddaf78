"""What a gate measured, for a person: a self-contained HTML page, a few dozen kilobytes of it."""

import collections
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from canari import __version__
from canari.gate.plan import ARMS, Arm
from canari.gate.recording import Request, Table, to_table
from canari.gate.report import charts
from canari.gate.report.page import environment
from canari.gate.verdict import RuleResult, Verdict, Version
from canari.gate.words import number

_MOST_ERRORS = 6
_FIRST = ("fail", "inconclusive", "pass")


def render(verdict: Verdict, requests: Sequence[Request], about: Mapping[str, str] | None = None) -> str:
    """The page of a gate from its verdict and the requests behind it; `about` are further facts by name."""
    table = to_table(list(requests))
    start = float(table.intended.min()) if len(table) else 0.0
    arms = {arm: table.where(table.arm == arm) for arm in ARMS}
    measured = {arm: requests.where(requests.intended >= start + verdict.dropped.warmup_s) for arm, requests in arms.items()}
    limits = {
        rule.name: rule.limit
        for rule in verdict.rules
        if rule.unit == "ms" and rule.name[:1] == "p" and isinstance(rule.limit, float | int)
    }
    pictures = {
        "distribution": charts.latency_distribution({arm: _or_endless(requests) for arm, requests in measured.items()}, limits),
        "over_time": charts.latency_over_time(
            {arm: (requests.intended - start, _or_endless(requests)) for arm, requests in arms.items()},
            verdict.duration_s,
            verdict.dropped.warmup_s,
        ),
    }
    page = environment().get_template("report.html.jinja")
    return page.render(
        verdict=verdict,
        sentence=_sentence(verdict),
        rules=sorted(verdict.rules, key=lambda rule: _FIRST.index(rule.outcome)),
        charts=pictures,
        arms=[_row(arm, _version(verdict, arm), measured[arm]) for arm in ARMS],
        errors=[(arm, *counted) for arm in ARMS for counted in _errors(measured[arm])],
        about=about or {},
        canari=__version__,
    )


def _version(verdict: Verdict, arm: Arm) -> Version:
    return verdict.candidate if arm == "candidate" else verdict.baseline


def _or_endless(requests: Table) -> charts.Numbers:
    return np.where(requests.failed, np.inf, requests.latency_ms)


def _sentence(verdict: Verdict) -> str:
    """The outcome in words."""
    of: dict[str, list[RuleResult]] = collections.defaultdict(list)
    for rule in verdict.rules:
        of[rule.outcome].append(rule)
    n = len(verdict.rules)
    match verdict.outcome:
        case "pass":
            return f"The candidate keeps to {'the one rule' if n == 1 else f'all {n} rules'}."
        case "fail":
            return f"The candidate breaks {len(of['fail'])} of {n} rules: {_names(of['fail'])}."
        case _ if of["inconclusive"]:
            return f"The data do not decide {len(of['inconclusive'])} of {n} rules: {_names(of['inconclusive'])}."
        case _:
            return "Nothing was judged that is about the candidate."


def _names(rules: Sequence[RuleResult]) -> str:
    return ", ".join(rule.name for rule in rules)


def _row(arm: Arm, version: Version, requests: Table) -> dict[str, Any]:
    good = requests.latency_ms[~requests.failed]
    return {
        "arm": arm,
        "name": version.name,
        "requests": len(requests),
        "failed": int(np.count_nonzero(requests.failed)),
        "quantiles": [f"{number(float(np.percentile(good, level)))} ms" if len(good) else "-" for level in (50, 95, 99, 100)],
    }


def _errors(requests: Table) -> list[tuple[str, int]]:
    return collections.Counter(requests.error[requests.failed].tolist()).most_common(_MOST_ERRORS)
