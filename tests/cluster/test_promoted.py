"""A healthy release: the first deployment, then a candidate that passes every gate and takes all callers over."""

import pytest

from tests.cluster.callers import PROTOCOLS
from tests.cluster.cluster import PATIENCE
from tests.cluster.conftest import NewRelease
from tests.cluster.numbers import Numbers
from tests.cluster.release import Release, Settings

pytestmark = pytest.mark.alone

PAUSE = 25  # long enough to count callers' shares at either weight while no gate takes the machine's CPU


@pytest.fixture(scope="module")
def release(new_release: NewRelease) -> Release:
    return new_release(settings=Settings(pause=PAUSE, rules="quick", little_cpu=False))


def test_first_deployment(release: Release, numbers: Numbers) -> None:
    release.install()
    started = release.apply()
    ready = release.wait("Healthy") - started
    with release.callers(count=200) as callers:
        account = callers.wait(PATIENCE)
    assert account.lost == []
    assert {p: account.of(p).share("1") for p in PROTOCOLS} == {"rest": 1, "grpc": 1}
    numbers.requests("first deployment", account, seconds_until_ready=ready)


def test_healthy_candidate_is_promoted_and_no_request_fails(release: Release, numbers: Numbers) -> None:
    release.back_to_stable()
    shares = {}
    with release.callers() as callers:
        started = release.start(release.images.candidate)
        for weight, count in ((10, 3500), (50, 8000)):  # two points are more than three standard deviations
            release.wait_weight(weight)
            burst = release.burst(count, weight)
            assert burst.lost == []
            shares[weight] = {p: 100 * burst.of(p).share("2") for p in PROTOCOLS}
            if weight == 10:
                gateway = ("--gateway", f"http://{release.cluster.gateway}")
                release.canari("verify", release.name, *gateway, "--requests", "3000")  # says the same by itself
        took = release.wait("Healthy") - started
        account = callers.stop()
    assert account.lost == []
    for weight, found in shares.items():
        assert found == pytest.approx(dict.fromkeys(PROTOCOLS, weight), abs=2)
    release.wait_weight(0, 10)  # the two routes are written one after the other
    after = account.since(started + took)
    assert {r.version for r in after.requests} <= {"2"}
    settings = release.settings
    planned = 2 * settings.pause + 3 * settings.gate
    numbers.requests("healthy candidate", account, shares=shares, seconds_beyond_pauses_and_gates=took - planned)


def test_plausible_mistake_is_stopped_before_a_caller_meets_it(release: Release, numbers: Numbers) -> None:
    """A column that was centred twice: as quick as the others, no error, and other predictions."""
    release.back_to_stable()
    with release.callers() as callers:
        release.start(release.images.model("3"))
        release.wait("Degraded", message="abort")
        account = callers.stop()
    assert account.lost == []
    assert {r.version for r in account.requests} == {"1"}
    assert release.verdict()["why"].startswith("prediction_shift: ")
    numbers.requests("plausible mistake in the predictions", account)
