"""What the process that sends a load is told, one JSON line a load; it answers each with a line of `canari.gate.plan.Load`."""

from collections.abc import Iterator
from itertools import takewhile

import msgspec

from canari.loadtest.arrivals import staged
from canari.loadtest.payloads import Row
from canari.loadtest.scenario import Scenario
from canari.loadtest.target import Target


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One load."""

    target: Target
    scenario: Scenario
    requests: list[list[Row]]  # of a replay, in order; else one row each, to draw from
    seconds: list[float] | None  # from the start, when a replay's are due; None: as the stages say
    duration_s: float
    seed: int
    recording: str
    web_port: int | None = None

    @property
    def warmup_s(self) -> float:
        """Seconds from the start that are not judged."""
        return self.scenario.warmup_of(self.duration_s)

    def offsets(self) -> Iterator[float]:
        """Seconds from the start at which requests are due, in order."""
        due = staged(self.scenario.stages, self.scenario.arrivals, self.seed) if self.seconds is None else iter(self.seconds)
        return takewhile(lambda offset: offset < self.duration_s, due)
