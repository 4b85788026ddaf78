"""The manifests on a real cluster: accepted by the API server, by Pod Security, by Argo Rollouts and by the gateway."""

import copy
import uuid
from typing import Any

import pytest
import yaml

from tests.cluster.conftest import Cluster, wait_for

_ARGO = "argoproj.io/v1alpha1"
_GATEWAY = "gateway.networking.k8s.io/v1"


@pytest.fixture(scope="module")
def applied(cluster: Cluster, manifests: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Every object by kind and name, after all were applied."""
    cluster.kubectl("apply", "-f", "-", stdin=manifests)
    return {(o["kind"], o["metadata"]["name"]): o for o in yaml.safe_load_all(manifests)}


def _conditions(cluster: Cluster, rollout: str) -> dict[str, str]:
    """The Rollout's conditions and their messages, once the controller has seen it."""
    seen = wait_for(
        lambda: cluster.get(_ARGO, "Rollout", rollout),
        lambda r: (
            bool(r.get("status", {}).get("conditions"))
            and r["status"].get("observedGeneration") == str(r["metadata"]["generation"])
        ),
        f"Argo Rollouts' answer to {rollout}",
    )
    return {c["type"]: c["message"] for c in seen["status"]["conditions"]}


def test_a_server_side_dry_run_accepts_every_object(cluster: Cluster, manifests: str) -> None:
    accepted = cluster.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", stdin=manifests)
    assert len(accepted.splitlines()) == len(list(yaml.safe_load_all(manifests)))


def test_argo_rollouts_finds_the_rollout_valid(cluster: Cluster, applied: Any) -> None:
    assert "InvalidSpec" not in _conditions(cluster, "diabetes")
    least = applied["HorizontalPodAutoscaler", "diabetes"]["spec"]["minReplicas"]
    rollout = wait_for(
        lambda: cluster.get(_ARGO, "Rollout", "diabetes"),
        lambda r: r["status"].get("replicas") == r["spec"].get("replicas") == least,
        "the Rollout's pods, as many as the autoscaler asks for",
    )
    assert rollout["status"]["phase"] != "Degraded"


def test_argo_rollouts_says_so_where_one_is_not(cluster: Cluster, applied: Any) -> None:
    """The test above is worth something only if this cluster's controller complains at all."""
    broken = copy.deepcopy(applied["Rollout", "diabetes"])
    broken["metadata"]["name"] = "broken"
    broken["spec"]["strategy"]["canary"]["steps"].append({"analysis": {"templates": [{"templateName": "absent"}]}})
    cluster.create(broken)
    assert "absent" in _conditions(cluster, "broken")["InvalidSpec"]


@pytest.mark.parametrize("holder", [("Rollout", "diabetes"), ("AnalysisTemplate", "diabetes-gate")], ids="/".join)
def test_pods_pass_the_restricted_level_and_hold_no_unknown_field(
    cluster: Cluster, applied: Any, holder: tuple[str, str]
) -> None:
    spec = applied[holder]["spec"]
    if holder[0] == "AnalysisTemplate":
        spec = spec["metrics"][0]["provider"]["job"]["spec"]
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "gate"}, "spec": spec}
        cluster.create(job, dry_run="All")
    template = spec["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod", **template["metadata"]}, "spec": template["spec"]}
    cluster.create(pod, dry_run="All")


@pytest.mark.parametrize(("kind", "name"), [("HTTPRoute", "diabetes"), ("GRPCRoute", "diabetes-grpc")])
def test_the_gateway_accepts_both_routes(cluster: Cluster, applied: Any, kind: str, name: str) -> None:
    def conditions() -> dict[str, str]:
        parents = cluster.get(_GATEWAY, kind, name).get("status", {}).get("parents", [])
        return {c["type"]: c["status"] for parent in parents for c in parent["conditions"]}

    wait_for(conditions, lambda found: found.get("Accepted") == found.get("ResolvedRefs") == "True", "an accepted route")


