"""What a rehearsal found: `verdict.json` of a whole release."""

from typing import Literal, TypeAlias

import msgspec

from canari.gate.verdict import Outcome, RuleResult, Verdict

Decision: TypeAlias = Literal["promoted", "rolled back", "paused"]
DECISIONS: dict[Outcome, Decision] = {"pass": "promoted", "fail": "rolled back", "inconclusive": "paused"}


class StepRule(RuleResult, frozen=True, kw_only=True):
    """A rule's result, and where in the release it fell."""

    step: str


class ArmCalls(msgspec.Struct, frozen=True, kw_only=True):
    """The callers' requests that one arm answered, or failed to."""

    answered: int
    failed: int


class Calls(msgspec.Struct, frozen=True, kw_only=True):
    """Every request of the callers: sent = answered + failed. `by_arm` has "none" for those that no arm received."""

    sent: int
    answered: int
    failed: int
    by_arm: dict[str, ArmCalls]
    on_candidate_after_rollback: int | None  # None where nothing was rolled back


class WeightSet(msgspec.Struct, frozen=True, kw_only=True):
    """The candidate's share of callers from a moment on."""

    seconds: float  # since the start
    weight: int


class ReleaseVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a rehearsal, every rule of it, and what it was measured on."""

    format: int = 1
    outcome: Outcome
    decision: Decision
    reason: str
    rule: str | None  # the name of the rule that decided; None for a promotion
    stable: str  # NAME:VERSION
    candidate: str
    unproved: list[str]  # those of the two that were never proved
    breaking: list[str]  # what a caller of stable would notice
    rules: list[StepRule]
    gates: list[Verdict]
    calls: Calls
    weights: list[WeightSet]
    plan: list[str]
    not_rehearsed: list[str]
    time_scale: float
    seed: int
    started: str  # ISO 8601
    duration_s: float
    canari: str  # version
