"""The component workers: the gate's load comes from pods of their own, and its verdict rests on what they sent."""

import json
import re

import pytest
import yaml

from tests.cluster.cluster import PATIENCE
from tests.cluster.conftest import NewRelease
from tests.cluster.release import Release, Settings

GATES = 3
SENT = re.compile(r"^sent (\d+) requests, ", re.MULTILINE)


@pytest.fixture(scope="module")
def release(new_release: NewRelease) -> Release:
    """A stable version with the component, as its README adds it."""
    release = new_release(settings=Settings(pause=3))
    file = release.overlay / "kustomization.yaml"
    content = yaml.safe_load(file.read_text())
    content["components"] = [*content.get("components", []), "../../components/workers"]
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    release.patch("Deployment", {"/spec/template/spec/containers/0/resources/requests/cpu": "20m"}, name=".*-workers")
    release.deploy()
    release.cluster.kubectl("rollout", "status", f"deployment/{release.name}-workers", "--timeout=90s")
    return release


def sent(release: Release) -> list[list[int]]:
    """What each worker says that it sent, gate by gate."""
    selector = f"app.kubernetes.io/name={release.name}-workers"
    pods = release.cluster.kubectl("get", "pods", "-l", selector, "-o", "name").split()
    return [[int(count) for count in SENT.findall(release.cluster.kubectl("logs", pod))] for pod in pods]


def test_two_pods_send_the_load_of_a_release_whose_gates_pass(release: Release) -> None:
    release.back_to_stable()
    before = sent(release)
    release.start(release.images.candidate)
    release.wait("Healthy", seconds=2 * PATIENCE)  # three gates, each with workers to wait for
    first, second = (counts[len(old) :] for counts, old in zip(sent(release), before, strict=True))
    assert len(first) == len(second) == GATES
    verdict = json.loads(release.cluster.get("v1", "ConfigMap", f"{release.name}-verdict")["data"]["verdict"])
    assert verdict["outcome"] == "pass"
    (errors,) = [rule for rule in verdict["rules"] if rule["name"] == "error_rate"]
    # Nobody but the two sent anything, in equal shares, to both arms; what was dropped as warm-up is a tenth.
    altogether = first[-1] + second[-1]
    assert 1.6 < altogether / errors["samples"] < 2.8
    assert 0.3 < first[-1] / altogether < 0.7
