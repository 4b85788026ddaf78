"""components/tls: the model's routes on the Gateway's TLS listener, and a redirect that no rows follow."""

from pathlib import Path

import pytest
import yaml

from tests.k8s.rendering import K8S, OVERLAYS, Object, overlay


@pytest.fixture(params=OVERLAYS)
def routes(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Object]:
    """What an installation with the component says of each route."""
    return {o["metadata"]["name"]: o["spec"] for o in overlay(request.param, ["tls"], tmp_path) if o["kind"].endswith("Route")}


def _gateway(file: str) -> Object:
    read: Object = yaml.safe_load((K8S / "cluster" / file).read_text())
    return read


def test_callers_come_over_tls_only(routes: dict[str, Object]) -> None:
    gateway = _gateway("tls/gateway.yaml")
    (https,) = gateway["spec"]["listeners"]
    assert https["protocol"] == "HTTPS"
    parent = {"name": gateway["metadata"]["name"], "namespace": gateway["metadata"]["namespace"], "sectionName": https["name"]}
    for name in ("diabetes", "diabetes-grpc"):
        assert routes[name]["parentRefs"] == [parent]


def test_a_browser_is_redirected_and_rows_are_not(routes: dict[str, Object]) -> None:
    redirect = routes["diabetes-redirect"]
    (http,) = _gateway("contour/gateway.yaml")["spec"]["listeners"]
    assert http["protocol"] == "HTTP"
    assert [p["sectionName"] for p in redirect["parentRefs"]] == [http["name"]]
    assert redirect["hostnames"] == routes["diabetes"]["hostnames"]
    (rule,) = redirect["rules"]
    assert {match["method"] for match in rule["matches"]} == {"GET", "HEAD"}
    assert [f["requestRedirect"]["scheme"] for f in rule["filters"]] == ["https"]
    assert "backendRefs" not in rule
