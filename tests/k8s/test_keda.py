"""components/keda: what it asks Prometheus for is what a served model counts, callers' predictions and nothing else."""

import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from canari.model import Model
from canari.runtime.onnx import OnnxRuntime
from canari.serving.app import App
from canari.serving.oip import open_inference_pb2
from canari.serving.oip_grpc import SERVICE
from tests.k8s.rendering import K8S, named, overlay
from tests.serving.conftest import Client

_LOAD_TEST = {"X-Canari-Synthetic": "true"}


@pytest.fixture(scope="module")
def scaled() -> dict[str, dict[str, str]]:
    """The label matchers of the query, by metric: {metric: {label: value or pattern}}."""
    (trigger,) = yaml.safe_load((K8S / "components/keda/scaledobject.yaml").read_text())["spec"]["triggers"]
    selectors = re.findall(r"(\w+)\{([^}]*)\}", trigger["metadata"]["query"])
    return {metric: dict(re.findall(r'(\w+)=~?"([^"]*)"', matchers)) for metric, matchers in selectors}


def test_it_counts_callers_predictions_over_rest(scaled: dict[str, dict[str, str]], toy_model: Model) -> None:
    client = Client(App(OnnxRuntime(toy_model.signature, toy_model.onnx)))
    paths = client("GET", "/openapi.json").json()["paths"]
    for path, verbs in paths.items():
        for verb, described in verbs.items():
            if verb == "get":
                client("GET", path)
                continue
            example = described["requestBody"]["content"]["application/json"]["example"]
            for headers in ({}, _LOAD_TEST, _LOAD_TEST):
                assert client("POST", path, json=example, headers=headers).status_code == 200
    families = text_string_to_metric_families(client("GET", "/metrics").text)
    samples = [sample for family in families for sample in family.samples]

    def matching(metric: str) -> list[float]:
        wanted = {**scaled[metric], "model": toy_model.signature.name}
        assert wanted.pop("namespace")  # which Prometheus adds
        return [s.value for s in samples if s.name == metric and all(re.fullmatch(p, s.labels[k]) for k, p in wanted.items())]

    assert sum(matching("canari_request_duration_seconds_count")) == sum("post" in verbs for verbs in paths.values())
    assert matching("canari_model") == [1]


def test_it_counts_predictions_over_grpc(scaled: dict[str, dict[str, str]]) -> None:
    pattern = scaled["canari_request_duration_seconds_count"]["route"]
    methods = open_inference_pb2.DESCRIPTOR.services_by_name[SERVICE.split(".")[-1]].methods_by_name
    assert [m for m in methods if re.fullmatch(pattern, f"/{SERVICE}/{m}")] == ["ModelInfer"]


def test_it_takes_the_place_of_the_autoscaler(tmp_path: Path) -> None:
    (plain,) = named(overlay("production", [], tmp_path / "plain"), "HorizontalPodAutoscaler").values()
    objects = overlay("production", ["keda"], tmp_path / "keda")
    assert not named(objects, "HorizontalPodAutoscaler")
    (scaled,) = named(objects, "ScaledObject").values()
    assert scaled["spec"]["scaleTargetRef"] == plain["spec"]["scaleTargetRef"]
    assert scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["name"] == plain["metadata"]["name"]
