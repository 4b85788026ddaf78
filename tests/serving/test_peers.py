"""Triton's own clients against a server in a process of its own, over HTTP and gRPC."""

from collections.abc import Iterator
from typing import Any

import grpc  # type: ignore[import-untyped]
import httpx
import numpy as np
import onnxruntime
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from canari import store as model_store
from canari.model import Columns
from canari.runtime.feeds import to_feeds
from tests.conftest import ROWS, bentoml_home, make_classifier, make_toy
from tests.serving.conftest import Server, serving

TYPES = {"age": np.float64, "visits": np.int64, "smoker": np.bool_, "exercise": np.object_}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    with bentoml_home(tmp_path_factory.mktemp("store") / "bentoml"):
        for model in (make_toy(), make_classifier()):
            model_store.put(model)
        with serving("toy:1") as toy, serving("iris:1") as iris:
            yield {"toy": toy, "iris": iris}


@pytest.fixture(scope="module", params=["http", "http binary", "grpc"])
def infer(request: pytest.FixtureRequest, servers: dict[str, Server]) -> Any:
    """`infer(model, columns, **how)` through one of the doors; answers the client's result."""
    door = request.param
    module = triton_grpc if door == "grpc" else triton_http

    def run(model: str, columns: Columns, types: dict[str, Any], **how: Any) -> Any:
        server = servers[model]
        client = module.InferenceServerClient(server.grpc if door == "grpc" else server.url.removeprefix("http://"))
        inputs = []
        for name, values in columns.items():
            array = np.array(values, types[name]).reshape(-1, 1)
            tensor = module.InferInput(
                name, list(array.shape), {"f": "FP64", "i": "INT64", "b": "BOOL", "O": "BYTES"}[array.dtype.kind]
            )
            tensor.set_data_from_numpy(array, **({} if door == "grpc" else {"binary_data": door == "http binary"}))
            inputs.append(tensor)
        if door == "http":
            names = [o["name"] for o in client.get_model_metadata(model)["outputs"]]
            how["outputs"] = [module.InferRequestedOutput(name, binary_data=False) for name in names]
        try:
            return client.infer(model, inputs, **how)
        finally:
            client.close()

    return run


def complete(columns: Columns) -> Columns:
    """The rows without a missing value, which JSON and NaN write differently."""
    keep = [all(column[i] is not None for column in columns.values()) for i in range(len(columns["age"]))]
    return {name: [v for v, kept in zip(column, keep, strict=True) if kept] for name, column in columns.items()}


def test_the_doubles_of_onnxruntime_bit_for_bit(infer: Any) -> None:
    model, rows = make_toy(), complete(ROWS)
    session = onnxruntime.InferenceSession(model.onnx, providers=["CPUExecutionProvider"])
    expected = session.run(None, to_feeds(model.signature.inputs, rows))[0]
    found = infer("toy", rows, TYPES, request_id="r-1")
    assert found.as_numpy("prediction").tobytes() == expected.tobytes()
    assert found.as_numpy("prediction").shape == (4, 1)


def test_a_class_and_its_probabilities(infer: Any) -> None:
    found = infer("iris", {"x": [5.0, -4.0]}, {"x": np.float64})
    labels = [v.decode() if isinstance(v, bytes) else v for v in found.as_numpy("class").ravel()]
    assert labels == ["versi color", "Ümlaut"]
    assert found.as_numpy("probabilities").shape == (2, 3)


def test_unknown_models_and_bad_values_are_errors_of_the_client(infer: Any) -> None:
    rows: Columns = {name: column[:1] for name, column in ROWS.items()}
    with pytest.raises(InferenceServerException, match="expected one of 'none', 'some', 'a lot', came 'much'"):
        infer("toy", {**rows, "exercise": ["much"]}, TYPES)
    with pytest.raises(InferenceServerException, match=r"no model 'toy:9' here|no such model"):
        infer("toy", rows, TYPES, model_version="9")


def test_http_client_metadata(servers: dict[str, Server]) -> None:
    with triton_http.InferenceServerClient(servers["toy"].url.removeprefix("http://")) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("toy", "1")
        assert not client.is_model_ready("other")
        assert client.get_server_metadata()["name"] == "canari"
        assert client.get_model_metadata("toy")["versions"] == ["1"]


def test_grpc_client_metadata(servers: dict[str, Server]) -> None:
    with triton_grpc.InferenceServerClient(servers["toy"].grpc) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("toy", "1")
        assert client.get_server_metadata().name == "canari"
        metadata = client.get_model_metadata("toy")
        assert [(t.name, t.datatype, list(t.shape)) for t in metadata.inputs] == [
            ("age", "FP64", [-1, 1]),
            ("visits", "INT64", [-1, 1]),
            ("smoker", "BOOL", [-1, 1]),
            ("exercise", "BYTES", [-1, 1]),
        ]
        with pytest.raises(InferenceServerException) as error:
            client.get_model_metadata("toy", "9")
        assert error.value.status() == "StatusCode.NOT_FOUND"


