"""The rules of a gate on a shadow: asks the comparer for its summary and judges the candidate that is on trial now."""

from collections.abc import Sequence

import msgspec

from canari.gate.http import NoAnswerError, call
from canari.gate.judging import judge_share
from canari.gate.rules import SHADOW_RULES, Rules
from canari.gate.shadow.summary import ComparisonSummary, Summary
from canari.gate.verdict import RuleResult, undecided

_TIMEOUT = 5.0


def ask_summary(url: str) -> Summary:
    """The summary of the comparer at `url`; raises `NoAnswerError`, which says what came, where it gives none."""
    answer = call(f"{url.rstrip('/')}/summary", timeout=_TIMEOUT)
    try:
        return msgspec.json.decode(answer.body, type=Summary)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NoAnswerError(f"{url}: not a shadow's summary: {error}") from None


def judge_shadow(url: str, rules: Rules, stable: str, candidate: str) -> list[RuleResult]:
    """Judge the shadow's rules of `rules` on what the comparer at `url` found of `candidate` beside `stable` (NAME:VERSION).

    Without such a rule, or where both are the same version, there is nothing to judge. What the comparer does not tell is
    inconclusive; a comparison that has ended was another release's.
    """
    names = [name for name in SHADOW_RULES if name in rules.limits]
    if not names or stable == candidate:
        return []
    try:
        summary = ask_summary(url)
    except NoAnswerError as error:
        return _all_undecided(names, rules, f"the shadow gives no summary: {error}")
    for one in summary.comparisons:
        if (one.stable, one.candidate, one.ended) == (stable, candidate, None):
            return [_judge(name, one, rules) for name in names]
    why = f"the shadow does not compare {candidate} with {stable}: {summary.why}"
    return _all_undecided(names, rules, why)


def _all_undecided(names: Sequence[str], rules: Rules, why: str) -> list[RuleResult]:
    return [undecided(name, rules.limits[name]["max"], why, unit="share") for name in names]


def _judge(name: str, comparison: ComparisonSummary, rules: Rules) -> RuleResult:
    counts = comparison.outcomes
    answered = counts["same"] + counts["different"]
    limit, risks = rules.limits[name]["max"], rules.risks()
    if name == "shadow_difference":
        what = "callers' requests get another answer"
        result = judge_share(name, counts["different"], answered, limit, risks, what=what)
        return msgspec.structs.replace(result, why=result.why + _largest(comparison))
    n = answered + counts["candidate_failed"]
    what = "callers' requests that stable answered had no good answer of the candidate"
    result = judge_share(name, counts["candidate_failed"], n, limit, risks, what=what)
    return msgspec.structs.replace(result, why=result.why + _commonest(comparison))


def _largest(comparison: ComparisonSummary) -> str:
    largest = {field.field: field.largest for field in comparison.fields if field.largest}
    if not largest:
        return ""
    field = max(largest, key=lambda name: largest[name])
    return f"; the largest difference: {largest[field]:.3g} in {field}"


def _commonest(comparison: ComparisonSummary) -> str:
    reason = next((reason for reason in comparison.reasons if reason.startswith("candidate: ")), None)
    return "" if reason is None else f"; most often: {reason.removeprefix('candidate: ')}"
