"""Traces, as a collector gets them: over HTTP and over gRPC, decoded with OpenTelemetry's own messages."""

import gzip
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace as global_trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from canari.errors import UsageError
from canari.serving import tracing
from tests.conftest import make_toy

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLED = {b"traceparent": f"00-{TRACE}-{PARENT}-01".encode(), b"tracestate": b"vendor=a1", b"baggage": b"patient=John%20Doe"}
UNSAMPLED = {b"traceparent": f"00-{TRACE}-{PARENT}-00".encode()}


class Collector:
    """What a collector has got, by whatever way."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.url = ""

    def take(self, body: bytes) -> bytes:
        self.requests.append(ExportTraceServiceRequest.FromString(body))
        return ExportTraceServiceResponse().SerializeToString()

    @property
    def resource(self) -> dict[str, Any]:
        return attributes(self.requests[0].resource_spans[0].resource)

    @property
    def spans(self) -> list[Sent]:
        return [
            span
            for request in self.requests
            for by_resource in request.resource_spans
            for by_scope in by_resource.scope_spans
            for span in by_scope.spans
        ]

    def named(self, name: str) -> Sent:
        (span,) = [span for span in self.spans if span.name == name]
        return span


def attributes(described: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in described.attributes}


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def http_collector() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert (self.path, self.headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
            answer = collector.take(gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body)
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, args=(0.05,))
    serving.start()
    collector.url = f"http://127.0.0.1:{server.server_port}"
    yield collector
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.fixture
def grpc_collector() -> Iterator[Collector]:
    collector = Collector()
    method = grpc.unary_unary_rpc_method_handler(lambda body, _: collector.take(body))
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("opentelemetry.proto.collector.trace.v1.TraceService", {"Export": method}),)
    )
    collector.url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield collector
    server.stop(0).wait()


@pytest.fixture
def tracer(http_collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", http_collector.url)
    tracer = tracing.from_environment(make_toy().signature, "toy_service:abc")
    assert tracer is not None
    yield tracer
    tracer.close()


def test_a_request_is_a_span_of_its_callers_trace(http_collector: Collector, tracer: Any) -> None:
    before = time.time_ns()
    span = tracer.start("POST", "/predict", CALLED)
    time.sleep(0.005)
    span.end(200, request_id=b"abc-1", rows=2, waited=0.001, predicted=0.002)
    after = time.time_ns()
    assert (span.trace_id, span.sampled) == (TRACE, True)
    tracer.close()

    sent = http_collector.named("POST /predict")
    assert (sent.trace_id.hex(), sent.parent_span_id.hex(), sent.trace_state) == (TRACE, PARENT, "vendor=a1")
    assert sent.kind == Sent.SPAN_KIND_SERVER
    assert sent.status.code == Status.STATUS_CODE_UNSET
    assert attributes(sent) == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "canari.request_id": "abc-1",
        "canari.rows": 2,
    }
    queue, predict = http_collector.named("queue"), http_collector.named("predict")
    for child in (queue, predict):
        assert (child.trace_id, child.parent_span_id, child.kind) == (sent.trace_id, sent.span_id, Sent.SPAN_KIND_INTERNAL)
    assert before <= sent.start_time_unix_nano == queue.start_time_unix_nano
    assert queue.end_time_unix_nano - queue.start_time_unix_nano == 1_000_000
    assert queue.end_time_unix_nano == predict.start_time_unix_nano
    assert predict.end_time_unix_nano - predict.start_time_unix_nano == 2_000_000
    assert predict.end_time_unix_nano <= sent.end_time_unix_nano <= after


def test_the_resource_says_which_model_answered_and_no_value_of_a_callers_is_sent(http_collector: Collector, tracer: Any) -> None:
    tracer.start("POST", "/predict", CALLED).end(200, request_id=b"abc-1")
    tracer.close()
    about = {
        "service.name": "toy",
        "service.version": "1",
        "canari.model": "toy",
        "canari.version": "1",
        "canari.bento": "toy_service:abc",
    }
    assert about.items() <= http_collector.resource.items()
    assert b"John" not in b"".join(request.SerializeToString() for request in http_collector.requests)


@pytest.mark.parametrize(("status", "code"), [(200, 0), (404, 0), (500, 2), (503, 2)])
def test_the_servers_faults_are_errors(http_collector: Collector, tracer: Any, status: int, code: int) -> None:
    tracer.start("POST", "/predict", {}).end(status, request_id=b"a")
    tracer.close()
    (sent,) = http_collector.spans
    assert sent.status.code == code
    assert attributes(sent)["http.response.status_code"] == status
    assert attributes(sent).get("error.type") == (str(status) if code else None)


@pytest.mark.parametrize(
    ("method", "route", "name"), [("GET", None, "GET"), ("JANE-DOE", None, "HTTP"), ("JANE-DOE", "/predict", "HTTP /predict")]
)
def test_a_path_or_method_that_there_is_not_is_not_told(
    http_collector: Collector, tracer: Any, method: str, route: str | None, name: str
) -> None:
    tracer.start(method, route, {}).end(404, request_id=b"a")
    tracer.close()
    (sent,) = http_collector.spans
    assert sent.name == name
    assert ("http.route" in attributes(sent)) == (route is not None)
    assert attributes(sent)["http.request.method"] == ("GET" if method == "GET" else "_OTHER")
    assert b"JANE" not in sent.SerializeToString()


def test_a_grpc_call_is_a_span_sent_over_grpc(grpc_collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", grpc_collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    tracer = tracing.from_environment(make_toy().signature)
    assert tracer is not None
    metadata = {b"traceparent": f"00-{TRACE}-{PARENT}-01".encode(), b"custom-bin": b"\xff", b"user-agent": b"grpc"}
    for status in ("OK", "INVALID_ARGUMENT", "INTERNAL"):
        tracer.start_rpc("inference.GRPCInferenceService/ModelInfer", metadata).end(status, request_id=b"a")
    tracer.close()
    by_status = {attributes(span)["rpc.response.status_code"]: span for span in grpc_collector.spans}
    assert {status: span.status.code for status, span in by_status.items()} == {"OK": 0, "INVALID_ARGUMENT": 0, "INTERNAL": 2}
    sent = by_status["OK"]
    assert sent.name == "inference.GRPCInferenceService/ModelInfer"
    assert (sent.trace_id.hex(), sent.parent_span_id.hex(), sent.kind) == (TRACE, PARENT, Sent.SPAN_KIND_SERVER)
    assert attributes(sent)["rpc.system.name"] == "grpc"
    assert attributes(sent)["rpc.method"] == "inference.GRPCInferenceService/ModelInfer"
    assert "canari.bento" not in grpc_collector.resource


def test_a_caller_who_does_not_sample_is_followed(http_collector: Collector, tracer: Any) -> None:
    span = tracer.start("POST", "/predict", UNSAMPLED)
    span.end(200, request_id=b"a", waited=0.0, predicted=0.0)
    assert (span.trace_id, span.sampled) == (TRACE, False)
    tracer.close()
    assert http_collector.spans == []


def test_the_standard_variables_are_followed(http_collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{http_collector.url}/v1/traces")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "risk")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,canari.model=other")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    tracer = tracing.from_environment(make_toy().signature)
    assert tracer is not None
    tracer.start("POST", "/predict", {}).end(200, request_id=b"nobodys")
    tracer.start("POST", "/predict", CALLED).end(200, request_id=b"callers")
    tracer.close()
    assert [attributes(span)["canari.request_id"] for span in http_collector.spans] == ["callers"]
    expected = {"service.name": "risk", "service.version": "1", "deployment.environment.name": "test", "canari.model": "toy"}
    assert expected.items() <= http_collector.resource.items()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_SDK_DISABLED": "TRUE"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_without_a_collector_nothing_of_opentelemetry_is_imported(environment: dict[str, str]) -> None:
    script = (
        "import sys\nfrom canari.serving import tracing\nfrom tests.conftest import make_toy\n"
        "assert tracing.from_environment(make_toy().signature) is None\n"
        "print({name for name in sys.modules if name.startswith('opentelemetry')})"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, **environment}, check=True, capture_output=True, text=True, timeout=60
    )
    assert ran.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("variable", "wrong"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:port"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0"),
    ],
)
def test_a_variable_that_cannot_be_followed_is_said_in_one_sentence(
    variable: str, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
    monkeypatch.setenv(variable, wrong)
    with pytest.raises(UsageError, match=r"^[^\n]*OTEL_[^\n]*$"):
        tracing.from_environment(make_toy().signature)


def test_a_collector_that_is_away_fills_no_log_and_holds_nobody_up() -> None:
    script = (
        "from canari.serving import tracing\nfrom tests.conftest import make_toy\n"
        "tracer = tracing.from_environment(make_toy().signature)\n"
        "for _ in range(5000): tracer.start('POST', '/predict', {}).end(200, request_id=b'a')\n"
        "tracer.close(timeout=1.0)\n"
    )
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        away = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{nobody.getsockname()[1]}", "OTEL_BSP_SCHEDULE_DELAY": "10"}
        ran = subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, **away}, check=True, capture_output=True, text=True, timeout=60
        )
    said = ran.stderr.splitlines()
    assert any(line.startswith("traces: ") and "refused" in line for line in said)
    assert len(said) == len(set(said)) <= 4
    assert ran.stdout == ""


def test_opentelemetrys_global_provider_is_left_alone(tracer: Any) -> None:
    before = global_trace.get_tracer_provider()
    tracer.start("POST", "/predict", {}).end(200, request_id=b"a")
    assert global_trace.get_tracer_provider() is before


_PARENT = st.one_of(
    st.binary(max_size=80), st.from_regex(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-x)?", fullmatch=True)
)


@given(parent=_PARENT, state=st.binary(max_size=40), baggage=st.binary(max_size=40))
def test_a_trace_that_makes_no_sense_is_not_followed(parent: bytes, state: bytes, baggage: bytes) -> None:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from canari.serving.spans import Tracer

    tracer = Tracer(InMemorySpanExporter(), make_toy().signature, None)
    span = tracer.start("POST", "/predict", {b"traceparent": parent, b"tracestate": state, b"baggage": baggage})
    span.end(200, request_id=b"a")
    named = tracing.trace_id(parent)
    assert span.trace_id is not None
    assert len(span.trace_id) == 32
    assert named in (None, span.trace_id)
    tracer.close()


@pytest.mark.parametrize(
    ("header", "named"),
    [
        (f"00-{TRACE}-{PARENT}-01", TRACE),
        (f"cc-{TRACE}-{PARENT}-01-what-will-be", TRACE),
        (f"ff-{TRACE}-{PARENT}-01", None),
        (f"00-{'0' * 32}-{PARENT}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{PARENT}-01", None),
        (f"00-{TRACE}-{PARENT}", None),
        ("", None),
    ],
)
def test_a_trace_id_is_read_as_the_w3c_writes_it(header: str, named: str | None) -> None:
    assert tracing.trace_id(header.encode()) == named
    assert tracing.trace_id(None) is None
