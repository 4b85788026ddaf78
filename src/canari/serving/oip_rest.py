"""The Open Inference Protocol v2 over HTTP, with the binary tensor extension that Triton's clients use."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, TypeAlias

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from canari import __version__
from canari.errors import InputError
from canari.runtime import Runtime
from canari.runtime.feeds import came
from canari.serving import tensors
from canari.serving.http import UNREADABLE, Answer, Handler, Headers, HttpError, Request, check_content, decode_json
from canari.serving.oip_reply import JSON_LENGTH, Reply
from canari.serving.oip_row import JsonRows, RawRows, RawTensor, Wanted
from canari.serving.settings import Settings
from canari.serving.strict_json import refuse_duplicate_keys
from canari.serving.tensors import Tensor

_Parameters: TypeAlias = dict[str, str | int | float | bool]

EXTENSIONS = ("binary_tensor_data",)

_MAX_REPLIES = 256


class _InputTensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | UnsetType | None = UNSET
    parameters: _Parameters | UnsetType = UNSET


class _RequestedOutput(msgspec.Struct):
    name: str
    parameters: _Parameters | UnsetType = UNSET


class _InferRequest(msgspec.Struct):
    inputs: list[_InputTensor]
    id: str | UnsetType | None = UNSET
    parameters: _Parameters | UnsetType = UNSET
    outputs: list[_RequestedOutput] | UnsetType = UNSET


class OipRest:
    """The protocol's handlers for one model; `bento` is the tag of the bento that it is served out of."""

    def __init__(self, runtime: Runtime, bento: str | None, settings: Settings, is_ready: Callable[[], bool]) -> None:
        self._runtime = runtime
        self._signature = runtime.signature
        self._bento = bento
        self._max_rows = settings.max_rows
        self._is_ready = is_ready
        self._json_rows = JsonRows(runtime.signature)
        self._raw_rows = RawRows(runtime.signature)
        self._replies: dict[Wanted, Reply] = {}

    def routes(self) -> dict[str, tuple[str, str, Handler]]:
        """By path: the route's template, the method and the handler."""
        routes: dict[str, tuple[str, str, Handler]] = {
            **dict.fromkeys(("/v2", "/v2/"), ("/v2", "GET", self._server_metadata)),
            "/v2/health/live": ("/v2/health/live", "GET", lambda _request: Answer(b'{"live":true}')),
            "/v2/health/ready": ("/v2/health/ready", "GET", self._ready),
        }
        model = f"/v2/models/{self._signature.name}"
        for path, template in (
            (model, "/v2/models/{name}"),
            (f"{model}/versions/{self._signature.version}", "/v2/models/{name}/versions/{version}"),
        ):
            routes[path] = (template, "GET", self._model_metadata)
            routes[f"{path}/ready"] = (f"{template}/ready", "GET", self._model_ready)
            routes[f"{path}/infer"] = (f"{template}/infer", "POST", self._infer)
        return routes

    def _server_metadata(self, _request: Request) -> Answer:
        return _json({"name": "canari", "version": __version__, "extensions": EXTENSIONS})

    def _ready(self, _request: Request) -> Answer:
        ready = self._is_ready()
        return _json({"ready": ready}, 200 if ready else 503)

    def _model_ready(self, _request: Request) -> Answer:
        ready = self._is_ready()
        return _json({"name": self._signature.name, "ready": ready}, 200 if ready else 503)

    def _model_metadata(self, _request: Request) -> Answer:
        signature = self._signature
        return _json(
            {
                "name": signature.name,
                "versions": [signature.version],
                "platform": tensors.platform(signature),
                "inputs": [{"name": c.name, "datatype": c.datatype, "shape": [-1, 1]} for c in signature.inputs],
                "outputs": [
                    {"name": o.name, "datatype": o.datatype, "shape": [-1, o.width], **_labels(tensors.labels(o))}
                    for o in signature.outputs
                ],
                "parameters": {"proved": signature.proved} | ({} if self._bento is None else {"bento": self._bento}),
            }
        )

    def _infer(self, request: Request) -> Answer:
        check_content(request.headers, b"application/json", b"application/octet-stream")
        text, raw = _split(request.body, request.headers)
        row = self._raw_rows.read(text, raw) if raw else self._json_rows.read(text)
        try:
            if row is not None:
                return self._reply(row.wanted).row(self._runtime.predict_row(row.values), row.identifier)
            if request.headers.get(JSON_LENGTH) == b"0":
                return self._infer_raw(raw)
            return self._infer_any(text, raw)
        except InputError as error:
            raise HttpError(400, str(error)) from None

    def _infer_any(self, text: bytes, raw: bytes) -> Answer:
        request = _decode(text)
        wanted = _wanted(request)
        reply = self._reply(wanted)
        found = _tensors(request, raw)
        predictions = self._runtime.predict(tensors.feeds(self._signature, found, self._max_rows))
        identifier = None if request.id is UNSET else request.id
        if raw and found[0].shape[0] == 1 and (described := self._raw_row(request, raw)) is not None:
            self._raw_rows.learn(text, described, wanted, identifier)
        return reply.rows(predictions, identifier)

    def _infer_raw(self, raw: bytes) -> Answer:
        """A body without JSON, the elements of the one tensor that a model of one input takes."""
        column, *others = self._signature.inputs
        if others:
            raise InputError(
                f"Inference-Header-Content-Length is 0, which only a model of one input takes: this one has {1 + len(others)}"
            )
        # A text is not preceded by its length here.
        data = [raw] if column.kind == "category" else tensors.from_raw(column.name, column.datatype, raw)
        tensor = Tensor(column.name, column.datatype, [len(data)], data)
        predictions = self._runtime.predict(tensors.feeds(self._signature, [tensor], self._max_rows))
        return self._reply(Wanted(binary=True)).rows(predictions, None)

    def _reply(self, wanted: Wanted) -> Reply:
        reply = self._replies.get(wanted)
        if reply is None:
            outputs = tensors.wanted_outputs(self._signature, [name for name, _ in wanted.outputs])
            asked = dict(wanted.outputs)
            binary = [wanted.binary if asked.get(output.name) is None else asked[output.name] is True for output in outputs]
            if len(self._replies) >= _MAX_REPLIES:
                self._replies.clear()
            reply = self._replies[wanted] = Reply(self._signature, self._bento, outputs, binary)
        return reply

    def _raw_row(self, request: _InferRequest, raw: bytes) -> list[RawTensor] | None:
        """Where the values of a row lie in `raw`, if all of them do; the request was answered, so all else is right."""
        places = {column.name: index for index, column in enumerate(self._signature.inputs)}
        if any(_size(tensor) is None for tensor in request.inputs):
            return None
        if request.inputs[0].name in places:
            return [RawTensor(places[t.name], t.datatype, _size(t) or 0) for t in request.inputs]
        (matrix,) = request.inputs
        size = len(raw) // len(places)
        return [RawTensor(column, matrix.datatype, size) for column in range(len(places))]


