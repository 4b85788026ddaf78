"""The rows that the benchmarks send, in every form that canari takes: of the diabetes example, whose inputs are all numbers."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, islice
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pyarrow as pa
import pyarrow.parquet
from load import Request
from servers import ROOT
from tritonclient import http as triton

from canari.serving.oip import open_inference_pb2 as pb

Row = dict[str, float | int]

ROW: Row = {"npreg": 8, "glu": 131, "bp": 67, "skin": 35, "bmi": 43.25, "ped": 1.252, "age": 51}


def many(n: int) -> list[Row]:
    """The example's test rows, over and over."""
    with (ROOT / "models" / "diabetes" / "data" / "test.csv").open() as lines:
        rows = [{name: type(ROW[name])(row[name]) for name in ROW} for row in csv.DictReader(lines)]
    return list(islice(cycle(rows), n))


def feeds(rows: Sequence[Row]) -> dict[str, npt.NDArray[np.float64]]:
    """What the graph takes: float64 [n, 1] a column."""
    return {name: np.array([[row[name]] for row in rows], np.float64) for name in ROW}


def bare(onnx: bytes) -> onnxruntime.InferenceSession:
    """The graph in onnxruntime and nothing else, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])


def records(rows: Sequence[Row]) -> Request:
    """An array of objects."""
    return Request("/predict", json.dumps(rows).encode())


def columns(rows: Sequence[Row]) -> Request:
    """One object of arrays."""
    return Request("/predict", json.dumps(_columns(rows)).encode())


def ndjson(rows: Sequence[Row]) -> Request:
    """One object a line."""
    return Request("/predict", b"".join(json.dumps(row).encode() + b"\n" for row in rows), _type("application/x-ndjson"))


def arrow(rows: Sequence[Row]) -> Request:
    """An Arrow IPC stream."""
    table, body = pa.table(_columns(rows)), io.BytesIO()
    with pa.ipc.new_stream(body, table.schema) as stream:
        stream.write_table(table)
    return Request("/predict", body.getvalue(), _type("application/vnd.apache.arrow.stream"))


def parquet(rows: Sequence[Row]) -> Request:
    """A Parquet file."""
    body = io.BytesIO()
    pa.parquet.write_table(pa.table(_columns(rows)), body)
    return Request("/predict", body.getvalue(), _type("application/vnd.apache.parquet"))


def oip_json(rows: Sequence[Row], model: str = "diabetes") -> Request:
    """Triton's client's request with its data in JSON, and the answer's."""
    return _infer(model, _tensors(rows, binary=False), binary=False)


def oip_binary(rows: Sequence[Row], model: str = "diabetes") -> Request:
    """Triton's client's request with binary tensors both ways, as it makes them if not told otherwise."""
    return _infer(model, _tensors(rows, binary=True), binary=True)


def oip_matrix(rows: Sequence[Row], model: str = "diabetes") -> Request:
    """All columns as one binary [n, k] tensor."""
    tensor = triton.InferInput("input", [len(rows), len(ROW)], "FP64")
    tensor.set_data_from_numpy(np.array([list(row.values()) for row in rows], np.float64))
    return _infer(model, [tensor], binary=True)


def grpc_raw(rows: Sequence[Row], model: str = "diabetes") -> bytes:
    """A serialized ModelInferRequest with raw contents, as Triton's client makes it."""
    request = _message(rows, model)
    request.raw_input_contents.extend(np.array(c, _dtype(c)).tobytes() for c in _columns(rows).values())
    return request.SerializeToString()


def grpc_typed(rows: Sequence[Row], model: str = "diabetes") -> bytes:
    """A serialized ModelInferRequest with typed contents."""
    request = _message(rows, model)
    for tensor, column in zip(request.inputs, _columns(rows).values(), strict=True):
        if tensor.datatype == "INT64":
            tensor.contents.int64_contents.extend(map(int, column))
        else:
            tensor.contents.fp64_contents.extend(column)
    return request.SerializeToString()


# Every form of many rows.
FORMATS: Mapping[str, Callable[[Sequence[Row]], Request]] = {
    "JSON records": records,
    "JSON columns": columns,
    "NDJSON": ndjson,
    "Arrow IPC": arrow,
    "Parquet": parquet,
    "OIP JSON": oip_json,
    "OIP binary": oip_binary,
    "OIP binary, one [n, k] tensor": oip_matrix,
}


def _type(content_type: str) -> dict[str, str]:
    return {"content-type": content_type}


def _columns(rows: Sequence[Row]) -> dict[str, list[float | int]]:
    return {name: [row[name] for row in rows] for name in ROW}


def _dtype(column: Sequence[float | int]) -> type[Any]:
    return np.int64 if isinstance(column[0], int) else np.float64


def _tensors(rows: Sequence[Row], binary: bool) -> list[triton.InferInput]:
    tensors = []
    for name, column in _columns(rows).items():
        array = np.array(column, _dtype(column)).reshape(-1, 1)
        tensor = triton.InferInput(name, list(array.shape), "INT64" if array.dtype == np.int64 else "FP64")
        tensors.append(tensor.set_data_from_numpy(array, binary_data=binary))
    return tensors


def _infer(model: str, tensors: list[triton.InferInput], binary: bool) -> Request:
    outputs = [triton.InferRequestedOutput("prediction", binary_data=binary)]
    body, json_length = triton.InferenceServerClient.generate_request_body(tensors, outputs=outputs)
    headers = _type("application/octet-stream" if json_length else "application/json")
    if json_length:
        headers["inference-header-content-length"] = str(json_length)
    return Request(f"/v2/models/{model}/infer", bytes(body), headers)


def _message(rows: Sequence[Row], model: str) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name=model)
    for name, column in _columns(rows).items():
        datatype = "INT64" if isinstance(column[0], int) else "FP64"
        request.inputs.add(name=name, datatype=datatype, shape=[len(rows), 1])
    return request
