"""Trouble around a release: its controller away, pods killed, the gate evicted, the kubelet restarted. The release goes on."""

import time
from collections.abc import Callable

import pytest

from tests.cluster.callers import PROTOCOLS
from tests.cluster.cluster import wait_for
from tests.cluster.conftest import NewRelease
from tests.cluster.numbers import Numbers
from tests.cluster.release import Release, Settings

pytestmark = pytest.mark.alone

STOPPED = 60  # seconds
UNREADY = 4.0  # seconds after a kubelet's restart until its pods are taken for ready again
IN_FLIGHT = 3.0  # seconds after a pod's death until the gateway has heard: requests are still on their way to it


@pytest.fixture(scope="module")
def deployed(new_release: NewRelease) -> Release:
    release = new_release(settings=Settings(pause=15))
    release.deploy()
    return release


@pytest.fixture
def release(deployed: Release) -> Release:
    deployed.back_to_stable()
    return deployed


def test_controller_stopped_in_the_middle(release: Release, fault: Callable[[str], None], numbers: Numbers) -> None:
    with release.callers() as callers:
        release.start(release.images.candidate)
        at_ten = release.wait_weight(10)
        stopped = time.time()
        fault("stop-rollouts")
        try:
            release.settle(stopped + STOPPED)
            assert release.weights() == dict.fromkeys(PROTOCOLS, 10)
        finally:
            fault("start-rollouts")
        while_stopped = callers.account().since(at_ten + 1, time.time() - 1)
        done = release.wait("Healthy")
        release.settle(done + 5)
        account = callers.stop()
    assert account.lost == []
    for protocol in PROTOCOLS:
        assert while_stopped.of(protocol).share("2") == pytest.approx(0.1, abs=0.03)
    assert {r.version for r in account.since(done).requests} == {"2"}
    numbers.requests("controller stopped for 60 s", account)


def test_pods_killed_gate_evicted_kubelet_restarted(release: Release, fault: Callable[[str], None], numbers: Numbers) -> None:
    """Back to version 1 as a release of its own: a version beyond the window of quick rollbacks goes through the gate."""
    killed: list[tuple[float, float]] = []
    with release.callers(rate=60) as callers, release.callers(rate=20, retry=True) as retrying:
        release.start(release.images.third)
        evict_gate(release)
        release.wait_weight(10)
        stable, canary = release.hashes()
        killed.append(kill_pod(release, canary))
        release.wait_weight(50)
        killed.append(kill_pod(release, stable))
        whole = release.replicas()
        wait_for(lambda: release.restarts_and_ready(stable), lambda found: found == (1, whole), "the killed pod's return")
        killed.append(delete_pod(release, stable))
        wait_for(lambda: release.restarts_and_ready(stable)[1], lambda ready: ready == whole, "the deleted pod's successor")
        restarted = time.time()
        fault("restart-kubelet")
        asked_again = time.time() + UNREADY
        done = release.wait("Healthy")
        release.settle(done + 5)
        account, retried = callers.stop(), retrying.stop()
    # Kubernetes 1.34 takes all pods of a node for unready until its restarted kubelet has asked them: here, every pod there is.
    windows = [(before, after + IN_FLIGHT) for before, after in killed] + [(restarted, asked_again)]
    beyond = [r for r in account.lost if not any(before <= r.done and r.due <= after for before, after in windows)]
    assert beyond == [], (killed, restarted, account)
    assert [r for r in retried.lost if r.done < restarted or r.due > asked_again] == []
    assert {r.version for r in account.since(done).requests} == {"4"}
    assert done > restarted
    numbers.requests("pods killed, gate evicted, kubelet restarted", account)
    numbers.requests("the same, callers retrying as documented", retried)


def evict_gate(release: Release) -> None:
    """As a drain of its node does."""
    (name,) = wait_for(release.running_gates, lambda names: len(names) == 1, "the gate's pod")
    evictions = release.cluster.resource("v1", "Pod").subresources["eviction"]
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": release.cluster.namespace}}
    evictions.create(body=body, name=name, namespace=release.cluster.namespace)


def kill_pod(release: Release, pod_hash: str) -> tuple[float, float]:
    """Kill the server in one of a version's pods, as running out of memory does; between which times it died."""
    pod = release.pods(pod_hash)[0]["metadata"]["name"]
    before = time.time()
    # The first process of a container ignores SIGKILL from within; the kernel's own, for too much CPU time, it does not.
    release.cluster.kubectl("exec", pod, "--", "python", "-c", "import resource as r; r.prlimit(1, r.RLIMIT_CPU, (1, 1))")
    return before, time.time()


def delete_pod(release: Release, pod_hash: str) -> tuple[float, float]:
    """Take a pod away without grace, as a node that dies does; between which times it went."""
    pod = release.pods(pod_hash)[-1]["metadata"]["name"]
    before = time.time()
    release.cluster.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
    return before, time.time()