def _labels(text: str | None) -> dict[str, Any]:
    return {"parameters": {"labels": text}} if text else {}


def _split(body: bytes, headers: Headers) -> tuple[bytes, bytes]:
    """The JSON and the raw tensors after it."""
    length = headers.get(JSON_LENGTH)
    if length is None:
        return body, b""
    if not length.isdigit() or len(length) > 20 or int(length) > len(body):
        found = length[:20].decode("latin-1")
        raise HttpError(
            400, f"Inference-Header-Content-Length: expected a number of at most the body's {len(body)} bytes, came {found!r}"
        )
    return body[: int(length)], body[int(length) :]


def _decode(text: bytes) -> _InferRequest:
    try:
        request = msgspec.json.decode(text, type=_InferRequest)
    except UNREADABLE as error:
        decode_json(text)  # what is no JSON at all is said so
        raise HttpError(400, f"no inference request: {error}") from None
    outputs = request.outputs or []
    refuse_duplicate_keys(text, _keys(request) + sum(map(_keys, request.inputs)) + sum(map(_keys, outputs)))
    return request


def _keys(described: _InferRequest | _InputTensor | _RequestedOutput) -> int:
    """How many keys an object of a request has, with those of its parameters."""
    return sum(getattr(described, f) is not UNSET for f in described.__struct_fields__) + len(described.parameters or ())


def _wanted(request: _InferRequest) -> Wanted:
    outputs = []
    for output in request.outputs or ():
        for name in output.parameters or ():
            if name == "classification" or name.startswith("shared_memory"):
                raise InputError(f"output {output.name[:60]!r}: the parameter {name[:60]!r} is not supported here")
        outputs.append((output.name, _flag(output.parameters, "binary_data", f"output {output.name[:60]!r}")))
    return Wanted(tuple(outputs), _flag(request.parameters, "binary_data_output", "the request") is True)


def _flag(parameters: _Parameters | UnsetType, name: str, where: str) -> bool | None:
    value = (parameters or {}).get(name)
    if value is not None and not isinstance(value, bool):
        raise InputError(f"{where}: the parameter {name} is {came(value)}, expected true or false")
    return value


def _size(tensor: _InputTensor) -> Any:
    """How many of the raw bytes are the tensor's; None where it has none."""
    return (tensor.parameters or {}).get("binary_data_size")


def _tensors(request: _InferRequest, raw: bytes) -> list[Tensor]:
    """The request's tensors, those in `raw` in the order in which they lie there."""
    found, at = [], 0
    for tensor in request.inputs:
        tensors.check_datatype(tensor.name, tensor.datatype)
        name, size = tensor.name[:60], _size(tensor)
        data: Sequence[Any] | np.ndarray[Any, Any]
        if size is None:
            if "shared_memory_region" in (tensor.parameters or ()):
                raise InputError(f"tensor {name!r}: shared memory is not supported here; expected data or binary_data_size")
            if not isinstance(tensor.data, list):
                raise InputError(f"tensor {name!r} has no data")
            data = _flat(tensor.name, tensor.shape, tensor.data)
        else:
            if isinstance(tensor.data, list):
                raise InputError(f"tensor {name!r} has data and binary_data_size: expected one of them")
            if type(size) is not int or not 0 <= size <= len(raw) - at:
                raise InputError(f"tensor {name!r}: binary_data_size is {came(size)}, there are {len(raw) - at} bytes left")
            data = tensors.from_raw(tensor.name, tensor.datatype, raw[at : at + size])
            at += size
        found.append(Tensor(tensor.name, tensor.datatype, tensor.shape, data))
    if at != len(raw):
        raise InputError(f"{len(raw) - at} bytes follow the JSON that belong to no tensor")
    return found


def _flat(name: str, shape: Sequence[int], data: list[Any]) -> list[Any]:
    """The elements of data that may be nested as its shape is."""
    if not data or type(data[0]) is not list:
        return data  # a list further on is no value of any column
    if len(shape) == 2 and len(data) == shape[0] and all(type(row) is list and len(row) == shape[1] for row in data):
        return list(chain.from_iterable(data))
    nested = f" or one list a row with {came(shape[1])} element{'s'[: shape[1] != 1]} each" if len(shape) == 2 else ""
    raise InputError(f"tensor {name[:60]!r}: expected flat data{nested}")


def _json(content: object, status: int = 200) -> Answer:
    return Answer(msgspec.json.encode(content), status)
