"""A gate that cannot decide: the release pauses and says why, until a person promotes or aborts."""

import pytest

from tests.cluster.callers import PROTOCOLS
from tests.cluster.cluster import wait_for
from tests.cluster.conftest import NewRelease
from tests.cluster.numbers import Numbers
from tests.cluster.release import Release, Settings


@pytest.fixture(scope="module")
def deployed(new_release: NewRelease) -> Release:
    release = new_release(settings=Settings(gate=1))  # too short for any rule to be sure
    release.deploy()
    return release


@pytest.fixture
def release(deployed: Release) -> Release:
    """Its stable version, whatever an earlier case left."""
    deployed.back_to_stable()
    return deployed


def test_inconclusive_gate_pauses_and_a_person_decides(release: Release, numbers: Numbers) -> None:
    with release.callers() as callers:
        release.start(release.images.candidate)
        for decision, weight in (("promote", 0), ("abort", 10)):
            paused = release.wait_inconclusive()
            run = release.analysis_runs()[-1]
            assert run["status"]["phase"] == "Inconclusive"
            (measurement,) = run["status"]["metricResults"][0]["measurements"]
            why = release.verdict()["why"]
            assert why
            assert why in measurement["value"]
            release.settle(paused + 3)
            assert release.weights() == dict.fromkeys(PROTOCOLS, weight)
            if decision == "promote":
                release.argo("promote")
                wait_for(release.weights, lambda weights: set(weights.values()) == {10}, "callers on the candidate")
            else:
                release.argo("abort")
                aborted = release.wait("Degraded", 15, "abort")
        release.settle(aborted + 5)
        account = callers.stop()
    assert account.lost == []
    assert account.answered_by("2").requests
    assert {r.version for r in account.since(aborted + 3).requests} == {"1"}
    numbers.requests("inconclusive, then promote, then abort", account)
