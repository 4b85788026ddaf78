"""Triton's own clients against a server in a process of its own, over HTTP and gRPC."""

import asyncio
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import grpc  # type: ignore[import-untyped]
import httpx
import numpy as np
import onnxruntime
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.grpc.aio as triton_grpc_aio
import tritonclient.http as triton_http
import tritonclient.http.aio as triton_http_aio
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2  # type: ignore[import-untyped]
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (  # type: ignore[import-untyped]
    ProtoReflectionDescriptorDatabase,
)
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from canari import store as model_store
from canari.model import Columns
from canari.runtime.feeds import to_feeds
from canari.serving.oip import open_inference_pb2
from tests.conftest import ROWS, bentoml_home, make_classifier, make_toy
from tests.serving.conftest import Server, running, serving

TYPES = {"age": np.float64, "visits": np.int64, "smoker": np.bool_, "exercise": np.object_}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    with bentoml_home(tmp_path_factory.mktemp("store") / "bentoml"):
        for model in (make_toy(), make_classifier()):
            model_store.put(model)
        with serving("toy:1") as toy, serving("iris:1") as iris:
            yield {"toy": toy, "iris": iris}


def inputs(module: Any, columns: Columns, types: dict[str, Any] = TYPES, **written: bool) -> list[Any]:
    """The columns as the inputs of one of Triton's clients."""
    found = []
    for name, values in columns.items():
        array = np.array(values, types[name]).reshape(-1, 1)
        datatype = {"f": "FP64", "i": "INT64", "b": "BOOL", "O": "BYTES"}[array.dtype.kind]
        found.append(module.InferInput(name, list(array.shape), datatype))
        found[-1].set_data_from_numpy(array, **written)
    return found


def bits(model: str, columns: Columns) -> bytes:
    """What onnxruntime predicts."""
    made = {"toy": make_toy, "iris": make_classifier}[model]()
    session = onnxruntime.InferenceSession(made.onnx, providers=["CPUExecutionProvider"])
    predictions: bytes = session.run(None, to_feeds(made.signature.inputs, columns))[0].tobytes()
    return predictions


@pytest.fixture(scope="module", params=["http", "http binary", "grpc"])
def infer(request: pytest.FixtureRequest, servers: dict[str, Server]) -> Any:
    """`infer(model, columns, **how)` through one of the doors; answers the client's result."""
    door = request.param
    module = triton_grpc if door == "grpc" else triton_http

    def run(model: str, columns: Columns, types: dict[str, Any], **how: Any) -> Any:
        server = servers[model]
        client = module.InferenceServerClient(server.grpc if door == "grpc" else server.url.removeprefix("http://"))
        written = {} if door == "grpc" else {"binary_data": door == "http binary"}
        if door == "http":
            names = [o["name"] for o in client.get_model_metadata(model)["outputs"]]
            how["outputs"] = [module.InferRequestedOutput(name, binary_data=False) for name in names]
        try:
            return client.infer(model, inputs(module, columns, types, **written), **how)
        finally:
            client.close()

    return run


def complete(columns: Columns) -> Columns:
    """The rows without a missing value, which JSON and NaN write differently."""
    keep = [all(column[i] is not None for column in columns.values()) for i in range(len(columns["age"]))]
    return {name: [v for v, kept in zip(column, keep, strict=True) if kept] for name, column in columns.items()}


def test_the_doubles_of_onnxruntime_bit_for_bit(infer: Any) -> None:
    rows = complete(ROWS)
    found = infer("toy", rows, TYPES, request_id="r-1")
    assert found.as_numpy("prediction").tobytes() == bits("toy", rows)
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


def toy_request(**changes: float) -> Any:
    """One row in the signature's own datatypes."""
    request = typed_request()
    request.inputs[0].contents.fp64_contents[0] = changes.get("age", 30.0)
    request.inputs[1].datatype = "INT64"
    request.inputs[1].ClearField("contents")
    request.inputs[1].contents.int64_contents.append(2)
    return request


def as_raw(request: Any) -> Any:
    """The same request in raw contents."""
    layouts = {"fp64_contents": "<d", "int64_contents": "<q", "bool_contents": "<?"}
    for tensor in request.inputs:
        ((field, elements),) = tensor.contents.ListFields()
        if field.name == "bytes_contents":
            raw = b"".join(struct.pack("<I", len(element)) + element for element in elements)
        else:
            raw = b"".join(struct.pack(layouts[field.name], element) for element in elements)
        tensor.ClearField("contents")
        request.raw_input_contents.append(raw)
    return request


