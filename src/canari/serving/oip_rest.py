"""The Open Inference Protocol v2 over HTTP, with the binary tensor extension that Triton's clients use."""

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from canari import __version__
from canari.errors import InputError
from canari.runtime import Runtime
from canari.runtime.feeds import came
from canari.serving import tensors
from canari.serving.http import UNREADABLE, Answer, Headers, HttpError, check_content, decode_json
from canari.serving.rows import finite
from canari.serving.tensors import OutputTensor, Tensor

_Parameters: TypeAlias = dict[str, Any]
_Handler: TypeAlias = Callable[[bytes, Headers], Answer]

EXTENSIONS = ("binary_tensor_data",)

# How many bytes of the body are JSON; the rest is raw tensors.
_JSON_LENGTH = b"inference-header-content-length"


class _InputTensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: _Parameters = {}


class _RequestedOutput(msgspec.Struct):
    name: str
    parameters: _Parameters = {}


class _InferRequest(msgspec.Struct):
    inputs: list[_InputTensor]
    id: str | None = None
    parameters: _Parameters = {}
    outputs: list[_RequestedOutput] = []


class OipRest:
    """The protocol's handlers for one model."""

    def __init__(self, runtime: Runtime, is_ready: Callable[[], bool]) -> None:
        self._runtime = runtime
        self._signature = runtime.signature
        self._is_ready = is_ready

    def routes(self) -> dict[str, tuple[str, str, _Handler]]:
        """By path: the route's template, the method and the handler."""
        routes: dict[str, tuple[str, str, _Handler]] = {
            "/v2": ("/v2", "GET", self._server_metadata),
            "/v2/health/live": ("/v2/health/live", "GET", lambda _body, _headers: Answer(b'{"live":true}')),
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

    def _server_metadata(self, _body: bytes, _headers: Headers) -> Answer:
        return _json({"name": "canari", "version": __version__, "extensions": EXTENSIONS})

    def _ready(self, _body: bytes, _headers: Headers) -> Answer:
        ready = self._is_ready()
        return _json({"ready": ready}, 200 if ready else 503)

    def _model_ready(self, _body: bytes, _headers: Headers) -> Answer:
        ready = self._is_ready()
        return _json({"name": self._signature.name, "ready": ready}, 200 if ready else 503)

    def _model_metadata(self, _body: bytes, _headers: Headers) -> Answer:
        signature = self._signature
        return _json(
            {
                "name": signature.name,
                "versions": [signature.version],
                "platform": tensors.platform(signature),
                "inputs": [{"name": c.name, "datatype": c.datatype, "shape": [-1, 1]} for c in signature.inputs],
                "outputs": [
                    {"name": o.name, "datatype": o.datatype, "shape": [-1, o.width], **_labels(o)} for o in signature.outputs
                ],
                "parameters": {"proved": signature.proved},
            }
        )

    def _infer(self, body: bytes, headers: Headers) -> Answer:
        check_content(headers, b"application/json", b"application/octet-stream")
        text, raw = _split(body, headers)
        request = _decode(text)
        try:
            feeds = tensors.feeds(self._signature, _tensors(request, raw))
            wanted = tensors.wanted_outputs(self._signature, [output.name for output in request.outputs])
        except InputError as error:
            raise HttpError(400, str(error)) from None
        predictions = self._runtime.predict(feeds)
        return self._respond(request, [OutputTensor(output, predictions[output.name]) for output in wanted])

    def _respond(self, request: _InferRequest, outputs: list[OutputTensor]) -> Answer:
        all_binary = request.parameters.get("binary_data_output") is True
        binary = {o.name for o in request.outputs if o.parameters.get("binary_data", all_binary) is True}
        if not request.outputs and all_binary:
            binary = {tensor.output.name for tensor in outputs}
        described, buffers = [], []
        for tensor in outputs:
            output = tensor.output
            entry: dict[str, Any] = {"name": output.name, "datatype": output.datatype, "shape": tensor.shape, **_labels(output)}
            if output.name in binary:
                buffers.append(tensor.raw())
                entry["parameters"] = {**entry.get("parameters", {}), "binary_data_size": len(buffers[-1])}
            else:
                values = tensor.array.ravel().tolist()
                entry["data"] = values if output.kind == "class" else finite(values)
            described.append(entry)
        text = msgspec.json.encode(
            {
                "model_name": self._signature.name,
                "model_version": self._signature.version,
                **({} if request.id is None else {"id": request.id}),
                "outputs": described,
            }
        )
        rows = outputs[0].shape[0]
        if not buffers:
            return Answer(text, rows=rows)
        return Answer(
            b"".join([text, *buffers]),
            content_type=b"application/octet-stream",
            headers=((_JSON_LENGTH, b"%d" % len(text)),),
            rows=rows,
        )


def _labels(output: Any) -> dict[str, Any]:
    labels = tensors.labels(output)
    return {"parameters": {"labels": labels}} if labels else {}


def _split(body: bytes, headers: Headers) -> tuple[bytes, bytes]:
    length = headers.get(_JSON_LENGTH)
    if length is None:
        return body, b""
    if not length.isdigit() or int(length) > len(body):
        raise HttpError(400, f"Inference-Header-Content-Length: expected at most the body's {len(body)} bytes")
    return body[: int(length)], body[int(length) :]


def _decode(text: bytes) -> _InferRequest:
    try:
        return msgspec.json.decode(text, type=_InferRequest)
    except UNREADABLE as error:
        decode_json(text)  # what is no JSON at all is said so
        raise HttpError(400, f"no inference request: {error}") from None


def _tensors(request: _InferRequest, raw: bytes) -> list[Tensor]:
    """The request's tensors, those in `raw` in the order in which they lie there."""
    found, at = [], 0
    for tensor in request.inputs:
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            if tensor.data is None:
                raise InputError(f"tensor {tensor.name[:60]!r} has no data")
            data = _flat(tensor.name, tensor.data)
        else:
            if type(size) is not int or not 0 <= size <= len(raw) - at:
                raise InputError(
                    f"tensor {tensor.name[:60]!r}: binary_data_size is {came(size)}, there are {len(raw) - at} bytes left"
                )
            data = tensors.from_raw(tensor.name, tensor.datatype, raw[at : at + size])
            at += size
        found.append(Tensor(tensor.name, tensor.datatype, tensor.shape, data))
    if at != len(raw):
        raise InputError(f"{len(raw) - at} bytes follow the JSON that belong to no tensor")
    return found


def _flat(name: str, data: list[Any]) -> list[Any]:
    """The elements of [n, 1] data that may be nested."""
    if not any(isinstance(element, list) for element in data):
        return data
    if all(isinstance(element, list) and len(element) == 1 for element in data):
        return [element[0] for element in data]
    raise InputError(f"tensor {name[:60]!r}: expected flat data or one list a row with one element each")


def _json(content: object, status: int = 200) -> Answer:
    return Answer(msgspec.json.encode(content), status)