def test_applying_again_changes_nothing_and_leaves_the_verdict_alone(cluster: Cluster, applied: Any, manifests: str) -> None:
    _conditions(cluster, "diabetes")  # Argo Rollouts has written what it writes
    _write_verdict(cluster, release="r1", outcome="pass")
    again = cluster.kubectl("apply", "-f", "-", stdin=manifests).splitlines()
    assert "rollout.argoproj.io/diabetes unchanged" in again
    assert cluster.get("v1", "ConfigMap", "diabetes-verdict")["data"]["release"] == "r1"


@pytest.mark.parametrize(
    ("question", "allowed"),
    [
        ("diabetes-gate patch configmaps/diabetes-verdict", True),
        ("diabetes-gate patch configmaps/another", False),
        ("diabetes-gate get secrets/diabetes-verdict", False),
        ("diabetes-gate list pods/", True),
        ("diabetes-gate delete pods/", False),
        ("diabetes-verdict get configmaps/diabetes-verdict", True),
        ("diabetes-verdict patch configmaps/diabetes-verdict", False),
        ("diabetes-verdict get configmaps/another", False),
        ("diabetes get configmaps/diabetes-verdict", False),
    ],
)
def test_what_each_account_may_do(cluster: Cluster, applied: Any, question: str, allowed: bool) -> None:
    account, verb, what = question.split()
    resource, name = what.split("/")
    review = {
        "metadata": {"namespace": cluster.namespace},
        "spec": {
            "user": f"system:serviceaccount:{cluster.namespace}:{account}",
            "resourceAttributes": {"namespace": cluster.namespace, "verb": verb, "resource": resource, "name": name},
        },
    }
    reviews = cluster.resource("authorization.k8s.io/v1", "LocalSubjectAccessReview")
    assert reviews.create(body=review, namespace=cluster.namespace).status.allowed is allowed


@pytest.mark.parametrize(
    ("release", "outcome", "phase"),
    [
        ("this", "pass", "Successful"),
        ("this", "fail", "Failed"),
        ("this", "inconclusive", "Inconclusive"),
        ("an-old-one", "pass", "Inconclusive"),
        ("an-old-one", "fail", "Inconclusive"),
    ],
)
def test_the_verdict_that_argo_rollouts_reads(cluster: Cluster, applied: Any, release: str, outcome: str, phase: str) -> None:
    _write_verdict(cluster, release=release, outcome=outcome)
    template = applied["AnalysisTemplate", "diabetes-verdict"]["spec"]
    # An address: a controller that runs outside the cluster cannot resolve its names.
    services = cluster.resource("v1", "Service")
    address = services.get(name="kubernetes", namespace="default").spec.clusterIP
    arguments = {"namespace": cluster.namespace, "release": "this", "api": f"https://{address}"}
    given = [{"name": a["name"], "value": arguments[a["name"]]} if a["name"] in arguments else a for a in template["args"]]
    name = f"verdict-{uuid.uuid4().hex[:6]}"
    cluster.create({"apiVersion": _ARGO, "kind": "AnalysisRun", "metadata": {"name": name}, "spec": {**template, "args": given}})
    run = wait_for(
        lambda: cluster.get(_ARGO, "AnalysisRun", name),
        lambda r: r.get("status", {}).get("phase") not in {None, "", "Pending", "Running"},
        f"the end of AnalysisRun {name}",
    )
    assert run["status"]["phase"] == phase, run["status"]
    (measurement,) = run["status"]["metricResults"][0]["measurements"]
    assert outcome in measurement["value"]


def _write_verdict(cluster: Cluster, release: str, outcome: str) -> None:
    data = {"release": release, "outcome": outcome, "verdict": "{}"}
    verdicts = cluster.resource("v1", "ConfigMap")
    verdicts.patch(
        name="diabetes-verdict", namespace=cluster.namespace, body={"data": data}, content_type="application/merge-patch+json"
    )
