"""Going back: after a promotion, in the middle of a release, and again after a rejection."""

import time

import pytest

from tests.cluster.callers import PROTOCOLS
from tests.cluster.conftest import NewRelease
from tests.cluster.numbers import Numbers
from tests.cluster.release import Release

SECONDS_TO_STABLE = 15  # from the engineer's word to the candidate's last answer
GATEWAY_SECONDS = 3  # until the gateway has heard of the weights


@pytest.fixture(scope="module")
def deployed(new_release: NewRelease) -> Release:
    release = new_release()
    release.deploy()
    return release


@pytest.fixture
def release(deployed: Release) -> Release:
    """Its stable version, whatever an earlier case left."""
    deployed.back_to_stable()
    return deployed


def test_applying_again_in_the_middle_leaves_the_weights_and_undo_takes_all_callers_back(
    release: Release, numbers: Numbers
) -> None:
    with release.callers() as callers:
        release.start(release.images.candidate)
        release.wait_weight(10)
        before = release.rollout()["metadata"]["generation"]
        release.apply()
        assert release.rollout()["metadata"]["generation"] == before
        burst = release.burst(4000, 10)
        shares = {p: 100 * burst.of(p).share("2") for p in PROTOCOLS}
        asked = time.time()
        release.argo("undo")
        release.wait("Healthy")
        release.settle(asked + SECONDS_TO_STABLE + 5)
        account = callers.stop()
    assert shares == pytest.approx(dict.fromkeys(PROTOCOLS, 10), abs=2)
    assert burst.lost == account.lost == []
    last = max(r.done for r in account.answered_by("2").requests) - asked
    assert last <= SECONDS_TO_STABLE
    numbers.requests(
        "apply again, then undo, in mid-canary", account, shares=shares, seconds_from_undo_to_last_canary_answer=last
    )


def test_undo_again_and_again_never_goes_to_a_rejected_version(release: Release, numbers: Numbers) -> None:
    """Versions 1, 2 and 4 passed; a faulty one is rejected."""
    for candidate in (release.images.candidate, release.images.third):
        release.start(candidate)
        release.wait("Healthy")
    release.start(release.images.faulty("erring"))
    release.wait("Degraded", message="abort")
    with release.callers() as callers:
        served = []
        for _ in range(3):
            release.canari("undo", release.name)
            undone = release.wait("Healthy")
            release.settle(undone + GATEWAY_SECONDS + 4)
            served.append({r.version for r in callers.account().since(undone + GATEWAY_SECONDS).requests})
        account = callers.stop()
    assert served == [{"4"}, {"2"}, {"1"}]
    assert account.lost == []
    numbers.requests("undo three times after a rejection", account)
