"""The Open Inference Protocol v2 without a transport: tensors in, tensors out, metadata, and the errors of both.

One input tensor a column, shape [n, 1] or [n]. Where all inputs are numbers, one tensor of shape [n, k] may hold the k columns in
the signature's order, under a name that is none of theirs. A missing value is NaN in a floating-point tensor, null in JSON, and
in a BYTES tensor an empty string, unless that is a level. A missing class is an empty string, in JSON null.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from canari.errors import InputError
from canari.model import Feeds, Value
from canari.runtime.feeds import LARGEST_INTEGER, came, listed, to_feeds
from canari.serving.settings import Settings
from canari.signature import Input, Output, Signature

_Array: TypeAlias = npt.NDArray[Any]

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

# The smallest and the largest element of each datatype of numbers.
_LIMITS: Mapping[str, tuple[float, float]] = {
    **{name: (int(np.iinfo(RAW_TYPES[name]).min), int(np.iinfo(RAW_TYPES[name]).max)) for name in _INTEGERS},
    **{name: (float(np.finfo(RAW_TYPES[name]).min), float(np.finfo(RAW_TYPES[name]).max)) for name in _FLOATS},
}

_SHOWN = 10  # columns in a message


class Tensor(NamedTuple):
    """An input tensor as it came: `data` holds its elements, flat, as plain values or as an array."""

    name: str
    datatype: str
    shape: Sequence[int]
    data: Sequence[Any] | _Array


class OutputTensor(NamedTuple):
    """An output tensor: `array` is float64 [n, k], or an object array of str or None [n, 1]."""

    output: Output
    array: _Array

    @property
    def shape(self) -> list[int]:
        """[n, k]."""
        return list(self.array.shape)

    def raw(self) -> bytes:
        """The elements as they lie in a raw buffer."""
        if self.output.kind != "class":
            return np.ascontiguousarray(self.array, "<f8").tobytes()
        classes = self.array.ravel().tolist()
        raw = {label: raw_bytes([(label or "").encode()]) for label in set(classes)}
        return b"".join(map(raw.__getitem__, classes))


def labels(output: Output) -> str | None:
    """An output's labels as a parameter, whose value may be a text but no list: a JSON array in a string."""
    return json.dumps(output.labels, ensure_ascii=False) if output.labels else None


def platform(signature: Signature) -> str:
    """The platform in a model's metadata: the protocol's name for ONNX, or one that says where a model is unproved."""
    return "onnx_onnxv1" if signature.proved else "onnx_unproved"


def feeds(signature: Signature, tensors: Iterable[Tensor], max_rows: int = Settings().max_rows) -> Feeds:
    """Check a request's tensors against the signature and turn them into the arrays that the model takes.

    Raises `InputError`, which names tensor, row, what was expected and what came. Tensors that are no input are refused: the
    protocol has no place for them.
    """
    columns = {column.name: column for column in signature.inputs}
    came_as: dict[str, Tensor] = {}
    for tensor in _by_column(signature, list(tensors), max_rows):
        column = columns.get(tensor.name)
        if column is None:
            one = f", or one tensor of shape [n, {len(columns)}]" if _numeric(signature) else ""
            raise InputError(f"tensor {tensor.name[:60]!r} is no input; expected {listed(list(columns), _SHOWN)}{one}")
        if tensor.name in came_as:
            raise InputError(f"tensor {tensor.name!r} came twice")
        _check(column, tensor, max_rows)
        came_as[tensor.name] = tensor
    if came_as.keys() == columns.keys() and len(next(iter(came_as.values())).data) >= _MANY:
        arrays = {n: array for n, column in columns.items() if (array := _array(column, came_as[n])) is not None}
        if len(arrays) == len(columns) and len(set(map(len, arrays.values()))) == 1:
            return arrays
    # What is in doubt, absent or of another length is read by `to_feeds`, which knows what to say about it.
    return to_feeds(signature.inputs, {name: _plain(columns[name], tensor) for name, tensor in came_as.items()})


def wanted_outputs(signature: Signature, names: Sequence[str]) -> list[Output]:
    """The outputs that were asked for, in that order, all where none is named.

    Raises `InputError` for an unknown one, or one that is named twice.
    """
    outputs = {output.name: output for output in signature.outputs}
    for index, name in enumerate(names):
        if name not in outputs:
            raise InputError(f"output {name[:60]!r} is unknown; there is: {', '.join(outputs)}")
        if name in names[:index]:
            raise InputError(f"output {name!r} is asked for twice")
    return [outputs[name] for name in names or outputs]


def from_raw(name: str, datatype: str, raw: bytes) -> Sequence[Any] | _Array:
    """The elements of a raw buffer; raises `InputError` where its length does not fit."""
    if datatype == "BYTES":
        return _split_bytes(name, raw)
    check_datatype(name, datatype)
    element = np.dtype(RAW_TYPES[datatype])
    if len(raw) % element.itemsize:
        raise InputError(f"tensor {name[:60]!r}: {len(raw)} bytes are no whole number of {datatype} elements")
    if datatype == "BOOL":
        element = np.dtype(np.uint8)  # any byte but 0 is true
    array: _Array = np.frombuffer(raw, element)
    return array != 0 if datatype == "BOOL" else array


