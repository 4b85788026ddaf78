"""gRPC calls that are wrong in one way or another, each made from nothing but its number."""

import struct
from collections.abc import Callable
from random import Random
from typing import Any, Literal, NamedTuple, TypeAlias

from canari.model import Model
from canari.serving.oip import open_inference_pb2 as pb
from proofs.mutations import MARKER, MARKER_NUMBER, changed_bytes
from proofs.servers import check_rows
from proofs.tensor_cases import raw_element

_SERVICE = "/inference.GRPCInferenceService"
_TOO_LARGE = 8 * 2**20 + 1
_CONTENTS = {"FP64": "fp64_contents", "INT64": "int64_contents", "BOOL": "bool_contents", "BYTES": "bytes_contents"}


_NOTHING = object()


class GrpcCase(NamedTuple):
    """One call, with the request's bytes."""

    what: str
    method: str
    request: bytes
    metadata: tuple[tuple[str, str], ...]
    expected: Literal["refusal", "answer"] = "refusal"
    deadline: float = 20.0  # seconds
    compressed: bool = False


_Wrong: TypeAlias = tuple[str, bytes]


class GrpcCases:
    """The calls to one model."""

    def __init__(self, model: Model, seed: int) -> None:
        self._signature = model.signature
        self._seed = seed
        self._rows = check_rows(model)

    def __getitem__(self, number: int) -> GrpcCase:
        """The call of this number: the same each time."""
        rng = Random(f"{self._seed} {number} grpc")
        marker = MARKER % number
        metadata = ((rng.choice(["authorization", "x-api-key", "cookie"]), marker),)
        chance = rng.random()
        if chance < 0.001:
            what = rng.choice(["a message that is too large", "a compressed message that is too large"])
            return GrpcCase(what, f"{_SERVICE}/ModelInfer", bytes(_TOO_LARGE), metadata, compressed="compressed" in what)
        if chance < 0.2:
            what, request = self._broken(rng, marker)
            return GrpcCase(what, f"{_SERVICE}/ModelInfer", request, metadata, "answer")
        if chance < 0.3:
            return self._call(rng, marker, metadata)
        what, request = self._infer(rng, marker)
        return GrpcCase(what, f"{_SERVICE}/ModelInfer", request, metadata)

    def _call(self, rng: Random, marker: str, metadata: tuple[tuple[str, str], ...]) -> GrpcCase:
        valid = self._valid(rng, raw=False).SerializeToString()
        name = self._signature.name
        model = pb.ModelReadyRequest(name=rng.choice([marker, name + "0", ""]), version=marker).SerializeToString()
        version = pb.ModelReadyRequest(name=name, version=marker).SerializeToString()
        infer = f"{_SERVICE}/ModelInfer"
        return rng.choice(
            [
                GrpcCase("an unknown method", f"{_SERVICE}/{marker}", valid, metadata),
                GrpcCase("an unknown service", f"/{marker}.Service/ModelInfer", valid, metadata),
                GrpcCase("ready: an unknown model", f"{_SERVICE}/ModelReady", model, metadata),
                GrpcCase("metadata: an unknown model", f"{_SERVICE}/ModelMetadata", model, metadata),
                GrpcCase("ready: an unknown version", f"{_SERVICE}/ModelReady", version, metadata),
                GrpcCase("a request of another method", f"{_SERVICE}/ServerLive", valid, metadata, "answer"),
                GrpcCase("a short deadline", infer, valid, metadata, "answer", deadline=0.0005),
                GrpcCase("a bad request id", infer, valid, (*metadata, ("x-request-id", f"my {marker}")), "answer"),
                GrpcCase("a bad traceparent", infer, valid, (*metadata, ("traceparent", marker)), "answer"),
                GrpcCase("much metadata", infer, valid, tuple((f"x-{i}", marker) for i in range(100)), "answer"),
            ]
        )  # fmt: skip

    def _broken(self, rng: Random, marker: str) -> _Wrong:
        request = self._valid(rng, raw=rng.random() < 0.5).SerializeToString()
        match rng.randrange(5):
            case 0:
                return "no protobuf", rng.randbytes(rng.randrange(1, 300))
            case 1:
                return "nested groups", b"\x0b" * rng.choice([10, 200, 50_000])
            case 2:
                return "unknown fields", request + b"\xfa\x7f" + bytes([len(marker)]) + marker.encode()
            case 3:
                return "a text that is no UTF-8", request + b"\x1a\x04\xff\xfe" + marker.encode()[:2]
            case _:
                what, request = changed_bytes(rng, request)
                return f"protobuf: {what}", request

    def _infer(self, rng: Random, marker: str) -> _Wrong:
        raw = rng.random() < 0.5
        request = self._valid(rng, raw=raw)
        index = rng.randrange(len(request.inputs))
        tensor = request.inputs[index]

        def drop() -> None:
            del request.inputs[index]
            if raw:
                del request.raw_input_contents[index]

        def repeat() -> None:
            request.inputs.append(tensor)
            if raw:
                request.raw_input_contents.append(request.raw_input_contents[index])

        def empty() -> None:
            request.ClearField("inputs")
            request.ClearField("raw_input_contents")

        def both() -> None:
            request.inputs[index].contents.fp64_contents.append(MARKER_NUMBER)
            request.raw_input_contents.append(marker.encode())

        def set_shape() -> None:
            tensor.shape[:] = rng.choice([[], [0], [-1], [-1, 1], [2], [1, 2], [1, 1, 1], [2**62], [2**62, 4], [MARKER_NUMBER]])

        def set_value() -> None:
            if raw:
                request.raw_input_contents[index] = _wrong_element(rng, tensor.datatype, marker)
            else:
                _set(tensor, _unfit(rng, tensor.datatype, marker))

        def other_length() -> None:
            if raw:
                cut = request.raw_input_contents[index]
                request.raw_input_contents[index] = rng.choice([cut[:-1], cut + b"\x00", cut * 2])
            else:
                field = getattr(tensor.contents, _CONTENTS[tensor.datatype])
                field.extend(list(field) * 2)

        wrongs: list[tuple[str, Callable[[], Any]]] = [
            ("an unknown model", lambda: setattr(request, "model_name", rng.choice([marker, "", self._signature.name * 20]))),
            ("an unknown version", lambda: setattr(request, "model_version", rng.choice([marker, "0", "-1"]))),
            ("a tensor is missing", drop),
            ("a tensor comes twice", repeat),
            ("raw and typed contents", both),
            ("an unknown tensor", lambda: setattr(tensor, "name", marker)),
            ("a wrong datatype", lambda: setattr(tensor, "datatype", rng.choice([marker, "", "BF16", "fp64", "STRING"]))),
            ("a wrong shape", set_shape),
            ("a wrong element", set_value),
            ("a wrong number of elements", other_length),
            ("an unknown output", lambda: request.outputs.add(name=marker)),
            ("an output twice", lambda: [request.outputs.add(name=self._signature.outputs[0].name) for _ in "12"]),
            ("no tensors", empty),
            ("too many raw contents", lambda: request.raw_input_contents.extend([b"", marker.encode()])),
        ]
        what, change = rng.choice(wrongs)
        if rng.random() < 0.3:
            request.id = marker
        change()
        return f"{'raw' if raw else 'typed'}: {what}", request.SerializeToString()

    def _valid(self, rng: Random, *, raw: bool) -> pb.ModelInferRequest:
        row = rng.choice(self._rows)
        request = pb.ModelInferRequest(model_name=self._signature.name, id=str(rng.randrange(1000)))
        for column in self._signature.inputs:
            value = row[column.name]
            datatype = "FP64" if column.kind in ("number", "integer") and value is None else column.datatype
            tensor = request.inputs.add(name=column.name, datatype=datatype, shape=[1, 1])
            if raw:
                request.raw_input_contents.append(raw_element(column, datatype, value))
            else:
                missing = float("nan") if datatype == "FP64" else b""
                _set(tensor, missing if value is None else value.encode() if isinstance(value, str) else value)
        return request


def _set(tensor: pb.ModelInferRequest.InferInputTensor, value: Any) -> None:
    tensor.ClearField("contents")
    if value is not _NOTHING:
        getattr(tensor.contents, _CONTENTS[tensor.datatype]).append(value)


def _unfit(rng: Random, datatype: str, marker: str) -> Any:
    """A value that typed contents can hold, and that its column does not take."""
    match datatype:
        case "FP64":
            return float("inf")
        case "INT64":
            return 2**62 + MARKER_NUMBER
        case "BYTES":
            return rng.choice([marker.encode(), b"\xff\xfe", b"\x1a"])
    return _NOTHING


def _wrong_element(rng: Random, datatype: str, marker: str) -> bytes:
    """A raw element that its column does not take."""
    match datatype:
        case "BYTES":
            mark = marker.encode()
            return rng.choice([b"\xff\xff\xff\x7f" + mark, b"\x02\x00\x00\x00\xff\xfe", b"\x0c\x00\x00\x00" + mark])
        case "INT64":
            return struct.pack("<q", 2**62 + MARKER_NUMBER)
        case "FP64":
            return struct.pack("<d", rng.choice([float("inf"), float("-inf")]))
    return marker.encode()
