"""Gates against real servers: releases of an unchanged model, and the faults, put into real answers by a proxy."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

import msgspec
import numpy as np

from canari.gate.plan import LoadPlan
from canari.gate.recording import read, to_table
from canari.gate.rows import GENERATED, ask_signature, generate, records
from canari.gate.verdict import EXIT_CODES, HEALTH, load_verdict
from canari.rehearsal.processes import stopping_on_signals
from proofs.gate.peers import SLOWER
from proofs.gate.proxy import FAULTS, proxy, times
from proofs.gate.recording import RATE, send
from proofs.gate.simulation import GATES, Gate, Release
from proofs.results import ROOT, ProofError, commit, load, save
from proofs.servers import Served, models

RULES = "release"  # of the releases
FAULTY_RULES = "strict"  # of the gates that are to find a fault
PLANNED = 3  # gates of a release
_STARTING = Lock()  # a port that one has found is not yet listened on
_CALIBRATION_SECONDS = 6.0
_TIMEOUT = 10.0
_LOCUST_SECONDS = 60
_LOCUSTFILE = Path(__file__).with_name("closed_loop.py")


class Run(msgspec.Struct, frozen=True):
    """A release or, with a fault, one of its gates."""

    release: Release
    commit: str


class ClosedLoop(msgspec.Struct, frozen=True):
    """What Locust's own statistics say of one user who waits."""

    fault: str
    requests: int
    failures: int
    p95_ms: float
    p99_ms: float


class Found(msgspec.Struct):
    """What was found so far."""

    seconds: float  # of each gate of a release without a fault; with one it is as long as the rules say
    releases: list[Run] = []
    faults: dict[str, list[Run]] = {}
    closed_loop: list[ClosedLoop] = []
    at_once: int = 1  # releases on the machine at the same time

    @property
    def commits(self) -> list[str]:
        """Of the runs, the commonest first."""
        runs = [*self.releases, *(run for runs in self.faults.values() for run in runs)]
        return [name for name, _ in Counter(run.commit for run in runs).most_common()]


def prove(releases: int, repeats: int, seconds: float, state: Path, at_once: int = 1) -> Found:
    """Run every fault so often, Locust's closed loop once, and so many releases; goes on where it was interrupted."""
    found = load(state, Found) or Found(seconds)
    if (found.seconds, found.at_once) != (seconds, at_once):
        found.seconds, found.at_once, found.releases = seconds, at_once, []
    with _tag() as (tag, directory):
        for fault in (name for name in FAULTS if name != "none"):
            runs = found.faults.setdefault(fault, [])
            while len(runs) < repeats:
                runs.append(Run(Release((_faulty(tag, fault, len(runs), directory),)), commit()))
                _keep(state, found, f"{fault}, {len(runs)} of {repeats}", runs[-1])
        if repeats and not found.closed_loop:
            found.closed_loop = [_locust(tag, fault, directory) for fault in ("none", "freezes 1 s each 20 s")]
            save(state, found)
        with ThreadPoolExecutor(at_once) as pool:
            for release in pool.map(
                lambda number: _release(tag, seconds, number, directory), range(len(found.releases), releases)
            ):
                found.releases.append(Run(release, commit()))
                _keep(state, found, f"release {len(found.releases)} of {releases}", found.releases[-1])
    return found


@contextmanager
def _tag() -> Iterator[tuple[str, Path]]:
    """A stored model's tag, and a directory for what is written."""
    with ExitStack() as processes:
        processes.enter_context(stopping_on_signals())
        directory = Path(processes.enter_context(TemporaryDirectory(prefix="canari-proof-")))
        model, *_ = processes.enter_context(models())
        yield model.signature.tag, directory


@contextmanager
def _pair(tag: str, directory: Path) -> Iterator[tuple[Served, Served]]:
    with ExitStack() as servers:
        with _STARTING:
            baseline = servers.enter_context(Served(tag, directory / "baseline.log"))
            candidate = servers.enter_context(Served(tag, directory / "candidate.log"))
            baseline.until_ready()
            candidate.until_ready()
        yield baseline, candidate


def _release(tag: str, seconds: float, number: int, directory: Path) -> Release:
    """A release of an unchanged model; every gate has fresh servers, as in the cluster, and one that fails is the last."""
    gates: list[Gate] = []
    directory = directory / f"release-{number}"
    directory.mkdir()
    while len(gates) < PLANNED and not any(gate.outcome == "fail" for gate in gates):
        with _pair(tag, directory) as (baseline, candidate):
            seed = number * PLANNED + len(gates)
            gates.append(gate(baseline.url, candidate.url, seconds, seed, directory, rules=RULES))
    return Release(tuple(gates))


