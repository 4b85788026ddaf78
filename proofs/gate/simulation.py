"""Releases drawn from traces, judged as a running gate would have judged them: false alarms without a fault, misses with one."""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from canari.gate.rules import Rules, load_rules
from canari.gate.sequence import replay
from canari.gate.verdict import HEALTH, Outcome, combine
from canari.rehearsal.processes import stopping_on_signals
from proofs.gate.faults import FAULTS
from proofs.gate.peers import Threshold, closed_loop, kayenta
from proofs.gate.recording import TRACES, traces
from proofs.gate.releases import draw_gate, stream
from proofs.gate.traces import Trace, as_recorded
from proofs.results import ROOT, commit, load, save

GATES = ROOT / "loadtests" / "gates"
_PROCESSES = 2
_BATCH = 10
_NICE = 5


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is judged, again and again."""

    kind: str  # of traces
    rules: str  # the name of a file of rules
    seconds: float  # of each gate
    gates: int = 3  # of the release, among which its false alarms are divided
    fault: str = ""  # none: a release, gate after gate until one fails; else the first gate alone

    @property
    def name(self) -> str:
        """For a file."""
        fault = "".join(c if c.isalnum() else "-" for c in self.fault) or "none"
        return f"{self.kind}-{self.rules}-{self.seconds:g}s-{self.gates}-{fault}"


class Gate(msgspec.Struct, frozen=True):
    """How one gate ended."""

    outcome: Outcome
    seconds: float  # of load, when it ended
    failed: tuple[str, ...] = ()  # rules
    undecided: tuple[str, ...] = ()


class Release(msgspec.Struct, frozen=True):
    """The gates of one release that were run."""

    gates: tuple[Gate, ...]

    @property
    def outcome(self) -> Outcome:
        """A fail ends it, an undecided gate makes it undecided."""
        outcomes = {gate.outcome for gate in self.gates}
        return "fail" if "fail" in outcomes else "inconclusive" if "inconclusive" in outcomes else "pass"


class Judged(msgspec.Struct):
    """What was judged so far of a plan."""

    plan: Plan
    commit: str
    code: str  # of what judges and of what is judged
    releases: list[Release] = []
    seconds: float = 0.0


class Compared(msgspec.Struct):
    """Which of so many releases others failed."""

    plan: Plan
    commit: str
    code: str
    releases: list[dict[str, bool]] = []
    seconds: float = 0.0


T = TypeVar("T", Judged, Compared)


def judge(plan: Plan, number: int, folder: Path = TRACES) -> Release:
    """One release, by its number."""
    rules = rules_of(plan)
    gates: list[Gate] = []
    for trace in draw(plan, number, folder):
        table, load, due = as_recorded(trace, rules)
        judged = replay(table, load, rules, due)
        results = [result for result in judged.results if result.name != HEALTH]
        gates.append(
            Gate(
                outcome=combine(judged.results),
                seconds=judged.stopped_s,
                failed=tuple(result.name for result in results if result.outcome == "fail"),
                undecided=tuple(result.name for result in judged.results if result.outcome == "inconclusive"),
            )
        )
        if gates[-1].outcome == "fail":
            break
    return Release(tuple(gates))


def compare(plan: Plan, number: int, folder: Path = TRACES) -> dict[str, bool]:
    """Whether others would have failed the same requests."""
    open_loop, closed = _thresholds(plan.kind, folder)
    gates = list(draw(plan, number, folder))
    return {
        KAYENTA: kayenta(gates),
        THRESHOLD: any(open_loop.fails(gate) for gate in gates),
        CLOSED_LOOP: any(closed.fails(closed_loop(gate)) for gate in gates),
    }


KAYENTA, THRESHOLD, CLOSED_LOOP = "Kayenta", "p95 threshold", "closed-loop Locust"


def draw(plan: Plan, number: int, folder: Path) -> Iterator[Trace]:
    """The gates of one release of a plan, by its number."""
    for gate in range(1 if plan.fault else plan.gates):
        trace = draw_gate(_traces(plan.kind, folder), plan.seconds, stream(plan.kind, plan.seconds, number, gate))
        yield FAULTS[plan.fault](trace, stream(plan.fault, number)) if plan.fault else trace


@cache
def rules_of(plan: Plan) -> Rules:
    """The rules of a plan, as a gate of the release uses them."""
    return load_rules(GATES / f"{plan.rules}.yaml").lasting(plan.seconds).of(plan.gates)


@cache
def _traces(kind: str, folder: Path) -> list[Trace]:
    return traces(kind, folder)


@cache
def _thresholds(kind: str, folder: Path) -> tuple[Threshold, Threshold]:
    history = _traces(kind, folder)
    return Threshold(history), Threshold([closed_loop(trace) for trace in history])


def code(plan: Plan, folder: Path) -> str:
    """A checksum of what judges, of the rules and of the traces: results are kept as long as it is the same."""
    judging = [ROOT / "src" / "canari" / "gate" / f"{name}.py" for name in _JUDGING]
    drawing = [Path(__file__).with_name(f"{name}.py") for name in _DRAWING]
    whole = hashlib.sha256()
    for path in [*judging, *drawing, GATES / f"{plan.rules}.yaml", *sorted(folder.glob(f"{plan.kind}-*.npz"))]:
        whole.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()[:16]


_JUDGING = ("blocks", "judging", "plan", "recording", "rules", "sequence", "statistics", "verdict")
_DRAWING = ("faults", "peers", "releases", "simulation", "traces")


def simulate(plan: Plan, releases: int, state: Path, folder: Path = TRACES, processes: int = _PROCESSES) -> Judged:
    """Judge so many releases of a plan, going on where it was interrupted."""
    return _run(Judged(plan, commit(), code(plan, folder)), judge, releases, state, folder, processes)


def compare_all(plan: Plan, releases: int, state: Path, folder: Path = TRACES, processes: int = _PROCESSES) -> Compared:
    """Let the others judge so many of the same releases."""
    return _run(Compared(plan, commit(), code(plan, folder)), compare, releases, state, folder, processes)


def _run(new: T, one: Callable[..., Any], releases: int, state: Path, folder: Path, processes: int) -> T:
    found = load(state, type(new))
    if found is None or (found.plan, found.code) != (new.plan, new.code):
        found = new
    if len(found.releases) >= releases:
        return found
    with _mapping(processes) as apply:
        while (done := len(found.releases)) < releases:
            began = time.monotonic()
            numbers = range(done, min(releases, done + processes * _BATCH))
            found.releases.extend(apply(one, [found.plan] * len(numbers), numbers, [folder] * len(numbers)))
            found.seconds += time.monotonic() - began
            save(state, found)
            print(f"{found.plan.name}: {len(found.releases):,} of {releases:,}, {found.seconds:,.0f} s", flush=True)
    return found


@contextmanager
def _mapping(processes: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """`map`, in so many processes."""
    if processes == 1:
        yield map
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read by the new processes, which take a core each
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=os.nice, initargs=(_NICE,))
    with stopping_on_signals(), pool:
        yield pool.map
