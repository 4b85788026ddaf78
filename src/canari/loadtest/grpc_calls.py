"""The Open Inference Protocol's calls over gRPC, as bytes: whoever sends thousands of them makes each message once."""

from collections.abc import Mapping, Sequence
from typing import Any

import grpc  # type: ignore[import-untyped]
import numpy as np

from canari.errors import CanariError
from canari.loadtest.target import Address, Target, Tensor
from canari.model import Value
from canari.serving.oip import open_inference_pb2 as pb
from canari.serving.tensors import RAW_TYPES, raw_bytes

SYNTHETIC = (("x-canari-synthetic", "1"),)

_SERVICE = "/inference.GRPCInferenceService"
_LARGEST = 64 * 2**20
_OPTIONS = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", _LARGEST)]


def channel(to: Address) -> Any:
    """A connection that calls share."""
    if to.tls:
        return grpc.secure_channel(to.host_and_port, grpc.ssl_channel_credentials(), _OPTIONS)
    return grpc.insecure_channel(to.host_and_port, _OPTIONS)


def infer(to: Any) -> Any:
    """The call ModelInfer of a channel: bytes in, bytes out."""
    return to.unary_unary(f"{_SERVICE}/ModelInfer")


def metadata(to: Address, model: str, timeout: float) -> pb.ModelMetadataResponse:
    """What a server says of a model; raises `CanariError` where it says nothing."""
    with channel(to) as connected:
        ask = connected.unary_unary(
            f"{_SERVICE}/ModelMetadata", pb.ModelMetadataRequest.SerializeToString, pb.ModelMetadataResponse.FromString
        )
        try:
            answer: pb.ModelMetadataResponse = ask(
                pb.ModelMetadataRequest(name=model), timeout=timeout, metadata=SYNTHETIC, wait_for_ready=True
            )
        except grpc.RpcError as error:
            raise CanariError(f"{to.host_and_port}: {said(error)}") from None
    return answer


def said(error: Any) -> str:
    """A failed call in a few words."""
    details = " ".join((error.details() or "").split())[:200]
    return f"gRPC {error.code().name}{f': {details}' if details else ''}"


def check_answer(body: bytes, rows: int) -> pb.ModelInferResponse:
    """The answer to `rows` rows; raises ValueError, saying what came, where it is none."""
    try:
        answer = pb.ModelInferResponse.FromString(body)
    except Exception as error:  # noqa: BLE001 - protobuf's own error has no public name in all its releases
        raise ValueError(f"the answer is no ModelInferResponse: {error}") from None
    if not answer.outputs:
        raise ValueError("the answer has no output")
    for output in answer.outputs:
        if not output.shape or output.shape[0] != rows:
            raise ValueError(f"the answer's output {output.name[:60]!r} has shape {list(output.shape)} for {rows} rows")
    return answer


def infer_request(target: Target, rows: Sequence[Mapping[str, Value]]) -> bytes:
    """A ModelInferRequest in raw contents, which all servers of the protocol read."""
    request = pb.ModelInferRequest(model_name=target.model)
    for tensor in target.tensors:
        datatype, raw = _raw(tensor, [row[column] for row in rows for column in tensor.columns])
        shape = [len(rows)] if tensor.flat else [len(rows), len(tensor.columns)]
        request.inputs.add(name=tensor.name, datatype=datatype, shape=shape)
        request.raw_input_contents.append(raw)
    return request.SerializeToString()


def _raw(tensor: Tensor, values: Sequence[Any]) -> tuple[str, bytes]:
    """The elements of a tensor and their datatype: a whole number that is missing makes it floating-point, which has NaN."""
    if tensor.datatype == "BYTES":
        return "BYTES", raw_bytes([("" if value is None else value).encode() for value in values])
    datatype = tensor.datatype
    if None in values:
        datatype = datatype if datatype.startswith("FP") else "FP64"
        values = [np.nan if value is None else value for value in values]
    return datatype, np.asarray(values, RAW_TYPES[datatype]).tobytes()
