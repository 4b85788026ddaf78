"""Releases that cannot succeed and must not hang, side by side: candidates that never serve, gates that never run."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cluster.callers import PROTOCOLS, Account
from tests.cluster.cluster import wait_for
from tests.cluster.conftest import NewRelease
from tests.cluster.numbers import Numbers
from tests.cluster.release import Release, Settings

SETTINGS = Settings(deadline=50, gate_deadline=40, single=True)
SECONDS = 180  # for starting, the deadline and its discovery


def _faulty(fault: str) -> Callable[[Release], str]:
    return lambda release: release.images.faulty(fault)


@dataclass(frozen=True)
class Case:
    """What is released, and what is put into the gate's container before."""

    candidate: Callable[[Release], str] = lambda release: release.images.candidate
    gate: Callable[[Release], dict[str, Any]] = lambda _: {}


CASES = {
    "crashing": Case(_faulty("crashing")),
    "image-missing": Case(lambda release: release.images.absent()),
    "never-ready": Case(_faulty("never-ready")),
    "gate-image-missing": Case(gate=lambda release: {"image": release.images.absent("canari-gate")}),
    "gate-without-room": Case(gate=lambda _: {"resources/requests/cpu": "1000"}),
    "gate-timing-out": Case(gate=lambda _: {"command": ["sleep", "600"], "args": []}),
}


@pytest.fixture(scope="module")
def releases(new_release: NewRelease) -> dict[str, Release]:
    """All of them, each with a stable version that answers."""
    made = {name: new_release(name=name, settings=SETTINGS) for name in CASES}
    for release in made.values():
        release.install()
        release.apply()
    for release in made.values():
        release.wait("Healthy")
    return made


def _has_ended(status: tuple[str | None, str]) -> bool:
    """Aborted; or paused, as Argo Rollouts does where a Job's image is missing, which says nothing of the candidate."""
    return status[0] == "Degraded" or "Inconclusive" in status[1]


@pytest.fixture(scope="module")
def ended(releases: dict[str, Release]) -> dict[str, Account]:
    """What became of the callers' requests while all were released at once."""
    with ExitStack() as stack:
        callers = {name: stack.enter_context(release.callers(rate=5)) for name, release in releases.items()}
        for name, case in CASES.items():
            release = releases[name]
            release.patch_gate_job({f"/template/spec/containers/0/{path}": v for path, v in case.gate(release).items()})
            release.start(case.candidate(release))
        for release in releases.values():
            wait_for(release.status, _has_ended, f"the end of {release.name}", SECONDS)
        return {name: called.stop() for name, called in callers.items()}


@pytest.mark.parametrize("name", CASES)
def test_no_caller_reaches_it_and_the_release_ends(
    name: str, releases: dict[str, Release], ended: dict[str, Account], numbers: Numbers
) -> None:
    release, account = releases[name], ended[name]
    assert account.lost == []
    assert all(account.of(p).requests for p in PROTOCOLS)
    assert {r.version for r in account.requests} == {"1"}
    assert release.weights() == dict.fromkeys(PROTOCOLS, 0)
    phase, message = release.status()
    if name.startswith("gate-"):
        gates = {run["status"]["phase"] for run in release.analysis_runs() if run["metadata"]["name"].endswith("-gate")}
        assert gates
        assert "Successful" not in gates
    else:
        assert phase == "Degraded"
        assert "Template 'candidate' exceeded its progressDeadlineSeconds" in message
    numbers.requests(name.replace("-", " "), account)
