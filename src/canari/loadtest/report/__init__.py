"""The report of a load test: one page that needs no network."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from canari import __version__
from canari.gate.recording import Request, to_table
from canari.gate.report.page import environment, quantity_text
from canari.gate.verdict import HEALTH, Outcome
from canari.loadtest.report import charts
from canari.loadtest.result import Result
from canari.loadtest.scenario import Scenario

_HEADLINES: dict[Outcome, str] = {"pass": "Kept", "fail": "Not kept", "inconclusive": "Inconclusive"}
_FIRST = ("fail", "inconclusive", "pass")


def render(result: Result, scenario: Scenario, requests: Sequence[Request]) -> str:
    """The page of a result from the requests behind it: those of the one load, or all of a search's."""
    step = result.step
    table = to_table(requests)
    start = datetime.fromisoformat(step.started).timestamp()
    table = table.where((table.intended >= start) & (table.intended < start + step.duration_s))
    due = table.intended - start
    latency = np.where(table.failed, np.inf, table.latency_ms)
    limits = {name: limit["max_ms"] for name, limit in _latency_limits(scenario).items()}
    return (
        environment("canari.loadtest")
        .get_template("loadtest.html.jinja")
        .render(
            result=result,
            scenario=scenario,
            step=step,
            steps=result.highest.steps if result.highest else (step,),
            headline=_HEADLINES[result.outcome],
            sentence=_sentence(result),
            objectives=sorted(step.objectives, key=lambda objective: _FIRST.index(objective.outcome)),
            over_time=charts.latency_over_time(due, latency, step.duration_s, step.warmup_s),
            rates=charts.rate_over_time(due, latency, step.duration_s, step.warmup_s),
            over_rate=charts.latency_over_rate(result.highest, limits) if result.highest else "",
            ms=lambda value: "-" if value is None else quantity_text(value, "ms"),
            canari=__version__,
        )
    )


def _latency_limits(scenario: Scenario) -> dict[str, dict[str, float]]:
    """The objectives that are quantiles of latency."""
    return {name: limit for name, limit in scenario.objectives.items() if "max_ms" in limit}


def _sentence(result: Result) -> str:
    if result.highest is not None:
        why = result.highest.why
        return f"{why[:1].upper()}{why[1:]}."
    about = [objective for objective in result.step.objectives if objective.name != HEALTH]
    named = {o: ", ".join(one.name for one in about if one.outcome == o) for o in ("fail", "inconclusive")}
    match result.outcome:
        case "pass":
            return f"The server keeps {'its one objective' if len(about) == 1 else f'all {len(about)} objectives'}."
        case "fail":
            return f"The server does not keep {named['fail']}."
        case _ if result.step.starved:
            return "The load generator itself was starved, so its numbers may be its own fault."
        case _:
            return f"The data do not decide {named['inconclusive']}."
