"""Where a rehearsal plays: servers, Envoy, callers, and an eye on all of them."""

import collections
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from canari.errors import CanariError
from canari.gate.recording import Request, Tail
from canari.gate.rules import Rules
from canari.rehearsal.envoy import Gateway
from canari.rehearsal.processes import Process, free_ports
from canari.rehearsal.servers import Recipe, Server
from canari.rehearsal.view import CallerRates, View

_POLL_SECONDS = 0.05
_RATE_SECONDS = 2.0  # over which the callers' rates are shown


class Stage:
    """Processes that all end when `processes` is left, the callers' requests so far, and the candidate's weight."""

    def __init__(self, processes: ExitStack, logs: Path, recording: Path, scratch: Path, view: View) -> None:
        """The servers' and Envoy's output goes to the folder `logs`, the callers' requests into `recording`."""
        self.calls: list[Request] = []
        self._failed = 0  # of them
        self.look: Callable[[], None] = lambda: None  # called at every glance; may raise to stop what is waited for
        self._processes = processes
        self._scratch = scratch
        self._view = view
        self.logs = logs
        self.logs.mkdir(parents=True, exist_ok=True)
        self._recording = recording
        self._recording.unlink(missing_ok=True)
        self._tail = Tail(self._recording)
        self._needed: list[Process] = []  # whose end is the surroundings' failure, not the candidate's
        self._candidate_ports = free_ports(2)
        self._began = time.time()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.time() - self._began

    @property
    def began(self) -> float:
        """Unix time in seconds."""
        return self._began

    def start_stable(self, recipe: Recipe) -> Server:
        """Start stable and wait until it is ready; raises `CanariError` where it does not become so."""
        stable = self._processes.enter_context(Server(recipe, "live", self.logs, free_ports(2)))
        self.until(lambda: stable.ready)
        self._needed.append(stable)
        self._stable = stable
        return stable

    def start_callers(self, rate: float, rows: Path, rules: Rules, seed: int) -> None:
        """Start Envoy before stable (and where the candidate will be) and callers before Envoy; returns at the first answer."""
        port, admin_port = free_ports(2)
        arms = {"stable": self._stable.http_port, "candidate": self._candidate_ports[0]}
        self._gateway = Gateway(self._scratch, self.logs, port, admin_port, arms)
        self._needed.append(self._processes.enter_context(self._gateway.start()))
        command = [sys.executable, "-m", "canari.gate.callers", "--url", self._gateway.url, "--rate", str(rate)]
        command += ["--rows", str(rows), "--out", str(self._recording), "--seed", str(seed)]
        command += ["--locustfile", rules.locustfile] if rules.locustfile else []
        self._callers = self._processes.enter_context(Process("the callers' process", command, self.logs / "callers.log"))
        self._needed.append(self._callers)
        self.until(lambda: bool(self.calls))

    def start_candidate(self, recipe: Recipe) -> Server:
        """Start the candidate where Envoy expects it."""
        return self._processes.enter_context(Server(recipe, "live", self.logs, self._candidate_ports))

    def set_weight(self, weight: int) -> None:
        """Send `weight` percent of the callers to the candidate, the others to stable."""
        self._gateway.weights({"stable": 100 - weight, "candidate": weight})
        self._view.weight(weight)

    def stop_callers(self) -> None:
        """Send no more; every request that is under way is answered or given up first."""
        self._needed.clear()
        self._callers.stop(grace=30)
        self._glance()

    def wait(self, seconds: float) -> None:
        """Let the traffic flow, and watch."""
        deadline = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= deadline)

    def until(self, done: Callable[[], bool]) -> None:
        """Watch until `done`; raises `CanariError` where something that the rehearsal stands on has ended."""
        while not done():
            self._glance()
            time.sleep(_POLL_SECONDS)

    def _glance(self) -> None:
        new = self._tail.read()
        self.calls += new
        self._failed += sum(call.error is not None for call in new)
        for process in self._needed:
            if process.exit_code is not None:
                raise CanariError(f"{process.name} {process.ending}; see {process.log}")
        self._view.tick(self._rates(), self.seconds)
        self.look()

    def _rates(self) -> CallerRates:
        since = time.time() - _RATE_SECONDS
        recent: collections.Counter[str] = collections.Counter()
        for call in reversed(self.calls):
            if call.intended < since - 1:  # written in the order of the answers, nearly that of the arrivals
                break
            if call.intended >= since and call.error is None:
                recent[call.arm] += 1
        return CallerRates({arm: count / _RATE_SECONDS for arm, count in recent.items()}, self._failed)
