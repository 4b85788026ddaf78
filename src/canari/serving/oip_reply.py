"""Predictions as the answer to an inference request: JSON, or raw tensors after it."""

import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy.typing as npt

from canari.model import Predictions
from canari.runtime import RowPredictions
from canari.serving import tensors
from canari.serving.formats.records import finite
from canari.serving.http import Answer
from canari.signature import Output, Signature

# How many bytes of a body are JSON; the rest is raw tensors.
JSON_LENGTH = b"inference-header-content-length"

_encode = msgspec.json.Encoder().encode


class Reply:
    """Writes the answers to requests for the same outputs, each in JSON or, where `binary` says so, raw."""

    def __init__(self, signature: Signature, bento: str | None, outputs: Sequence[Output], binary: Sequence[bool]) -> None:
        names = [output.name for output in signature.outputs]
        self._tensors = [
            (names.index(output.name), output.name, _Raw(output) if raw else _Json(output))
            for output, raw in zip(outputs, binary, strict=True)
        ]
        self._has_raw = any(binary)
        about: dict[str, Any] = {"model_name": signature.name, "model_version": signature.version}
        parameters = ({} if bento is None else {"bento": bento}) | ({} if signature.proved else {"proved": False})
        self._head = _encode(about | ({"parameters": parameters} if parameters else {}))[:-1]

    def row(self, predictions: RowPredictions, identifier: str | None) -> Answer:
        """The answer to a request for one row; `identifier` is the request's own, if it has one."""
        return self._answer([tensor.row(predictions[index]) for index, _, tensor in self._tensors], 1, identifier)

    def rows(self, predictions: Predictions, identifier: str | None) -> Answer:
        """The answer to a request for n rows."""
        written = [tensor.rows(predictions[name]) for _, name, tensor in self._tensors]
        return self._answer(written, len(predictions[self._tensors[0][1]]), identifier)

    def _answer(self, written: list[tuple[bytes, bytes]], rows: int, identifier: str | None) -> Answer:
        described = b",".join([text for text, _ in written])
        named = b"" if identifier is None else b',"id":' + _encode(identifier)
        text = b'%b%b,"outputs":[%b]}' % (self._head, named, described)
        if not self._has_raw:
            return Answer(text, rows=rows)
        return Answer(
            b"".join([text, *[raw for _, raw in written]]),
            content_type=b"application/octet-stream",
            headers=((JSON_LENGTH, b"%d" % len(text)),),
            rows=rows,
        )


class _Json:
    """Writes one output's tensor with its elements in JSON."""

    def __init__(self, output: Output) -> None:
        self._output = output
        labels = tensors.labels(output)
        parameters = b',"parameters":' + _encode({"labels": labels}) if labels else b""
        name, datatype = _encode(output.name), _encode(output.datatype)
        self._head = b'{"name":%b,"datatype":%b%b,"shape":[' % (name, datatype, parameters)
        self._one_row = b'%b1,%d],"data":' % (self._head, output.width)

    def row(self, prediction: Any) -> tuple[bytes, bytes]:
        """The tensor of one row, and the raw elements that follow the JSON: none."""
        values = prediction if type(prediction) is list else [prediction]
        return self._one_row + self._elements(values) + b"}", b""

    def rows(self, array: npt.NDArray[Any]) -> tuple[bytes, bytes]:
        """The tensor of n rows."""
        elements = self._elements(array.ravel().tolist())
        return b'%b%d,%d],"data":%b}' % (self._head, *array.shape, elements), b""

    def _elements(self, values: list[Any]) -> bytes:
        return _encode(values if self._output.kind == "class" else finite(values))


class _Raw:
    """Writes one output's tensor with its elements after the JSON."""

    def __init__(self, output: Output) -> None:
        self._output = output
        labels = tensors.labels(output)
        parameters = _encode({"labels": labels})[:-1] + b"," if labels else b"{"
        name, datatype = _encode(output.name), _encode(output.datatype)
        self._text = b'{"name":%b,"datatype":%b,"shape":[%%d,%%d],"parameters":%b"binary_data_size":%%d}}' % (
            name.replace(b"%", b"%%"),
            datatype,
            parameters.replace(b"%", b"%%"),
        )
        self._pack = struct.Struct(f"<{output.width}d").pack
        self._one_row = self._text % (1, output.width, 8 * output.width)

    def row(self, prediction: Any) -> tuple[bytes, bytes]:
        """The tensor of one row, and its raw elements."""
        if self._output.kind == "class":
            raw = tensors.raw_bytes([(prediction or "").encode()])
            return self._text % (1, 1, len(raw)), raw
        return self._one_row, self._pack(*prediction) if type(prediction) is list else self._pack(prediction)

    def rows(self, array: npt.NDArray[Any]) -> tuple[bytes, bytes]:
        """The tensor of n rows, and its raw elements."""
        raw = tensors.OutputTensor(self._output, array).raw()
        return self._text % (*array.shape, len(raw)), raw
