"""The Open Inference Protocol v2 without a transport: tensors in, tensors out, metadata, and the errors of both.

One input tensor a column, shape [n, 1] or [n]. A missing value is NaN in a floating-point tensor, null in JSON, and in a BYTES
tensor an empty string, unless that is a level. A missing class is an empty string, in JSON null.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from canari.errors import InputError
from canari.model import Feeds, Value
from canari.runtime.feeds import to_feeds
from canari.serving.rows import MAX_ROWS
from canari.signature import Input, Output, Signature

# Elements as they lie in a raw buffer, little-endian; BYTES elements have their length before them.
RAW_TYPES: Mapping[str, str] = {
    "BOOL": "?",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}

_INTEGERS = tuple(name for name in RAW_TYPES if "INT" in name)
_FLOATS = ("FP64", "FP32", "FP16")

# What a column takes without loss; `to_feeds` refuses the values that do not fit (a fraction, an integer beyond 2^53).
ACCEPTED: Mapping[str, tuple[str, ...]] = {
    "number": (*_FLOATS, *_INTEGERS),
    "integer": ("INT64", *_INTEGERS, *_FLOATS),
    "boolean": ("BOOL",),
    "category": ("BYTES",),
}


class Tensor(NamedTuple):
    """An input tensor as it came: `data` holds its elements, flat."""

    name: str
    datatype: str
    shape: Sequence[int]
    data: Sequence[Any]


class OutputTensor(NamedTuple):
    """An output tensor: `array` is float64 [n, k], or an object array of str or None [n, 1]."""

    output: Output
    array: npt.NDArray[Any]

    @property
    def shape(self) -> list[int]:
        """[n, k]."""
        return list(self.array.shape)

    def raw(self) -> bytes:
        """The elements as they lie in a raw buffer."""
        if self.output.kind != "class":
            return np.ascontiguousarray(self.array, "<f8").tobytes()
        return raw_bytes(encoded(self.array))


def labels(output: Output) -> str | None:
    """An output's labels as a parameter, whose value may be a text but no list: a JSON array in a string."""
    return json.dumps(output.labels, ensure_ascii=False) if output.labels else None


def platform(signature: Signature) -> str:
    """The platform in a model's metadata; it says where a model is unproved."""
    return "onnx" if signature.proved else "onnx_unproved"


def feeds(signature: Signature, tensors: Iterable[Tensor]) -> Feeds:
    """Check a request's tensors against the signature and turn them into the arrays that the model takes.

    Raises `InputError`, which names tensor, row, what was expected and what came. Tensors that are no input are refused: the
    protocol has no place for them.
    """
    columns = {column.name: column for column in signature.inputs}
    values: dict[str, Sequence[Value]] = {}
    for tensor in tensors:
        column = columns.get(tensor.name)
        if column is None:
            raise InputError(f"tensor {tensor.name[:60]!r} is no input; expected {', '.join(columns)}")
        if tensor.name in values:
            raise InputError(f"tensor {tensor.name!r} came twice")
        values[tensor.name] = _values(column, tensor)
    return to_feeds(signature.inputs, values)


def wanted_outputs(signature: Signature, names: Sequence[str]) -> list[Output]:
    """The outputs that were asked for, in that order, all where none is named; raises `InputError` for an unknown one."""
    outputs = {output.name: output for output in signature.outputs}
    for name in names:
        if name not in outputs:
            raise InputError(f"output {name[:60]!r} is unknown; there is: {', '.join(outputs)}")
    return [outputs[name] for name in names or outputs]


def from_raw(name: str, datatype: str, raw: bytes) -> list[Any]:
    """The elements of a raw buffer; raises `InputError` where its length does not fit."""
    if datatype == "BYTES":
        return _split_bytes(name, raw)
    if datatype not in RAW_TYPES:
        raise InputError(f"tensor {name!r}: unknown datatype {datatype[:20]!r}")
    element = np.dtype(RAW_TYPES[datatype])
    if len(raw) % element.itemsize:
        raise InputError(f"tensor {name!r}: {len(raw)} bytes are no whole number of {datatype} elements")
    if datatype == "BOOL":
        element = np.dtype(np.uint8)  # any byte but 0 is true
    elements: list[Any] = np.frombuffer(raw, element).tolist()
    return list(map(bool, elements)) if datatype == "BOOL" else elements


def raw_bytes(elements: Iterable[bytes]) -> bytes:
    """BYTES elements as a raw buffer: each after its length, four bytes, little-endian."""
    return b"".join(len(element).to_bytes(4, "little") + element for element in elements)


def encoded(array: npt.NDArray[Any]) -> list[bytes]:
    """A class output's elements as UTF-8; empty where missing."""
    return [(label or "").encode() for label in array.ravel().tolist()]


def _values(column: Input, tensor: Tensor) -> Sequence[Value]:
    if tensor.datatype not in ACCEPTED[column.kind]:
        raise InputError(f"tensor {tensor.name!r}: expected datatype {column.datatype}, came {tensor.datatype[:20]!r}")
    shape = list(tensor.shape)
    if not (len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)):
        raise InputError(f"tensor {tensor.name!r}: expected shape [n, 1] or [n], came {shape[:8]}")
    rows = shape[0]
    if not 1 <= rows <= MAX_ROWS:
        raise InputError(f"tensor {tensor.name!r}: expected 1 to {MAX_ROWS} rows, came {rows}")
    if len(tensor.data) != rows:
        raise InputError(f"tensor {tensor.name!r}: shape {shape} holds {rows} elements, came {len(tensor.data)}")
    if column.kind == "category":
        return [_text(column, row, element) for row, element in enumerate(tensor.data)]
    if column.kind == "integer" and tensor.datatype in _FLOATS:
        # A float's whole numbers are integers here, as in a column that pandas made to hold missing values.
        return [None if isinstance(v, float) and math.isnan(v) else v for v in tensor.data]
    return tensor.data


def _text(column: Input, row: int, element: object) -> Value:
    if isinstance(element, bytes):
        try:
            element = element.decode()
        except UnicodeDecodeError:
            raise InputError(f"row {row}, column {column.name!r}: expected UTF-8, came other bytes") from None
    if element == "" and column.missing and "" not in column.levels:
        return None
    return element  # type: ignore[return-value]  # whatever JSON held: `to_feeds` says what is wrong with it


def _split_bytes(name: str, raw: bytes) -> list[bytes]:
    elements: list[bytes] = []
    at = 0
    while at < len(raw):
        length = int.from_bytes(raw[at : at + 4], "little")
        if at + 4 + length > len(raw):
            raise InputError(f"tensor {name!r}: its raw BYTES end in the middle of element {len(elements)}")
        elements.append(raw[at + 4 : at + 4 + length])
        at += 4 + length
    return elements
