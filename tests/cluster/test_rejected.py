"""Candidates that the gate rejects while they have callers: this plan begins with 10 % of them, without the first gate."""

import pytest

from tests.cluster.callers import PROTOCOLS
from tests.cluster.conftest import NewRelease
from tests.cluster.numbers import Numbers
from tests.cluster.release import Release, Settings

pytestmark = pytest.mark.alone

SECONDS_TO_STABLE = 15


@pytest.fixture(scope="module")
def deployed(new_release: NewRelease) -> Release:
    release = new_release(settings=Settings(rules="quick", gate=16))
    release.leave_out_steps(2)
    release.deploy()
    return release


@pytest.fixture
def release(deployed: Release) -> Release:
    deployed.back_to_stable()
    return deployed


@pytest.mark.parametrize(
    "fault",
    [
        "slow",
        "freezing",
        "erring-live",  # only callers meet it: the gate's fresh pods look healthy, the live ones tell
    ],
)
def test_faulty_candidate_loses_its_callers_to_stable(release: Release, numbers: Numbers, fault: str) -> None:
    with release.callers() as callers:
        release.start(release.images.faulty(fault))
        release.wait_weight(10)
        aborted = release.wait("Degraded", message="aborted")
        ended = release.gate_ended()
        release.settle(ended + SECONDS_TO_STABLE + 5)
        account = callers.stop()
    of_candidate = account.answered_by("2")
    assert all(of_candidate.of(p).requests for p in PROTOCOLS)
    last = max(r.done for r in of_candidate.requests) - ended
    assert last <= SECONDS_TO_STABLE, f"the Rollout aborted {aborted - ended:.1f} s after the gate's end"
    assert {r.version for r in account.lost} <= {"2"}
    assert {r.version for r in account.since(ended + SECONDS_TO_STABLE).requests} == {"1"}
    assert release.weights() == dict.fromkeys(PROTOCOLS, 0)
    numbers.requests(f"{fault} candidate", account, seconds_from_gate_to_last_canary_answer=last)
