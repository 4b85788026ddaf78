"""The autoscaler in the middle of a canary: twice the load, and back."""

import json
import time

import pytest

from tests.cluster.callers import PROTOCOLS
from tests.cluster.cluster import wait_for
from tests.cluster.conftest import NewRelease
from tests.cluster.numbers import Numbers
from tests.cluster.release import Release, Settings

pytestmark = pytest.mark.alone

PAUSE = 75  # seconds at either weight: time for the autoscaler, and for requests enough to count shares
LOAD = {"rate": 33, "rows": 100}
# How many of the two pods the load is worth, by the target that the autoscaler is given for it: so nearly both that twice the
# load, of which a part is what a pod takes when it is idle, needs more.
PODS = 1.8
TARGET = "/spec/metrics/0/resource/target/averageUtilization"
ANY_LOAD = 10_000  # percent of what a pod asks for: never reached


@pytest.fixture(scope="module")
def release(new_release: NewRelease) -> Release:
    release = new_release(settings=Settings(pause=PAUSE, little_cpu=False))
    release.patch(
        "HorizontalPodAutoscaler",
        {
            "/spec/maxReplicas": 6,
            TARGET: ANY_LOAD,  # until it is known what the load costs on this machine
            "/spec/behavior/scaleUp/stabilizationWindowSeconds": 5,
            "/spec/behavior/scaleDown/stabilizationWindowSeconds": 15,
            "/spec/behavior/scaleDown/policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
        },
    )
    release.deploy()
    return release


def aim(release: Release, percent: int) -> None:
    """Give the autoscaler another target."""
    target = [{"op": "replace", "path": TARGET, "value": percent}]
    release.cluster.kubectl("patch", "hpa", release.name, "--type=json", f"--patch={json.dumps(target)}")


def test_load_doubles_in_the_middle(release: Release, numbers: Numbers) -> None:
    release.back_to_stable()
    idle = release.usage()
    with release.callers(**LOAD) as callers:
        release.start(release.images.candidate)
        at_ten = release.wait_weight(10)
        before = release.replicas()
        aim(release, max(1, round(100 * release.stable_load() / PODS)))
        with release.callers(**LOAD, seed=1) as more:
            wait_for(release.replicas, lambda replicas: replicas > before, "more pods", PAUSE - 15)
            release.settle(at_ten + PAUSE - 10)
            assert release.weights() == dict.fromkeys(PROTOCOLS, 10)
            grown, busy, until = release.replicas(), release.usage(), time.time()
            added = more.stop()
        # What the added pods take when they are idle may keep them: it is for the target to say that they are too many.
        aim(release, ANY_LOAD)
        wait_for(release.replicas, lambda replicas: replicas == before, "the former number of pods")
        release.argo("abort")
        release.wait("Degraded", 15, "abort")
        account = callers.stop()
    both = account.since(at_ten, until) + added
    assert account.lost == added.lost == []
    assert {p: 100 * both.of(p).share("2") for p in PROTOCOLS} == pytest.approx(dict.fromkeys(PROTOCOLS, 10), abs=2)
    numbers.requests("load doubles in mid-canary", account + added, pods=f"{before} to {grown}", idle=idle, busy=busy)
