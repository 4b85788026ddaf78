"""Servers are replaced under load, fifty times: no request is lost.

    python -m proofs.rolling_stop [--stops 50]

Two servers at a time stand behind an Envoy that asks for their readiness. Again and again a fresh one is started and, when it
is ready, the oldest one gets SIGTERM, and must exit with 0. Meanwhile callers over HTTP and gRPC through Envoy, and over HTTP
straight to a server, count every request: it is answered with the right prediction, or lost. Nobody repeats a request; callers
without a proxy go to another server when an answer says `connection: close`. Interrupted and started again it goes on.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from canari.errors import CanariError
from canari.rehearsal.processes import free_ports, stopping_on_signals
from proofs.balancer import Balancer
from proofs.callers import Callers, rows
from proofs.results import OUT, ProofError, commit, listed, load, machine, save, write_section
from proofs.servers import Served, models

_PLACES = 3  # one more than there are servers, for the next one

# So long callers without a proxy still learn of a server that was told to stop, as they would from a list that lags behind.
_STILL_LISTED = 0.3

_STOP_SECONDS = 25


class Found(msgspec.Struct):
    """What was found so far."""

    commit: str
    stops: int = 0
    answered: dict[str, int] = {}
    turned_away: int = 0
    seconds: float = 0.0
    slowest: float = 0.0  # stop, in seconds


class Fleet:
    """The servers that run, oldest first, and the ports of the places for more."""

    def __init__(self, processes: ExitStack, tag: str, directory: Path) -> None:
        http_ports, grpc_ports = free_ports(_PLACES), free_ports(_PLACES)
        self._free = list(zip(http_ports, grpc_ports, strict=True))
        self._processes = processes
        self._tag = tag
        self._directory = directory
        self._running: list[Served] = []
        self._started = 0
        self.listed: list[int] = []  # HTTP ports
        self.balancer = processes.enter_context(Balancer(directory, http_ports, grpc_ports))

    def start_one(self) -> None:
        """Start a server where none is; returns when it gets requests."""
        self._started += 1
        log = self._directory / f"server-{self._started}.log"
        server = self._processes.enter_context(Served(self._tag, log, ports=self._free.pop()))
        server.until_ready()
        self.balancer.until_ready(server.http_port, server.grpc_port)
        self._running.append(server)
        self.listed.append(server.http_port)

    def stop_oldest(self) -> float:
        """Tell the oldest server to stop; returns how many seconds it took. Raises `ProofError` where it does not exit with 0."""
        server = self._running.pop(0)
        began = time.monotonic()
        server.terminate()
        while server.exit_code is None and time.monotonic() < began + _STOP_SECONDS:
            time.sleep(0.01)
            if server.http_port in self.listed and time.monotonic() > began + _STILL_LISTED:
                self.listed.remove(server.http_port)
        took = time.monotonic() - began
        if server.exit_code != 0:
            raise ProofError(f"a server that was told to stop {server.ending} after {took:.1f} s")
        if server.http_port in self.listed:
            self.listed.remove(server.http_port)
        self._free.append((server.http_port, server.grpc_port))
        return took


def run(stops: int, state: Path) -> Found:
    """Replace servers so many times; raises `ProofError` where a request is lost."""
    found = load(state, Found)
    if found is None or found.commit != commit():
        found = Found(commit())
    with _fleet_and_callers() as (fleet, callers):
        before, turned_away = Counter(found.answered), found.turned_away
        while found.stops < stops:
            began = time.monotonic()
            fleet.start_one()
            found.slowest = max(found.slowest, fleet.stop_oldest())
            _refuse_lost(callers.lost, f"in stop {found.stops + 1}")
            found.stops += 1
            found.seconds += time.monotonic() - began
            found.answered = dict(before + callers.answered)
            found.turned_away = turned_away + callers.turned_away
            save(state, found)
            print(f"{found.stops} of {stops} stops, {sum(found.answered.values()):,} requests answered, none lost", flush=True)
    _refuse_lost(callers.lost, "after the last stop")
    return found


@contextmanager
def _fleet_and_callers() -> Iterator[tuple[Fleet, Callers]]:
    """Two servers behind Envoy, and callers; the callers go first."""
    with ExitStack() as processes:
        processes.enter_context(stopping_on_signals())
        directory = Path(processes.enter_context(TemporaryDirectory(prefix="canari-proof-")))
        model, *_ = processes.enter_context(models())
        fleet = Fleet(processes, model.signature.tag, directory)
        fleet.start_one()
        fleet.start_one()
        callers = Callers(rows(model), fleet.balancer.http_port, fleet.balancer.grpc_port, lambda: list(fleet.listed))
        with callers:
            yield fleet, callers


def report(found: Found, command: str) -> str:
    """What was found, for a reader."""
    return f"""
`{command}`, commit {found.commit}, {machine()}.

{found.stops} times a server was replaced under load; every one exited with 0, the slowest {found.slowest:.1f} s after SIGTERM.
{sum(found.answered.values()):,} requests were answered in {found.seconds:,.0f} s, each with the right prediction and without a
repetition: {listed(found.answered)}. None was lost. Turned away with 503 and Retry-After (over gRPC UNAVAILABLE),
because the machine was too busy with other work: {found.turned_away:,}.
"""


def main() -> None:
    """Prove it, and write what was found into docs/proofs.md."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stops", type=int, default=50, help="how often a server is replaced (%(default)s)")
    chosen = parser.parse_args()
    try:
        found = run(chosen.stops, OUT / "rolling_stop.json")
    except CanariError as error:
        sys.exit(f"not proved: {error}")
    write_section("Rolling stops", report(found, f"python -m proofs.rolling_stop --stops {chosen.stops}"))


def _refuse_lost(lost: list[str], when: str) -> None:
    if lost:
        raise ProofError("\n".join([f"{len(lost)} requests were lost {when}:", *lost[:20]]))


if __name__ == "__main__":
    main()