class Call:
    """`ModelInfer` with messages made by hand from Triton's own classes."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._infer = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=service_pb2.ModelInferRequest.SerializeToString,
            response_deserializer=service_pb2.ModelInferResponse.FromString,
        )

    def __call__(self, request: Any, **how: Any) -> Any:
        return self._infer.with_call(request, timeout=10, **how)


@pytest.fixture(scope="module")
def call(servers: dict[str, Server]) -> Iterator[Call]:
    with grpc.insecure_channel(servers["toy"].grpc) as channel:
        yield Call(channel)


def typed_request() -> Any:
    request = service_pb2.ModelInferRequest(model_name="toy", id="7")
    for name, datatype, field, value in (
        ("age", "FP64", "fp64_contents", 30.0),
        ("visits", "INT32", "int_contents", 2),
        ("smoker", "BOOL", "bool_contents", True),
        ("exercise", "BYTES", "bytes_contents", b"some"),
    ):
        tensor = request.inputs.add(name=name, datatype=datatype, shape=[1, 1])
        getattr(tensor.contents, field).append(value)
    return request


def test_typed_contents_are_answered_in_typed_contents(call: Call) -> None:
    answer, meta = call(typed_request())
    assert (answer.model_name, answer.model_version, answer.id) == ("toy", "1", "7")
    assert list(answer.outputs[0].contents.fp64_contents) == [0.33458944125318602]
    assert answer.outputs[0].parameters["labels"].string_param == '["yes"]'
    assert not answer.raw_output_contents
    assert dict(meta.trailing_metadata()) == {"x-canari-model": "toy", "x-canari-version": "1"}


def test_grpc_statuses(call: Call) -> None:
    def refused(change: Any) -> tuple[grpc.StatusCode, str]:
        request = typed_request()
        change(request)
        with pytest.raises(grpc.RpcError) as error:
            call(request)
        assert dict(error.value.trailing_metadata())["x-canari-version"] == "1"
        return error.value.code(), error.value.details()

    invalid, not_found = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
    assert refused(lambda r: setattr(r, "model_name", "other")) == (
        not_found,
        "no model 'other' here: this server serves 'toy:1'",
    )
    assert refused(lambda r: r.inputs.pop())[0] == invalid
    code, details = refused(lambda r: r.inputs[3].contents.bytes_contents.__setitem__(0, b"much"))
    assert (code, details) == (invalid, "row 0, column 'exercise': expected one of 'none', 'some', 'a lot', came 'much'")
    assert refused(lambda r: r.inputs[3].contents.bytes_contents.__setitem__(0, b"\xff"))[0] == invalid
    assert "datatype 'FP99' has no typed contents" in refused(lambda r: setattr(r.inputs[0], "datatype", "FP99"))[1]
    assert "expected one element of raw_input_contents an input" in refused(lambda r: r.raw_input_contents.append(b""))[1]
    assert "expected one of them" in refused(lambda r: r.raw_input_contents.extend([b""] * 4))[1]
    assert "output 'x' is unknown" in refused(lambda r: r.outputs.add(name="x"))[1]


def test_raw_contents_that_do_not_fit(call: Call) -> None:
    request = typed_request()
    for tensor in request.inputs:
        tensor.ClearField("contents")
    request.raw_input_contents.extend([b"1234", b"\2\0\0\0", b"\1", b"\4\0\0\0some"])
    with pytest.raises(grpc.RpcError) as error:
        call(request)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    request.raw_input_contents[0] = np.array([30.0]).tobytes()
    answer, _ = call(request)
    assert np.frombuffer(answer.raw_output_contents[0]).tolist() == [0.33458944125318602]


def test_too_large_for_grpc_is_a_status(call: Call) -> None:
    request = typed_request()
    request.inputs[3].contents.bytes_contents[0] = b"x" * 9 * 2**20
    with pytest.raises(grpc.RpcError) as error:
        call(request)
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_standard_health(servers: dict[str, Server]) -> None:
    with grpc.insecure_channel(servers["toy"].grpc) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        for service in ("", "inference.GRPCInferenceService"):
            status = check(health_pb2.HealthCheckRequest(service=service), timeout=10).status
            assert status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as error:
            check(health_pb2.HealthCheckRequest(service="other"), timeout=10)
        assert error.value.code() == grpc.StatusCode.NOT_FOUND


def test_grpc_is_counted_with_http(servers: dict[str, Server], call: Call) -> None:
    call(typed_request(), metadata=(("x-canari-synthetic", "1"),))
    text = httpx.get(f"{servers['toy'].url}/metrics").text
    assert 'protocol="grpc",route="/inference.GRPCInferenceService/ModelInfer",status="OK",synthetic="true"' in text
    assert 'status="NOT_FOUND"' in text or 'status="INVALID_ARGUMENT"' in text


def test_ten_megabytes_of_rows_are_too_large(servers: dict[str, Server]) -> None:
    row = '{"age":30.0,"visits":2,"smoker":true,"exercise":"some"}'
    body = f"[{','.join([row] * (10 * 2**20 // len(row)))}]"
    with httpx.Client(base_url=servers["toy"].url, headers={"content-type": "application/json"}) as client:
        answer = client.post("/predict", content=body)
        assert (answer.status_code, "8 MiB" in answer.json()["error"]) == (413, True)
        assert client.post("/predict", content=f"[{row}]").status_code == 200
