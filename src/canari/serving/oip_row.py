"""Inference requests for one row, read in microseconds.

Most requests are for one row, with one tensor a column, and look like the last one. What is read here needs no further check;
what is in any doubt is left to the general reader, which is slower and knows what to say.
"""

import math
import re
import struct
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from canari.model import Value
from canari.runtime.feeds import LARGEST_INTEGER
from canari.serving.http import UNREADABLE
from canari.serving.tensors import ACCEPTED, holds, raw_bytes
from canari.signature import Input, Signature

# What both FP32 and FP64 hold: whether an element fits its tensor is then no question.
_LARGEST_FP32 = 3.4028234663852886e38
_ROOMY = frozenset({"FP64", "FP32", "BOOL", "BYTES"})

_MAX_LAYOUTS = 256
_MAX_LAYOUT_BYTES = 16 * 2**10

# An identifier as Triton's client writes it, first of all, and one that says the same escaped or not.
_LEADING_ID = re.compile(rb'\{"id":"([ !#-\[\]-~]*)",')

# How struct names a datatype's element.
_FORMATS = {
    "BOOL": "?",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}


class _RequestParameters(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    binary_data_output: bool


class _OutputParameters(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    binary_data: bool


class _Output(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    name: str
    parameters: _OutputParameters | UnsetType = UNSET


class Wanted(NamedTuple):
    """What a request wants to be answered: the outputs by name, all where there is none, and which of them raw."""

    outputs: tuple[tuple[str, bool | None], ...] = ()  # whether raw: None is as `binary`
    binary: bool = False


class Row(NamedTuple):
    """A request for one row."""

    values: Sequence[Value]  # in the signature's order
    wanted: Wanted
    identifier: str | None


class JsonRows:
    """Reads requests whose one row is in JSON."""

    def __init__(self, signature: Signature) -> None:
        structs = [_tensor_struct(column) for column in signature.inputs]
        self._structs = structs
        request = msgspec.defstruct(
            "Request",
            [
                ("inputs", Annotated[list[_union(structs)], Meta(max_length=len(structs))]),  # type: ignore[misc]
                ("id", str | UnsetType, UNSET),
                ("parameters", _RequestParameters | UnsetType, UNSET),
                ("outputs", list[_Output] | UnsetType, UNSET),
            ],
            forbid_unknown_fields=True,
            gc=False,
        )
        self._decode = msgspec.json.Decoder(request).decode
        # Of the keys, names and datatypes, and of the texts, which are categories.
        self._quotes = 2 + 12 * len(structs)
        self._categories = [index for index, column in enumerate(signature.inputs) if column.kind == "category"]
        # A category that takes any text is left to the general reader.
        self._typed = all(column.kind != "category" or column.levels for column in signature.inputs)

    def read(self, text: bytes) -> Row | None:
        """A request's row; None where it is something else, or in doubt."""
        if not self._typed:
            return None
        try:
            request: Any = self._decode(text)
        except UNREADABLE:
            return None
        inputs = request.inputs
        for tensor in inputs:
            if tensor.datatype not in _ROOMY and tensor.data[0] is not None and not holds(tensor.datatype, tensor.data[0]):
                return None
        if [type(tensor) for tensor in inputs] == self._structs:
            values = [tensor.data[0] for tensor in inputs]
        else:
            by_column = {type(tensor): tensor.data[0] for tensor in inputs}
            if len(by_column) < len(self._structs):
                return None
            values = [by_column[tensor] for tensor in self._structs]
        quotes = self._quotes + sum(2 for index in self._categories if values[index] is not None)
        identifier, wanted = None, Wanted()
        if request.id is not UNSET:
            quotes, identifier = quotes + 4, request.id
        if request.parameters is not UNSET:
            quotes, wanted = quotes + 4, Wanted((), request.parameters.binary_data_output)
        if request.outputs is not UNSET:
            outputs = tuple([(o.name, None if o.parameters is UNSET else o.parameters.binary_data) for o in request.outputs])
            quotes += 2 + sum(4 if binary is None else 8 for _, binary in outputs)
            wanted = Wanted(outputs, wanted.binary)
        # Another quotation mark may be that of a key that comes twice.
        return Row(values, wanted, identifier) if text.count(b'"') == quotes else None


class RawTensor(NamedTuple):
    """A tensor of one row that lies in the raw bytes."""

    column: int  # the input's place in the signature
    datatype: str
    size: int  # bytes


class RawRows:
    """Reads requests whose one row is in raw tensors after JSON that was seen before.

    A client repeats that JSON, which describes the tensors, with each row; what it means is learnt from the general reader.
    The identifier may change.
    """

    def __init__(self, signature: Signature) -> None:
        self._inputs = signature.inputs
        self._layouts: dict[bytes, _Layout] = {}

    def read(self, text: bytes, raw: bytes) -> Row | None:
        """A request's row; None where the JSON is new, or a value in doubt."""
        key, identifier = _without_id(text)
        layout = self._layouts.get(key)
        if layout is None:
            return None
        values = layout.values(raw)
        return None if values is None else Row(values, layout.wanted, identifier)

    def learn(self, text: bytes, described: Sequence[RawTensor], wanted: Wanted, identifier: str | None) -> None:
        """Remember what the JSON of a request for one row meant that was answered."""
        key, leading = _without_id(text)
        if leading != identifier or len(key) > _MAX_LAYOUT_BYTES:
            return
        layout = _Layout.of(self._inputs, described, wanted)
        if layout is not None:
            if len(self._layouts) >= _MAX_LAYOUTS:
                self._layouts.clear()
            self._layouts[key] = layout


def _without_id(text: bytes) -> tuple[bytes, str | None]:
    leading = _LEADING_ID.match(text)
    if leading is None:
        return text, None
    return b"{" + text[leading.end() :], leading[1].decode()


class _Layout:
    """Where in the raw bytes the values of a row lie."""

    def __init__(self, inputs: Sequence[Input], described: Sequence[RawTensor], wanted: Wanted) -> None:
        self.wanted = wanted
        formats = [f"{t.size}s" if t.datatype == "BYTES" else _FORMATS[t.datatype] for t in described]
        self._unpack = struct.Struct("<" + "".join(formats)).unpack
        order = [column for column, _, _ in described]
        places = [order.index(column) for column in range(len(inputs))]
        self._arrange: Callable[[Any], Any] | None = None
        if len(inputs) > 1 and places != sorted(places):
            self._arrange = itemgetter(*places)
        self._integers = [index for index, column in enumerate(inputs) if column.kind == "integer"]
        # A category's levels as they lie there, each after its length.
        self._levels = [
            (index, {raw_bytes([level.encode()]): level for level in column.levels})
            for index, column in enumerate(inputs)
            if column.kind == "category"
        ]
        self._numbers = [index for index, column in enumerate(inputs) if column.kind == "number"]

    @classmethod
    def of(cls, inputs: Sequence[Input], described: Sequence[RawTensor], wanted: Wanted) -> "_Layout | None":
        for tensor in described:
            column = inputs[tensor.column]
            if (column.kind == "category" and not column.levels) or (
                column.kind == "integer" and tensor.datatype.startswith("FP")
            ):
                return None
        return cls(inputs, described, wanted)

    def values(self, raw: bytes) -> Sequence[Value] | None:
        """The row's values in the signature's order; None where one is in doubt."""
        try:
            values: Any = self._unpack(raw)
        except struct.error:
            return None
        if self._arrange is not None:
            values = self._arrange(values)
        if self._levels:
            values = list(values)
            for index, levels in self._levels:
                level = levels.get(values[index])
                if level is None:
                    return None
                values[index] = level
        for index in self._integers:
            if not -LARGEST_INTEGER <= values[index] <= LARGEST_INTEGER:
                return None
        for index in self._numbers:
            if not math.isfinite(values[index]):
                return None
        row: Sequence[Value] = values
        return row


def _tensor_struct(column: Input) -> type[msgspec.Struct]:
    """A column's tensor of one row, as a decoder can check it."""
    match column.kind:
        case "number":
            element: Any = Annotated[float, Meta(ge=-_LARGEST_FP32, le=_LARGEST_FP32)]
        case "integer":
            element = Annotated[int, Meta(ge=-LARGEST_INTEGER, le=LARGEST_INTEGER)]
        case "boolean":
            element = bool
        case "category":
            element = Literal[column.levels] if column.levels else str
    if column.missing:
        element |= None
    return msgspec.defstruct(
        "Tensor",
        [
            ("shape", Annotated[list[Literal[1]], Meta(min_length=1, max_length=2)]),
            ("datatype", Literal[ACCEPTED[column.kind]]),
            ("data", tuple[element]),
        ],
        tag_field="name",
        tag=column.name,
        forbid_unknown_fields=True,
        gc=False,
    )


def _union(structs: Sequence[type[msgspec.Struct]]) -> Any:
    union: Any = structs[0]
    for struct_type in structs[1:]:
        union |= struct_type
    return union
