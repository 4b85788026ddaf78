"""What a gate decides: one result a rule, and the verdict that they add up to (`verdict.json`)."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from canari.errors import CanariError, ExitCode

Outcome: TypeAlias = Literal["pass", "fail", "inconclusive"]

HEALTH = "generator"  # the one rule that is not about the candidate

EXIT_CODES: dict[Outcome, ExitCode] = {"pass": ExitCode.OK, "fail": ExitCode.FAILED, "inconclusive": ExitCode.INCONCLUSIVE}


class RuleResult(msgspec.Struct, frozen=True, kw_only=True):
    """How one rule was decided."""

    name: str
    outcome: Outcome
    value: float | None  # what was measured; None where there is no finite value
    unit: str  # "share", "ms", "times the baseline", ...
    interval: tuple[float | None, float | None] | None  # in the same unit; None at an end is no bound
    limit: float | dict[str, float] | None  # several by name where a rule has several
    samples: int  # requests or rows that the value rests on
    why: str  # one sentence
    decided_s: float | None = None  # seconds of load at the look that decided it; None where only the end did


def only(limits: dict[str, float]) -> float | dict[str, float]:
    """A rule's limits as its result names them: one number, or several by name."""
    return next(iter(limits.values())) if len(limits) == 1 else limits


def undecided(name: str, limit: float | dict[str, float], why: str, *, unit: str = "", samples: int = 0) -> RuleResult:
    """A rule without a value: inconclusive, and why."""
    return RuleResult(
        name=name, outcome="inconclusive", value=None, unit=unit, interval=None, limit=limit, samples=samples, why=why
    )


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule knew at one look, in the unit of its result."""

    outcome: Outcome
    value: float | None
    low: float | None  # None is no bound
    high: float | None


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One of the moments at which a gate judged what it had so far."""

    seconds: float  # of load
    outcome: Outcome
    readings: dict[str, Reading]  # by rule


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two that were compared."""

    name: str  # NAME:VERSION where the server said so
    version: str | None
    url: str


class Generator(msgspec.Struct, frozen=True, kw_only=True):
    """How the load generator fared."""

    cpu: float  # share of one core
    delay_p99_ms: float | None  # its own delay, from when a request was due until it was sent


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that were recorded and not judged."""

    warmup: int
    warmup_s: float  # from the start
    missing: int = 0  # asked for, and not in the recording


class LiveArm(msgspec.Struct, frozen=True, kw_only=True):
    """What the servers of one version counted of the callers' own requests for predictions."""

    servers: int  # that told something
    requests: int  # since each server began
    errors: int  # of these
    restarts: int  # of these servers
    window_requests: int  # while the gate measured
    window_errors: int
    p50_ms: float | None  # of good answers while the gate measured, from a request's arrival to its answer
    p95_ms: float | None
    p99_ms: float | None


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """The callers' requests beside the gate's own: the live candidate and the live baseline."""

    candidate: LiveArm
    baseline: LiveArm
    not_judged: tuple[str, ...]  # optional rules that these requests could not decide, and why: they do not count
    problems: tuple[str, ...]  # servers that did not tell, or not always


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The contract of `verdict.json`."""

    outcome: Outcome
    rules: tuple[RuleResult, ...]
    baseline: Version
    candidate: Version
    seed: int
    started: str  # when the first request could be due, ISO 8601, UTC
    duration_s: float
    rate: float  # requests a second to each of the two
    generator: Generator | None
    attempts: int  # loads that were sent; more than one where the generator was starved
    dropped: Dropped
    predictions: str  # whether they were compared, and on what
    rules_file: str
    rules_sha256: str
    live: Live | None = None  # None where no live servers were named
    planned_s: float | None = None  # the duration that was asked for; a clear outcome ends the load before
    false_alarms: float | None = None  # share of releases of an unchanged model that may fail, over all their gates
    misses: float | None = None  # how often a rule may pass what it forbids
    gates: int = 1  # of the release, over which the false alarms are divided
    looks: tuple[Look, ...] = ()
    not_judged: tuple[str, ...] = ()  # optional rules that nothing was given to judge by, and why: they do not count
    format: int = 1

    def save(self, path: Path) -> None:
        """Write `verdict.json`, whole or not at all."""
        draft = path.with_name(f".{path.name}.part")
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")
        draft.replace(path)


def load_verdict(path: Path) -> Verdict:
    """Read a `verdict.json`; raises `CanariError` where there is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Verdict)
    except (OSError, msgspec.MsgspecError) as error:
        raise CanariError(f"{path}: not a verdict: {error}") from None


def combine(results: Iterable[RuleResult | Verdict]) -> Outcome:
    """The outcome that results, or whole verdicts, add up to.

    Any fail is a fail; else any inconclusive is inconclusive; nothing judged is inconclusive, and a healthy generator is
    nothing judged; else all passed.
    """
    outcomes = {
        result.outcome
        for result in results
        if not (isinstance(result, RuleResult) and result.name == HEALTH and result.outcome == "pass")
    }
    if "fail" in outcomes:
        return "fail"
    return "pass" if outcomes == {"pass"} else "inconclusive"


def line(result: RuleResult) -> str:
    """A result as one line for a person."""
    return f"{result.outcome.upper():<13} {result.name:<22} {result.why}"
