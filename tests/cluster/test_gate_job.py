"""The gate's Job as the AnalysisTemplate has it, without a Rollout around it: it measures pods, and its verdict stays."""

import base64
import json
from typing import Any

import pytest
import yaml

from canari.release import verdicts
from tests.cluster.cluster import Cluster, wait_for
from tests.cluster.images import Images

EXPERIMENT = "diabetes-new-2-0"
NEEDED = ("ServiceAccount", "Role", "RoleBinding", "ConfigMap")
HASH = "rollouts-pod-template-hash"


@pytest.fixture(scope="module")
def objects(manifests: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(manifests))


@pytest.fixture(scope="module")
def pods(cluster: Cluster, objects: list[dict[str, Any]], images: Images) -> None:
    """The fresh baseline and candidate with their Services, and a live pod of either version."""
    template = next(o for o in objects if o["kind"] == "Rollout")["spec"]["template"]
    cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "diabetes"}})
    for name, image, hash_ in (
        (f"{EXPERIMENT}-baseline", images.stable, "fresh1"),
        (f"{EXPERIMENT}-candidate", images.candidate, "fresh2"),
        ("live-stable", images.stable, "old"),
        ("live-canary", images.candidate, "new"),
    ):
        spec = json.loads(json.dumps(template["spec"]))
        spec.pop("priorityClassName", None)
        spec["containers"][0] |= {"image": image, "resources": {"requests": {"cpu": "20m"}, "limits": {"memory": "512Mi"}}}
        labels = {"app.kubernetes.io/name": "diabetes", HASH: hash_, "pod": name}
        cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec})
        ports = [{"port": 3000}]
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": {"pod": name}, "ports": ports},
        }
        cluster.create(service)
    cluster.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s")


@pytest.fixture(scope="module")
def gate(cluster: Cluster, objects: list[dict[str, Any]], images: Images) -> dict[str, Any]:
    """The Job; the accounts and rights that it has are in the cluster, and no verdict yet."""
    for manifest in objects:
        if manifest["kind"] in NEEDED and manifest["metadata"]["name"] in ("diabetes-gate", "diabetes-verdict"):
            cluster.create(manifest)
    template = next(o for o in objects if o["kind"] == "AnalysisTemplate" and o["metadata"]["name"] == "diabetes-gate")
    text = json.dumps(template["spec"]["metrics"][0]["provider"]["job"]["spec"])
    arguments = {argument["name"]: argument.get("value", "") for argument in template["spec"]["args"]}
    arguments |= {"release": "new", "stable": "old", "duration": "10", "rules": "errors",
                  "baseline": f"{EXPERIMENT}-baseline", "candidate": f"{EXPERIMENT}-candidate"}  # fmt: skip
    for name, value in arguments.items():
        text = text.replace(f"{{{{args.{name}}}}}", value)
    spec: dict[str, Any] = json.loads(text)
    pod = spec["template"]["spec"]
    pod.pop("priorityClassName", None)
    pod["containers"][0] |= {"image": images.gate, "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "512Mi"}}}
    return spec


def ran(cluster: Cluster, name: str, spec: dict[str, Any]) -> tuple[bool, str]:
    """Whether the Job succeeded, and what it said."""
    cluster.kubectl("delete", "job", name, "--ignore-not-found")  # of a first try
    cluster.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec})
    status = wait_for(
        lambda: cluster.get("batch/v1", "Job", name).get("status", {}),
        lambda status: bool(status.get("succeeded") or status.get("failed")),
        f"the end of Job {name}",
        seconds=180,
    )
    return bool(status.get("succeeded")), cluster.kubectl("logs", f"job/{name}")


def data(cluster: Cluster) -> dict[str, str]:
    return cluster.get("v1", "ConfigMap", "diabetes-verdict").get("data") or {}


def test_without_the_right_to_publish_there_is_no_verdict(cluster: Cluster, gate: dict[str, Any], pods: None) -> None:
    spec = json.loads(json.dumps(gate))
    spec["template"]["spec"]["serviceAccountName"] = "default"
    succeeded, said = ran(cluster, "gate-without-rights", spec)
    assert not succeeded
    assert said.startswith("canari: cannot read ConfigMap diabetes-verdict in namespace")
    assert "forbidden" in said
    assert data(cluster) == {}


def test_the_verdict_outlives_the_job(cluster: Cluster, gate: dict[str, Any], pods: None) -> None:
    succeeded, said = ran(cluster, "gate", gate)
    assert succeeded, said
    cluster.kubectl("delete", "job", "gate")
    published = data(cluster)
    assert (published["release"], published["stable"], published["outcome"]) == ("new", "old", "pass"), said
    kept = cluster.get("v1", "ConfigMap", "diabetes-verdict")["binaryData"]
    (found,) = verdicts.history(kept)
    assert (found.experiment, found.revision, found.step) == (EXPERIMENT, 2, 0)
    assert found.verdict.live is not None
    assert (found.verdict.live.candidate.servers, found.verdict.live.baseline.servers) == (1, 1)
    page = verdicts.report(kept, found)
    assert page is not None
    assert b"diabetes:2 beside diabetes:1" in page
    assert all(base64.b64decode(value, validate=True) for value in kept.values())


def test_a_candidate_that_is_gone_fails_the_job(cluster: Cluster, gate: dict[str, Any], pods: None) -> None:
    cluster.kubectl("delete", "pod", f"{EXPERIMENT}-candidate", "--now")
    succeeded, said = ran(cluster, "gate-of-nobody", gate)
    assert not succeeded, said
    assert data(cluster)["outcome"] == "fail"
    assert "error_rate" in data(cluster)["why"]
