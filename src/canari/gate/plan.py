"""What the process that sends the load is told, and what it tells afterwards."""

from typing import Literal

import msgspec

from canari.model import Value

Arm = Literal["baseline", "candidate"]
ARMS: tuple[Arm, ...] = ("baseline", "candidate")


class LoadPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One gate's load; written to the standard input of `python -m canari.gate.load` as JSON."""

    urls: dict[Arm, str]
    rows: list[dict[str, Value]]
    rate: float  # requests a second to each arm
    arrivals: str
    duration_s: float
    warmup_s: float
    timeout_s: float
    seed: int
    locustfile: str | None
    recording: str
    workers: int = 0  # processes of their own that send it, where one is not enough; 0 is this one
    bind: str = "127.0.0.1:5557"  # where they find this one
    web_port: int | None = None  # of Locust's page while the load is sent; None is no page


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of the load's standard output, as JSON, as soon as the clock is set."""

    started: float  # when the first request can be due, seconds since 1970


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked of the generator and how it fared; the last line of its standard output, as JSON."""

    started: float  # when the first request could be due, seconds since 1970
    duration_s: float  # of arrivals that were sent: less than was planned where the gate ended them
    warmup_s: float
    rate: float
    timeout_s: float
    asked: dict[Arm, int]  # requests that were due to each arm after the warm-up
    cpu: float  # the generator's share of one core while requests were due

    @property
    def measured_from(self) -> float:
        """When the warm-up ended, seconds since 1970."""
        return self.started + self.warmup_s

    @property
    def measured_to(self) -> float:
        """When the last request could be due, seconds since 1970."""
        return self.started + self.duration_s