def check_datatype(name: str, datatype: str) -> None:
    """Raise `InputError` for a datatype that the protocol does not know, or that a raw or typed tensor cannot have here."""
    if datatype == "BF16":
        raise InputError(f"tensor {name[:60]!r}: BF16, which holds two digits of a number, is not taken: expected FP64 or FP32")
    if datatype != "BYTES" and datatype not in RAW_TYPES:
        raise InputError(f"tensor {name[:60]!r}: unknown datatype {datatype[:20]!r}")


def holds(datatype: str, number: float) -> bool:
    """Whether a number can be an element of a datatype of numbers."""
    smallest, largest = _LIMITS[datatype]
    if datatype in _FLOATS:
        return not (number < smallest or number > largest)  # NaN is neither
    return smallest <= number <= largest and number == number // 1


def raw_bytes(elements: Iterable[bytes]) -> bytes:
    """BYTES elements as a raw buffer: each after its length, four bytes, little-endian."""
    return b"".join(len(element).to_bytes(4, "little") + element for element in elements)


def encoded(array: _Array) -> list[bytes]:
    """A class output's elements as UTF-8; empty where missing."""
    return [(label or "").encode() for label in array.ravel().tolist()]


def _numeric(signature: Signature) -> bool:
    return all(column.kind in ("number", "integer") for column in signature.inputs)


def _by_column(signature: Signature, tensors: list[Tensor], max_rows: int) -> list[Tensor]:
    """One tensor a column; a single [n, k] tensor of all of them is taken apart."""
    k = len(signature.inputs)
    if len(tensors) != 1 or not _numeric(signature):
        return tensors
    tensor = tensors[0]
    shape = list(tensor.shape)
    if len(shape) != 2 or shape[1] != k or tensor.name in {column.name for column in signature.inputs}:
        return tensors
    _check_size(tensor, shape, max_rows)
    return [Tensor(c.name, tensor.datatype, shape[:1], tensor.data[i::k]) for i, c in enumerate(signature.inputs)]


def _check(column: Input, tensor: Tensor, max_rows: int) -> None:
    if tensor.datatype not in ACCEPTED[column.kind]:
        check_datatype(tensor.name, tensor.datatype)
        raise InputError(f"tensor {tensor.name!r}: expected datatype {column.datatype}, came {tensor.datatype[:20]!r}")
    shape = list(tensor.shape)
    if not (len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)):
        raise InputError(f"tensor {tensor.name!r}: expected shape [n, 1] or [n], came {_shape(shape)}")
    _check_size(tensor, shape, max_rows)


def _check_size(tensor: Tensor, shape: list[int], max_rows: int) -> None:
    if not 1 <= shape[0] <= max_rows:
        raise InputError(f"tensor {tensor.name[:60]!r}: expected 1 to {max_rows} rows, came {came(shape[0])}")
    if len(tensor.data) != math.prod(shape):
        raise InputError(f"tensor {tensor.name[:60]!r}: shape {shape} holds {math.prod(shape)} elements, came {len(tensor.data)}")


def _shape(shape: list[int]) -> str:
    return f"[{', '.join(map(came, shape[:8]))}{', ...' if len(shape) > 8 else ''}]"


# From this many elements on, numpy is quicker than a loop.
_MANY = 16

_PLAIN_NUMBERS = frozenset({float, int, type(None)})


def _array(column: Input, tensor: Tensor) -> npt.NDArray[Any] | None:
    """What the model takes, without a loop in Python over numbers; None where an element is in doubt."""
    data = tensor.data
    if column.kind == "category" or (column.kind == "boolean" and not isinstance(data, np.ndarray)):
        return to_feeds((column,), {column.name: _plain(column, tensor)})[column.name]
    if not isinstance(data, np.ndarray):
        if not _PLAIN_NUMBERS.issuperset(map(type, data)):
            return None
        try:
            data = np.array(data, np.float64)  # None becomes NaN
        except OverflowError:  # an integer beyond any double
            return None
    array = data.astype(np.float64).reshape(-1, 1)
    if column.kind == "boolean":
        return array
    fits = np.isfinite(array)
    if column.kind == "integer" or tensor.datatype not in _FLOATS:
        fits &= array == np.floor(array)
    if column.kind == "integer":
        fits &= np.abs(array) < LARGEST_INTEGER  # the largest itself may have been a larger integer
    smallest, largest = _LIMITS[tensor.datatype]
    if not (smallest <= np.fmin.reduce(array).item() and np.fmax.reduce(array).item() <= largest):
        return None
    return array if fits.all() or (column.missing and bool((fits | np.isnan(array)).all())) else None


def _plain(column: Input, tensor: Tensor) -> Sequence[Value]:
    """The elements as plain values, which the datatype holds."""
    if isinstance(tensor.data, np.ndarray):
        values: list[Value] = tensor.data.tolist()
        return values
    if column.kind == "category":
        return [_text(column, row, element) for row, element in enumerate(tensor.data)]
    if tensor.datatype in _LIMITS:
        for row, element in enumerate(tensor.data):
            if type(element) in (int, float) and not holds(tensor.datatype, element):
                raise InputError(f"tensor {tensor.name!r}, row {row}: expected {_element(tensor.datatype)}, came {came(element)}")
    return tensor.data


def _element(datatype: str) -> str:
    smallest, largest = _LIMITS[datatype]
    if datatype in _FLOATS:
        return f"a number that {datatype} holds"
    return f"a whole number of {datatype}, from {smallest} to {largest}"


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
            raise InputError(f"tensor {name[:60]!r}: its raw BYTES end in the middle of element {len(elements)}")
        elements.append(raw[at + 4 : at + 4 + length])
        at += 4 + length
    return elements