def test_typed_contents_are_answered_in_typed_contents(call: Call) -> None:
    answer, meta = call(typed_request())
    assert (answer.model_name, answer.model_version, answer.id) == ("toy", "1", "7")
    assert list(answer.outputs[0].contents.fp64_contents) == [0.33458944125318602]
    assert answer.outputs[0].parameters["labels"].string_param == '["yes"]'
    assert not answer.raw_output_contents
    assert dict(meta.trailing_metadata()) == {
        "x-canari-model": "toy",
        "x-canari-version": "1",
        "x-request-id": ANY,
    }


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
    assert (
        "expected the elements of FP64 in fp64_contents, came int64_contents"
        in refused(lambda r: r.inputs[0].contents.int64_contents.append(1))[1]
    )
    assert "output 'x' is unknown" in refused(lambda r: r.outputs.add(name="x"))[1]


@pytest.mark.parametrize(
    ("datatype", "field", "values"),
    [
        ("FP64", "fp64_contents", [30.0, -0.5]),
        ("FP32", "fp32_contents", [30.0, -0.5]),
        ("INT8", "int_contents", [30, -128]),
        ("INT16", "int_contents", [30, -(2**15)]),
        ("INT32", "int_contents", [30, -(2**31)]),
        ("INT64", "int64_contents", [30, -(2**53)]),
        ("UINT8", "uint_contents", [30, 255]),
        ("UINT16", "uint_contents", [30, 2**16 - 1]),
        ("UINT32", "uint_contents", [30, 2**32 - 1]),
        ("UINT64", "uint64_contents", [30, 2**53]),
        ("FP16", None, [30.0, -0.5]),
    ],
)
def test_a_number_in_every_datatype(call: Call, datatype: str, field: str | None, values: list[float]) -> None:
    layout = {"FP64": "d", "FP32": "f", "FP16": "e", "8": "b", "16": "h", "32": "i", "64": "q"}
    letter = layout.get(datatype) or layout[datatype.lstrip("UINT")]
    for value in values:
        want = list(call(toy_request(age=value))[0].outputs[0].contents.fp64_contents)
        if field is not None:
            typed = toy_request()
            typed.inputs[0].datatype = datatype
            typed.inputs[0].ClearField("contents")
            getattr(typed.inputs[0].contents, field).append(value)
            assert list(call(typed)[0].outputs[0].contents.fp64_contents) == want
        raw = as_raw(toy_request())
        raw.inputs[0].datatype = datatype
        raw.raw_input_contents[0] = struct.pack(f"<{letter.upper() if datatype[0] == 'U' else letter}", value)
        assert np.frombuffer(call(raw)[0].raw_output_contents[0]).tolist() == want


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


def test_a_compressed_message_is_read_and_one_that_grows_too_large_is_refused(servers: dict[str, Server]) -> None:
    with grpc.insecure_channel(servers["toy"].grpc, compression=grpc.Compression.Gzip) as channel:
        compressed = Call(channel)
        assert compressed(typed_request())[0].id == "7"
        bomb = typed_request()
        bomb.inputs[3].contents.bytes_contents[0] = b"x" * 64 * 2**20
        with pytest.raises(grpc.RpcError) as error:
            compressed(bomb)
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_metadata_that_is_too_large_is_a_status(call: Call) -> None:
    with pytest.raises(grpc.RpcError) as error:
        call(typed_request(), metadata=(("x-much", "x" * 100_000),))
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_the_callers_request_id_comes_back(call: Call) -> None:
    def answered_as(*given: tuple[str, str]) -> str:
        identity: str = dict(call(typed_request(), metadata=given)[1].trailing_metadata())["x-request-id"]
        return identity

    assert answered_as(("x-request-id", "mine/1")) == "mine/1"
    assert answered_as(("x-request-id", "with a blank")) != "with a blank"
    assert answered_as() != answered_as()


@pytest.mark.parametrize("message", [b"\xff", b"\x0a\xff", b"\x2a\x7f"])
@pytest.mark.parametrize("method", ["ModelInfer", "ModelReady", "ModelMetadata"])
def test_bytes_that_are_no_message_are_the_callers_error(servers: dict[str, Server], method: str, message: bytes) -> None:
    with grpc.insecure_channel(servers["toy"].grpc) as channel, pytest.raises(grpc.RpcError) as error:
        channel.unary_unary(f"/inference.GRPCInferenceService/{method}")(message, timeout=10)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error.value.details() == f"the message is no inference.{method}Request that can be read"


