"""What a load test found (`result.json`)."""

from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from canari.gate.verdict import Generator, Outcome, RuleResult

Bound: TypeAlias = Literal["server", "generator", "steps"]


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Of good answers, in ms from when their requests were due; None where there were too few."""

    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One load, and how it was answered."""

    outcome: Outcome
    objectives: tuple[RuleResult, ...]
    started: str  # when the first request could be due, ISO 8601, UTC
    duration_s: float
    warmup_s: float  # from the start; the numbers below are of what was due later
    requests: int
    rows: float  # in a request, on average
    rate_asked: float  # requests due a second, on average
    rate_got: float  # good answers a second, until a second after the last request was due
    failures: dict[str, int]  # by reason
    latency: Latency
    generator: Generator
    starved: bool  # whether the generator was, so that its numbers may be its own fault

    @property
    def failed(self) -> int:
        """Requests without a good answer."""
        return sum(self.failures.values())


class Highest(msgspec.Struct, frozen=True, kw_only=True):
    """The search for the highest rate that keeps the objectives."""

    rate: float | None  # requests a second; None where no rate did
    broken_at: float | None  # the lowest rate that did not; None where none was found
    bound: Bound  # what ended the search
    why: str  # one sentence
    steps: tuple[Step, ...]  # in the order in which they were sent


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The contract of `result.json`."""

    outcome: Outcome
    scenario: str
    scenario_file: str
    scenario_sha256: str
    url: str
    protocol: str
    model: str  # NAME:VERSION where the server said so
    seed: int
    rows: str  # where they came from
    skipped: int  # recorded requests that did not fit the server's signature
    step: Step  # the one load, or that at the highest rate
    highest: Highest | None = None  # where it was searched for
    format: int = 1

    def save(self, path: Path) -> None:
        """Write `result.json`, whole or not at all."""
        draft = path.with_name(f".{path.name}.part")
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")
        draft.replace(path)
