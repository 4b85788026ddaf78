"""The component shadow: idle between releases; during one, callers' own requests are compared, and no caller notices."""

import json
import re
from typing import Any

import pytest
import yaml

from tests.cluster.cluster import wait_for
from tests.cluster.conftest import NewRelease
from tests.cluster.numbers import Numbers
from tests.cluster.release import Release, Settings

SHADOW_PAUSE = 30  # seconds before the first gate


@pytest.fixture(scope="module")
def deployed(new_release: NewRelease) -> Release:
    """A stable version with the component, as its README adds it."""
    release = new_release(settings=Settings(pause=5))
    for folder, component in ((release.overlay, "shadow"), (release.overlay / "install", "shadow/routes")):
        file = folder / "kustomization.yaml"
        up = "../.." if folder == release.overlay else "../../.."
        content = yaml.safe_load(file.read_text())
        content["components"] = [*content.get("components", []), f"{up}/components/{component}"]
        # The component's steps come first: pauses are counted from the end.
        text = (
            yaml.safe_dump(content, sort_keys=False)
            .replace("steps/3/pause", "steps/-7/pause")
            .replace("steps/7/pause", "steps/-3/pause")
        )
        file.write_text(text)
    release.patch("Rollout", {"/spec/strategy/canary/steps/1/pause/duration": f"{SHADOW_PAUSE}s"})
    release.deploy()
    release.cluster.kubectl("rollout", "status", f"deployment/{release.name}-shadow", "--timeout=90s")
    wait_for(lambda: summary(release)["state"], lambda state: state == "idle", "an idle comparer")
    return release


@pytest.fixture
def release(deployed: Release) -> Release:
    """Its stable version, whatever an earlier case left."""
    deployed.back_to_stable()
    return deployed


def ask(release: Release, path: str) -> str:
    """What the comparer answers, by way of the API server."""
    service = f"/api/v1/namespaces/{release.cluster.namespace}/services/{release.name}-shadow:8080/proxy"
    return release.cluster.kubectl("get", "--raw", service + path)


def summary(release: Release) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ask(release, "/summary"))
    return found


def copies(release: Release, fate: str) -> int:
    found = re.search(rf'received_total{{fate="{fate}"}} (\S+)', ask(release, "/metrics"))
    return int(float(found[1])) if found else 0


def predictions(release: Release, synthetic: bool) -> int:
    """Requests for predictions over HTTP that stable's pods have counted."""
    wanted = re.compile(
        rf'^canari_request_duration_seconds_count{{.*protocol="http",route="(?:/predict|/v2/[^"]*infer)".*synthetic="{str(synthetic).lower()}"'
        r".*} (\S+)$",
        re.MULTILINE,
    )
    stable, _ = release.hashes()
    space = f"/api/v1/namespaces/{release.cluster.namespace}/pods"
    # One that the autoscaler has just asked for has no address yet, and has counted nothing.
    pods = [pod["metadata"]["name"] for pod in release.pods(stable) if pod["status"].get("podIP")]
    texts = [release.cluster.kubectl("get", "--raw", f"{space}/{pod}:3000/proxy/metrics") for pod in pods]
    return sum(int(float(count)) for text in texts for count in wanted.findall(text))


def test_between_releases_copies_go_no_further(release: Release) -> None:
    before = predictions(release, synthetic=False)
    with release.callers(count=300) as callers:
        account = callers.wait(60)
    assert account.lost == []
    wait_for(lambda: copies(release, "idle"), lambda n: n >= 300, "300 copies")
    assert predictions(release, synthetic=False) - before == 300
    assert predictions(release, synthetic=True) == 0
    assert summary(release)["comparisons"] == []


def test_a_plausible_mistake_is_seen_in_callers_requests_before_a_caller_meets_it(release: Release, numbers: Numbers) -> None:
    mistake = release.images.model("3")
    with release.callers() as callers:
        release.start(mistake)
        found = wait_for(
            lambda: summary(release),
            lambda s: s["state"] == "comparing" and sum(s["comparisons"][0]["outcomes"].values()) >= 300,
            "300 compared requests",
            seconds=150,
        )
        assert release.weights() == {"rest": 0, "grpc": 0}
        release.argo("abort")
        release.wait("Degraded")
        wait_for(lambda: summary(release)["state"], lambda state: state == "idle", "the end of the comparison")
        account = callers.stop()
    assert account.lost == []
    assert {request.version for request in account.requests} == {"1"}
    newest = found["comparisons"][0]
    assert (newest["stable"], newest["candidate"], newest["ended"]) == ("diabetes:1", "diabetes:3", None)
    assert newest["outcomes"]["different"] >= 300
    assert newest["outcomes"]["same"] == newest["outcomes"]["candidate_failed"] == newest["outcomes"]["stable_failed"] == 0
    (field,) = newest["fields"]
    assert field["field"] == "prediction"
    assert abs(field["mean_shift"]) > 0.1
    numbers.requests("shadow: plausible mistake", account, mean_shift=field["mean_shift"])
    release.back_to_stable()


def test_the_gates_judge_the_candidate_by_callers_requests(release: Release, numbers: Numbers) -> None:
    candidate = release.images.candidate
    with release.callers() as callers:
        release.start(candidate)
        release.wait_weight(50)
        found = summary(release)["comparisons"][0]
        release.wait("Healthy")
        account = callers.stop()
    assert account.lost == []
    assert found["candidate"] == "diabetes:2"
    assert found["outcomes"]["candidate_failed"] == 0
    verdict = json.loads(release.cluster.get("v1", "ConfigMap", f"{release.name}-verdict")["data"]["verdict"])
    (errors,) = [rule for rule in verdict["rules"] if rule["name"] == "shadow_errors"]
    assert errors["outcome"] == "pass"
    assert errors["samples"] > 200
    numbers.requests("shadow: whole release", account, compared=errors["samples"])