def test_unknown_methods_are_unimplemented_and_not_counted(servers: dict[str, Server]) -> None:
    with grpc.insecure_channel(servers["toy"].grpc) as channel:
        for method in ("/inference.GRPCInferenceService/RepositoryIndex", "/no.Such/Method"):
            with pytest.raises(grpc.RpcError) as error:
                channel.unary_unary(method)(b"", timeout=10)
            assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "RepositoryIndex" not in httpx.get(f"{servers['toy'].url}/metrics").text


def test_metadata_says_what_the_protocol_has_no_other_field_for(servers: dict[str, Server]) -> None:
    with grpc.insecure_channel(servers["iris"].grpc) as channel:
        metadata = channel.unary_unary("/inference.GRPCInferenceService/ModelMetadata")
        answer = open_inference_pb2.ModelMetadataResponse.FromString(
            metadata(open_inference_pb2.ModelMetadataRequest(name="iris").SerializeToString(), timeout=10)
        )
    labels = '["setosa", "versi color", "Ümlaut"]'
    assert dict(answer.properties) == {"proved": "false", "class.labels": labels, "probabilities.labels": labels}


def test_a_deadline_of_tritons_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLEEPING_LOG", str(tmp_path / "log"))
    with (
        running("-m", "tests.serving.sleeping") as server,
        triton_grpc.InferenceServerClient(server.grpc) as client,
        pytest.raises(InferenceServerException) as error,
    ):
        client.infer("toy", inputs(triton_grpc, complete(ROWS)), client_timeout=0.05)  # the model sleeps for longer
    assert error.value.status() == "StatusCode.DEADLINE_EXCEEDED"


def test_asyncio_clients(servers: dict[str, Server]) -> None:
    """Triton's own asyncio clients, over HTTP in binary and JSON and over gRPC."""
    rows = complete(ROWS)

    async def over_http(*, binary: bool) -> Any:
        async with triton_http_aio.InferenceServerClient(servers["toy"].url.removeprefix("http://")) as client:
            assert await client.is_model_ready("toy")
            outputs = [triton_http.InferRequestedOutput("prediction", binary_data=binary)]
            return await client.infer("toy", inputs(triton_http, rows, binary_data=binary), outputs=outputs)

    async def over_grpc() -> Any:
        async with triton_grpc_aio.InferenceServerClient(servers["toy"].grpc) as client:
            assert await client.is_model_ready("toy")
            answers = await asyncio.gather(*[client.infer("toy", inputs(triton_grpc, rows)) for _ in range(50)])
            assert len({answer.as_numpy("prediction").tobytes() for answer in answers}) == 1
            return answers[0]

    async def all_ways() -> list[bytes]:
        answers = [await over_http(binary=True), await over_http(binary=False), await over_grpc()]
        return [answer.as_numpy("prediction").tobytes() for answer in answers]

    assert asyncio.run(all_ways()) == [bits("toy", rows)] * 3


def test_reflection_describes_the_services(servers: dict[str, Server]) -> None:
    with grpc.insecure_channel(servers["toy"].grpc) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        served = {"inference.GRPCInferenceService", "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
        assert set(database.get_services()) == served
        pool = DescriptorPool(database)
        service = pool.FindServiceByName("inference.GRPCInferenceService")
        assert {method.name for method in service.methods} >= {"ModelInfer", "ModelMetadata", "ServerLive"}
        request = GetMessageClass(pool.FindMessageTypeByName("inference.ModelReadyRequest"))(name="toy")
        answer: Any = GetMessageClass(service.methods_by_name["ModelReady"].output_type)
        ready = channel.unary_unary("/inference.GRPCInferenceService/ModelReady")
        assert answer.FromString(ready(request.SerializeToString(), timeout=10)).ready
        # The stable version has other names for the same messages.
        stable = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        listing = reflection_pb2.ServerReflectionRequest(list_services="*").SerializeToString()
        (listed,) = stable(iter([listing]), timeout=10)
        found = reflection_pb2.ServerReflectionResponse.FromString(listed).list_services_response.service
        assert {service.name for service in found} == served


def test_health_is_watched_until_the_server_goes(tmp_path_factory: pytest.TempPathFactory) -> None:
    with bentoml_home(tmp_path_factory.mktemp("store") / "bentoml"):
        model_store.put(make_toy())
        with serving("toy:1") as server, grpc.insecure_channel(server.grpc) as channel:
            watched = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=30)
            assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
            server.process.terminate()
            assert next(watched).status == health_pb2.HealthCheckResponse.NOT_SERVING
            watched.cancel()
            assert server.process.wait(30) == 0


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
