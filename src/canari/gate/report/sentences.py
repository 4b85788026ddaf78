"""A verdict in sentences, for a page, a pull request and a pipeline alike."""

from collections.abc import Sequence

from canari.gate.verdict import HEALTH, Outcome, RuleResult, Verdict
from canari.gate.words import number

HEADLINES: dict[Outcome, str] = {"pass": "Passed", "fail": "Failed", "inconclusive": "Inconclusive"}


def outcome(verdict: Verdict) -> str:
    """What was decided, and by which rules."""
    n = len(verdict.rules)
    failed, open_ = with_outcome(verdict, "fail"), with_outcome(verdict, "inconclusive")
    match verdict.outcome:
        case "pass":
            return f"The candidate keeps to {'the one rule' if n == 1 else f'all {n} rules'}."
        case "fail":
            return f"The candidate breaks {len(failed)} of {n} rules: {_names(failed)}."
        case _ if open_:
            return f"The data do not decide {len(open_)} of {n} rules: {_names(open_)}."
        case _:
            return "Nothing was judged that is about the candidate."


def risks(verdict: Verdict) -> str:
    """How often a gate like this one is wrong; "" where the verdict does not say."""
    if verdict.false_alarms is None or verdict.misses is None:
        return ""
    over, each = "over all rules and all looks of its one gate", ""
    if verdict.gates > 1:
        over = f"over all {verdict.gates} gates of a release, all their rules and all looks"
        each = f"; this gate's part of that is {_of_hundred(verdict.false_alarms / verdict.gates)}"
    return (
        f"A release that changes nothing fails at most {_of_hundred(verdict.false_alarms)} times, {over}{each}. "
        f"A candidate that is beyond a limit passes that rule at most {_of_hundred(verdict.misses)} times."
    )


def length(verdict: Verdict) -> str:
    """How much of the planned load was sent, and why not all of it; "" where the verdict does not know what was planned."""
    if verdict.planned_s is None:
        return ""
    planned = f"{verdict.planned_s:.4g} s"
    if not ended_early(verdict):
        return f"The planned load of {planned} was sent to its end."
    last = verdict.looks[-1] if verdict.looks else None
    by = f"by {last.seconds if last else verdict.duration_s:.4g} s of the planned {planned}"
    saved = f"the load of the other {number(verdict.planned_s - verdict.duration_s)} s was not sent"
    match last.outcome if last else verdict.outcome:
        case "pass":
            return f"Good news came early: {by} each rule of the load had passed, so {saved}."
        case "fail":
            failed = [name for name, read in last.readings.items() if read.outcome == "fail"] if last else []
            return f"Bad news came early: {by} {' and '.join(failed) or 'a rule'} had clearly failed, so {saved}."
        case _:
            return f"The load ended {by}, before it could decide."


def ended_early(verdict: Verdict) -> bool:
    """Whether less was sent than planned, beyond what rounding hides."""
    planned = verdict.planned_s or 0.0
    return verdict.duration_s < planned and f"{verdict.duration_s:.4g}" != f"{planned:.4g}"


def unjudged(verdict: Verdict) -> dict[str, str]:
    """What does not count, and why: a sentence by what it is about."""
    dropped = verdict.dropped
    left_out = {
        "warm-up": f"{dropped.warmup:,} requests of the first {dropped.warmup_s:g} s, in which connections open and caches fill."
    }
    if dropped.missing:
        left_out["missing"] = (
            f"{dropped.missing:,} requests were asked for and are not in the recording: they count as failed towards a pass and "
            "as good towards a fail, and no rule of a latency passes without them."
        )
    if verdict.attempts > 1:
        left_out["earlier load"] = (
            f"The load was sent {verdict.attempts} times, and only the last is judged: "
            "in an earlier one the generator was starved and the outcome open."
        )
    if said := length(verdict):
        left_out["load not sent" if ended_early(verdict) else "length"] = said
    if ended_early(verdict) and verdict.looks:
        left_out["last moments"] = (
            "Requests that were due in the second before the deciding look, or after it, are drawn here and not judged."
        )
    for rule in verdict.rules:
        if rule.name == HEALTH:
            left_out["load generator"] = f"{rule.why[:1].upper()}{rule.why[1:]}."
    return left_out


def with_outcome(verdict: Verdict, wanted: Outcome) -> list[RuleResult]:
    """The rules that ended so."""
    return [rule for rule in verdict.rules if rule.outcome == wanted]


def _names(rules: Sequence[RuleResult]) -> str:
    return ", ".join(rule.name for rule in rules)


def _of_hundred(share: float) -> str:
    return f"{100 * share:.3g} of 100"
