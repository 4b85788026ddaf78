"""Traces: what two servers of the same version answered under the gate's own load, recorded once and drawn from many times.

A trace is kept as one .npz file: times in whole microseconds, so that a minute of 400 requests a second takes 200 kB.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from canari.gate.plan import Load
from canari.gate.recording import Table
from canari.gate.rules import Rules
from canari.gate.sequence import Due

_MICRO = 1e6


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """Requests to two servers in the order in which they were due; arrays [n]."""

    seconds: float  # how long requests were due
    cpu: float  # the generator's share of one core
    candidate: npt.NDArray[np.bool_]  # else the baseline
    due: npt.NDArray[np.float64]  # seconds from the start
    delay_ms: npt.NDArray[np.float64]  # the generator's own
    latency_ms: npt.NDArray[np.float64]  # from when it was due
    status: npt.NDArray[np.int64]  # HTTP; 0 for no whole answer
    failed: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.due)

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Trace":
        """The requests where `chosen` [n] is true."""
        arrays = {name: getattr(self, name)[chosen] for name in _ARRAYS}
        return msgspec.structs.replace(self, **arrays)

    def cut(self, start: float, seconds: float) -> "Trace":
        """The stretch of so many seconds from `start` on, both servers together."""
        part = self.where((self.due >= start) & (self.due < start + seconds))
        return msgspec.structs.replace(part, seconds=seconds, due=part.due - start)

    def swapped(self) -> "Trace":
        """The same with the servers' parts changed."""
        return msgspec.structs.replace(self, candidate=~self.candidate)

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        with new.open("wb") as file:
            np.savez_compressed(
                file,
                seconds=self.seconds,
                cpu=self.cpu,
                candidate=self.candidate,
                due=np.round(self.due * _MICRO).astype(np.uint32),
                delay=np.round(self.delay_ms * 1e3).astype(np.uint32),
                latency=np.round(self.latency_ms * 1e3).astype(np.uint32),
                status=self.status.astype(np.int16),
                failed=self.failed,
            )
        new.replace(path)


_ARRAYS = ("candidate", "due", "delay_ms", "latency_ms", "status", "failed")


def load_trace(path: Path) -> Trace:
    """Read a trace that `Trace.save` wrote."""
    with np.load(path) as file:
        return Trace(
            seconds=float(file["seconds"]),
            cpu=float(file["cpu"]),
            candidate=file["candidate"],
            due=file["due"] / _MICRO,
            delay_ms=file["delay"] / 1e3,
            latency_ms=file["latency"] / 1e3,
            status=file["status"].astype(np.int64),
            failed=file["failed"],
        )


def of_table(table: Table, load: Load) -> Trace:
    """What a load recorded after its warm-up."""
    table = table.where((table.intended >= load.measured_from) & (table.intended < load.measured_to))
    return Trace(
        seconds=load.duration_s - load.warmup_s,
        cpu=load.cpu,
        candidate=table.arm == "candidate",
        due=table.intended - load.measured_from,
        delay_ms=table.delay_ms,
        latency_ms=table.latency_ms,
        status=table.status,
        failed=table.failed,
    )


def join(traces: Sequence[Trace]) -> Trace:
    """One after the other, as one load."""
    starts = np.cumsum([0.0, *(trace.seconds for trace in traces)])
    shifted = [msgspec.structs.replace(t, due=t.due + start) for t, start in zip(traces, starts, strict=False)]
    return Trace(
        seconds=float(starts[-1]),
        cpu=max(trace.cpu for trace in traces),
        **{name: np.concatenate([getattr(trace, name) for trace in shifted]) for name in _ARRAYS},
    )


def as_recorded(trace: Trace, rules: Rules) -> tuple[Table, Load, Due]:
    """A trace as the recording of a gate by `rules`, what the generator would have told, and when requests were due."""
    texts = np.array([f"HTTP {status}" if status else "no whole answer" for status in trace.status[trace.failed]], np.str_)
    error = np.zeros(len(trace), texts.dtype if len(texts) else "U1")
    error[trace.failed] = texts
    table = Table(
        arm=np.where(trace.candidate, "candidate", "baseline"),
        intended=trace.due,
        delay_ms=trace.delay_ms,
        queued_ms=np.zeros(len(trace)),
        latency_ms=trace.latency_ms,
        status=trace.status,
        version=np.full(len(trace), ""),
        error=error,
    )
    due: Due = {"baseline": trace.due[~trace.candidate], "candidate": trace.due[trace.candidate]}
    load = Load(
        started=0.0,
        duration_s=trace.seconds,
        warmup_s=rules.warmup_s,
        rate=rules.rate,
        timeout_s=rules.timeout_s,
        asked={arm: int(np.count_nonzero(moments >= rules.warmup_s)) for arm, moments in due.items()},
        cpu=trace.cpu,
    )
    return table, load, due
