"""The page of metrics, read by Prometheus's own tools; its buckets, counted by numpy."""

import shutil
import subprocess
import time
from typing import Any

import numpy as np
import prometheus_client.openmetrics.parser as openmetrics
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from canari.serving.metrics import Metrics
from tests.conftest import make_toy

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
DURATION = "canari_request_duration_seconds"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(make_toy().signature, "toy_service:abc")


def samples(metrics: Metrics, name: str, **labels: str) -> dict[tuple[tuple[str, str], ...], float]:
    """The values of the samples of a name that have the labels, by their other labels."""
    found = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                found[tuple(sorted(sample.labels.items() - labels.items()))] = sample.value
    return found


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return sum(samples(metrics, name, **labels).values())


def used(metrics: Metrics) -> Metrics:
    metrics.observe("http", "/predict", 200, 0.0003, rows=2, trace_id="4bf92f3577b34da6a3ce929d0e0e4736")
    metrics.observe("http", "/predict", 503, 0.2, synthetic=True)
    metrics.observe("grpc", "/inference.GRPCInferenceService/ModelInfer", "OK", 7.0, rows=1)
    metrics.waited("inline", 0.0002)
    metrics.refused("overload")
    metrics.watch(queued=lambda: {"inline": 3, "threads": 1}, in_flight=lambda: 9, lines_dropped=lambda: 5)
    return metrics


@given(st.lists(st.one_of(st.floats(0, 3), st.sampled_from([0.0001, 0.00025, 0.001, 0.5, 1.0])), max_size=200))
def test_a_bucket_counts_what_took_at_most_its_bound(seconds: list[float]) -> None:
    metrics = Metrics(make_toy().signature)
    metrics.observe("http", "/predict", 200, 0.0)
    for each in seconds:
        metrics.observe("http", "/predict", 200, each)
        metrics.waited("threads", each)
    for name, about, told in (
        (DURATION, {"route": "/predict"}, [0.0, *seconds]),
        ("canari_queue_seconds", {"lane": "threads"}, seconds),
    ):
        buckets = samples(metrics, f"{name}_bucket", **about)
        bounds = {float(dict(labels)["le"]): count for labels, count in buckets.items()}
        assert min(bounds) == 0.0001
        assert sorted(bounds)[-2:] == [1.0, np.inf]
        for bound, count in bounds.items():
            assert count == np.count_nonzero(np.asarray(told) <= bound)
        assert value(metrics, f"{name}_count", **about) == len(told)
        assert value(metrics, f"{name}_sum", **about) == pytest.approx(np.sum(told))


def test_requests_are_told_apart_by_what_answers_them_and_by_the_status_class(metrics: Metrics) -> None:
    for status in (200, 400, 404, 413, 500, 503):
        metrics.observe("http", "/predict", status, 0.001)
    metrics.observe("http", "/predict", 200, 0.001, synthetic=True)
    metrics.observe("grpc", "/inference.GRPCInferenceService/ModelInfer", "NOT_FOUND", 0.001)
    named = {"model": "toy", "version": "1"}
    by_status = samples(metrics, f"{DURATION}_count", protocol="http", route="/predict", synthetic="false", **named)
    assert by_status == {(("status", "2xx"),): 1, (("status", "4xx"),): 3, (("status", "5xx"),): 2}
    assert value(metrics, f"{DURATION}_count", status="2xx", synthetic="true", **named) == 1
    assert value(metrics, f"{DURATION}_count", protocol="grpc", status="NOT_FOUND", **named) == 1


def test_rows_queue_and_losses_are_counted(metrics: Metrics) -> None:
    assert samples(metrics, "canari_refused_total", model="toy", version="1") == {
        (("reason", reason),): 0 for reason in ("overload", "deadline", "draining")
    }
    used(metrics)
    metrics.observe("http", "/v2/models/{model}/infer", 200, 0.001, rows=40)
    assert value(metrics, "canari_rows_total", protocol="http", synthetic="false") == 42
    assert value(metrics, "canari_rows_total", protocol="http", synthetic="true") == 0
    assert value(metrics, "canari_rows_total", protocol="grpc", synthetic="false") == 1
    assert samples(metrics, "canari_queue_length", model="toy", version="1") == {
        (("lane", "inline"),): 3,
        (("lane", "threads"),): 1,
    }
    assert value(metrics, "canari_requests_in_flight") == 9
    assert value(metrics, "canari_refused_total", reason="overload") == 1
    assert value(metrics, "canari_log_lines_dropped_total") == 5
    served = {"model": "toy", "version": "1", "bento": "toy_service:abc", "class": "glm", "proved": "true"}
    assert samples(metrics, "canari_model", **served) == {(): 1}
    assert value(metrics, "process_resident_memory_bytes") > 2**20


def test_a_histogram_says_since_when_it_counts(metrics: Metrics) -> None:
    before = time.time()
    metrics.observe("http", "/predict", 200, 0.001)
    created = value(metrics, f"{DURATION}_created", route="/predict")
    assert before <= created <= time.time()


@pytest.mark.parametrize("accept", ["", PROMETHEUS])
def test_prometheus_takes_both_formats(metrics: Metrics, accept: str) -> None:
    body, content_type = used(metrics).exposition(accept)
    if accept:
        assert content_type.startswith(b"application/openmetrics-text; version=1.0.0; charset=utf-8")
        families = {family.name: family for family in openmetrics.text_string_to_metric_families(body.decode())}  # type: ignore[no-untyped-call]
    else:
        assert content_type == b"text/plain; version=0.0.4; charset=utf-8"
        families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    assert families["canari_rows"].type == "counter"
    durations = families[DURATION]
    assert durations.type == "histogram"
    with_exemplar = [sample for sample in durations.samples if sample.exemplar]
    assert len(with_exemplar) == bool(accept)
    for sample in with_exemplar:
        assert sample.exemplar is not None
        assert (sample.labels["le"], sample.exemplar.value) == ("0.0005", 0.0003)
        assert sample.exemplar.labels == {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool, of Prometheus, is not installed")
def test_promtool_finds_nothing_wrong(metrics: Metrics) -> None:
    page = used(metrics).text()
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, check=False, capture_output=True, timeout=60)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


_HEADER: Any = st.lists(
    st.sampled_from(
        [
            "application/openmetrics-text",
            "text/plain",
            "*/*",
            ";",
            ",",
            "version=",
            "1.0.0",
            "0.0.4",
            "escaping=",
            "dots",
            "x",
            "-1",
            " ",
        ]
    )
    | st.characters(min_codepoint=32, max_codepoint=255),
    max_size=12,
).map("".join)


@given(_HEADER)
def test_whatever_is_accepted_there_is_a_page_with_its_type(accept: str) -> None:
    body, content_type = used(Metrics(make_toy().signature)).exposition(accept)
    assert b"canari_rows_total" in body
    assert content_type.startswith((b"text/plain", b"application/openmetrics-text"))