def _faulty(tag: str, fault: str, number: int, directory: Path) -> Gate:
    with (
        _pair(tag, directory) as (baseline, candidate),
        proxy(baseline.http_port, "none", directory / "proxy-baseline.log") as plain,
    ):
        log = directory / "proxy-candidate.log"
        with proxy(candidate.http_port, "none", log) as sound:
            outside = _outside(plain, sound, (0.5, FAULTS[fault].at), number, directory)
        with proxy(candidate.http_port, fault, log, outside) as faulty:
            return gate(plain, faulty, None, number, directory, rules=FAULTY_RULES)


def _outside(plain: str, sound: str, at: Sequence[float], seed: int, directory: Path) -> list[float]:
    """How much longer requests take for their caller than for the proxy, in seconds at each of these quantiles."""
    inputs = ask_signature(plain, _TIMEOUT).inputs
    plan = LoadPlan(
        urls={"baseline": plain, "candidate": sound},
        rows=records(generate(inputs, GENERATED, seed)),
        rate=RATE,
        arrivals="poisson",
        duration_s=_CALIBRATION_SECONDS,
        warmup_s=0.0,
        timeout_s=_TIMEOUT,
        seed=seed,
        locustfile=None,
        recording=str(directory / "calibration.ndjson"),
    )
    send(plan)
    table = to_table(read(Path(plan.recording)))
    callers = (table.latency_ms - table.delay_ms)[table.arm == "baseline"] / 1e3
    return [max(float(np.quantile(callers, q) - np.quantile(times(plain), q)), 0.0) for q in at]


def gate(baseline: str, candidate: str, seconds: float | None, seed: int, directory: Path, *, rules: str) -> Gate:
    """`canari gate run` against two servers; without `seconds` as long as the rules say.

    Raises `ProofError` where it comes to no verdict.
    """
    out = directory / "gate"
    command = [sys.executable, "-m", "canari", "gate", "run", "--baseline", baseline, "--candidate", candidate]
    command += ["--rules", str(GATES / f"{rules}.yaml"), "--out", str(out), "--gates", str(PLANNED), "--seed", str(seed)]
    if seconds is not None:
        command += ["--duration", str(seconds)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if ran.returncode not in EXIT_CODES.values():
        raise ProofError(f"canari gate run exited with {ran.returncode}: {ran.stderr.strip()[-500:]}")
    verdict = load_verdict(out / "verdict.json")
    return Gate(
        outcome=verdict.outcome,
        seconds=verdict.duration_s,
        failed=tuple(rule.name for rule in verdict.rules if rule.outcome == "fail" and rule.name != HEALTH),
        undecided=tuple(rule.name for rule in verdict.rules if rule.outcome == "inconclusive"),
    )


def _locust(tag: str, fault: str, directory: Path) -> ClosedLoop:
    """Locust itself with one user who waits for each answer, as its own statistics tell it."""
    command = [sys.executable, "-m", "locust", "-f", str(_LOCUSTFILE), "--headless", "--json", "-u", "1"]
    with Served(tag, directory / "server.log") as server, proxy(server.http_port, fault, directory / "proxy.log") as url:
        server.until_ready()
        command += ["--run-time", f"{_LOCUST_SECONDS}s", "--host", url, "--exit-code-on-error", "0"]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if ran.returncode:
        raise ProofError(f"locust exited with {ran.returncode}: {ran.stderr.strip()[-500:]}")
    (told,) = json.loads(ran.stdout)
    times = np.repeat([float(ms) for ms in told["response_times"]], list(told["response_times"].values()))
    p95, p99 = np.quantile(times, (0.95, 0.99), method="inverted_cdf")
    return ClosedLoop(fault, told["num_requests"], told["num_failures"], float(p95), float(p99))


def threshold_passes(runs: list[ClosedLoop]) -> bool:
    """Whether the plain threshold lets the second of two runs pass, after what it saw in the first."""
    before, after = runs
    return after.p95_ms <= SLOWER * before.p95_ms and not after.failures


def _keep(state: Path, found: Found, what: str, run: Run) -> None:
    save(state, found)
    last = run.release.gates[-1]
    print(f"{what}: {run.release.outcome} after {last.seconds:.1f} s {' '.join(last.failed or last.undecided)}", flush=True)
