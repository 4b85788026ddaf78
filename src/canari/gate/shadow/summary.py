"""The account of a shadow: how many answers were the same, in which fields the others differ, and by how much.

It is the contract of `GET /summary`. It holds names of fields and differences, never a value that was sent or predicted, and
its size is bounded whatever the servers answer.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import Literal, TypeAlias

import msgspec
import numpy as np

from canari.gate.shadow.answers import Difference, FieldResult, Kind, Tolerance

Outcome: TypeAlias = Literal["same", "different", "stable_failed", "candidate_failed", "not_comparable"]
OUTCOMES: tuple[Outcome, ...] = ("same", "different", "stable_failed", "candidate_failed", "not_comparable")
State: TypeAlias = Literal["comparing", "idle", "waiting"]

_SAMPLE = 2000  # differences kept for a field's quantiles
_MOST_FIELDS = 50
_MOST_REASONS = 20
_EXAMPLES = 10
_LONGEST_NAME = 60
_OTHERS = "others"


class FieldSummary(msgspec.Struct, frozen=True, kw_only=True):
    """How one field differs: its numbers in the field's own unit."""

    field: str
    rows: int
    different: int  # rows beyond the tolerance
    mean_shift: float | None  # mean of candidate minus stable; None, as the others, where no row holds a number
    p50: float | None  # quantiles of |candidate - stable|, from a random sample of the rows
    p90: float | None
    p99: float | None
    largest: float | None


class ComparisonSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate beside one stable version. A request that was compared has exactly one outcome."""

    stable: str  # NAME:VERSION
    candidate: str
    started: str  # ISO 8601, UTC
    ended: str | None  # None: still going on
    received: int  # copies of requests for predictions
    sampled_out: int  # beyond the rate that is compared
    dropped: int  # too large, or no room: the versions answered more slowly than requests came
    outcomes: dict[Outcome, int]
    reasons: dict[str, int]  # why requests were not compared or failed
    fields: tuple[FieldSummary, ...]
    examples: tuple[Difference, ...]  # the largest of each field and kind, the largest first


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What `GET /summary` answers."""

    state: State
    why: str
    tolerance: Tolerance
    comparisons: tuple[ComparisonSummary, ...]  # the newest first
    format: int = 1


class Comparison:
    """Counts what one candidate's answers were beside stable's."""

    def __init__(self, stable: str, candidate: str) -> None:
        self.stable = stable
        self.candidate = candidate
        self.received = self.sampled_out = self.dropped = 0
        self.ended: str | None = None
        self._started = now()
        self._outcomes: Counter[Outcome] = Counter()
        self._reasons: Counter[str] = Counter()
        self._fields: dict[str, _Field] = {}
        self._largest: dict[tuple[str, Kind], Difference] = {}

    def count(self, outcome: Outcome, reason: str) -> Outcome:
        """Count a request whose answers were not compared field by field."""
        self._outcomes[outcome] += 1
        self._reasons[reason if reason in self._reasons or len(self._reasons) < _MOST_REASONS else _OTHERS] += 1
        return outcome

    def compared(self, results: Sequence[FieldResult]) -> Outcome:
        """Count a request that both answered with predictions."""
        differences = [result.worst for result in results if result.worst is not None]
        outcome: Outcome = "different" if differences else "same"
        self._outcomes[outcome] += 1
        for result in results:
            name = result.field[:_LONGEST_NAME]
            if name not in self._fields and len(self._fields) >= _MOST_FIELDS:
                name = _OTHERS
            self._fields.setdefault(name, _Field()).add(result)
        for one in differences:
            self._keep(msgspec.structs.replace(one, field=one.field[:_LONGEST_NAME]))
        return outcome

    def _keep(self, difference: Difference) -> None:
        key = difference.field, difference.kind
        known = self._largest.get(key)
        if known is None and len(self._largest) == _MOST_FIELDS:
            return
        if known is None or difference.size > known.size:
            self._largest[key] = difference

    def summary(self) -> ComparisonSummary:
        """The account so far."""
        return ComparisonSummary(
            stable=self.stable,
            candidate=self.candidate,
            started=self._started,
            ended=self.ended,
            received=self.received,
            sampled_out=self.sampled_out,
            dropped=self.dropped,
            outcomes={outcome: self._outcomes[outcome] for outcome in OUTCOMES},
            reasons=dict(self._reasons.most_common()),
            fields=tuple(field.summary(name) for name, field in self._fields.items()),
            examples=tuple(sorted(self._largest.values(), key=lambda one: -one.size)[:_EXAMPLES]),
        )


class _Field:
    """What is kept of one field: counts, the sum of its shifts, and a uniform sample of their sizes."""

    def __init__(self) -> None:
        self.rows = self.different = 0
        self._shifts = 0
        self._sum = self._largest = 0.0
        self._sample: list[float] = []
        self._random = Random(0)  # noqa: S311 (a sample, not secrets)

    def add(self, result: FieldResult) -> None:
        self.rows += result.rows
        self.different += result.different
        for shift in result.shifts:
            self._shifts += 1
            self._sum += shift
            self._largest = max(self._largest, abs(shift))
            # Algorithm R (Vitter, ACM Transactions on Mathematical Software 11, 1985).
            if len(self._sample) < _SAMPLE:
                self._sample.append(abs(shift))
            elif (at := self._random.randrange(self._shifts)) < _SAMPLE:
                self._sample[at] = abs(shift)

    def summary(self, name: str) -> FieldSummary:
        known = self._shifts > 0
        p50, p90, p99 = np.quantile(self._sample, (0.5, 0.9, 0.99)).tolist() if known else (None, None, None)
        return FieldSummary(
            field=name,
            rows=self.rows,
            different=self.different,
            mean_shift=self._sum / self._shifts if known else None,
            p50=p50,
            p90=p90,
            p99=p99,
            largest=self._largest if known else None,
        )


def now() -> str:
    """The time as ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
