"""One row's `ModelInfer` as bytes: read and answered without making the messages, which takes longer than most models do.

What protobuf writes around the values of a row is always the same. It is made once, by protobuf, and compared or sent as it is.
Any request that differs from it, however little, is not read here.
"""

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from canari.model import Value
from canari.runtime import RowPredictions
from canari.runtime.feeds import LARGEST_INTEGER
from canari.serving import tensors
from canari.serving.oip import open_inference_pb2 as pb
from canari.signature import Input, Output, Signature

_DOUBLE = struct.Struct("<d")
_INT64 = struct.Struct("<q")

# Where a request's id begins with its tag and, in one byte, its length; a response's likewise.
_ID = 0x1A
_LONGEST = 0x7F


class WireRow(NamedTuple):
    """A request's row: values in the signature's order, checked as `to_feeds` checks them."""

    values: list[Value]
    id: bytes  # with its tag and length; empty where there is none
    raw: bool  # whether it came in raw contents


class _Cell(NamedTuple):
    """A value on the wire: what stands before it, how many bytes it takes, and how it is read, as None where in doubt."""

    before: bytes
    size: int
    take: Callable[[bytes, int], Value]


# One column's cells by the length of the message that holds the value: the byte after its tag.
_Column: TypeAlias = Mapping[int, _Cell]


class WireRows:
    """Reads and answers one model's requests of one row. `head` is what every response of the model has."""

    def __init__(self, signature: Signature, head: pb.ModelInferResponse) -> None:
        name, version, inputs, outputs = signature.name, signature.version, signature.inputs, signature.outputs
        self._heads = [pb.ModelInferRequest(model_name=name, model_version=v).SerializeToString() for v in (version, "")]
        self._raw_inputs = pb.ModelInferRequest(inputs=[_input(column) for column in inputs]).SerializeToString()
        self._columns = {raw: [_column(column, raw=raw) for column in inputs] for raw in (False, True)}
        described = pb.ModelInferResponse(outputs=[described_output(o, 1) for o in outputs]).SerializeToString()
        self._head = {False: head.SerializeToString(), True: head.SerializeToString() + described}
        self._outputs = {raw: [_output(output, raw=raw) for output in outputs] for raw in (False, True)}

    def read(self, data: bytes) -> WireRow | None:
        """The row of a request, or None."""
        head = next(filter(data.startswith, self._heads), None)
        if head is None:
            return None
        at, end, name = len(head), len(data), b""
        try:
            if data[at] == _ID:
                name = data[at : at + 2 + data[at + 1]]
                if data[at + 1] > _LONGEST or not name.isascii():
                    return None
                at += len(name)
            raw = data.startswith(self._raw_inputs, at)
            if raw:
                at += len(self._raw_inputs)
            values: list[Value] = []
            for column in self._columns[raw]:
                before, size, take = column[data[at + 1]]
                if not data.startswith(before, at):
                    return None
                at += len(before)
                value = take(data, at)
                if value is None:
                    return None
                values.append(value)
                at += size
        except (LookupError, struct.error):  # another length, or the end
            return None
        return WireRow(values, name, raw) if at == end else None

    def write(self, row: WireRow, predictions: RowPredictions) -> bytes:
        """The response to a request that `read` read."""
        outputs = self._outputs[row.raw]
        return b"".join([self._head[row.raw], row.id, *[write(p) for write, p in zip(outputs, predictions, strict=True)]])


def described_output(output: Output, rows: int) -> pb.ModelInferResponse.InferOutputTensor:
    """An output of so many rows, without its contents."""
    described = pb.ModelInferResponse.InferOutputTensor(name=output.name, datatype=output.datatype, shape=[rows, output.width])
    if text := tensors.labels(output):
        described.parameters["labels"].string_param = text
    return described


def _input(column: Input, **contents: Any) -> pb.ModelInferRequest.InferInputTensor:
    tensor = pb.ModelInferRequest.InferInputTensor(name=column.name, datatype=column.datatype, shape=[1, 1])
    if contents:
        tensor.contents.CopyFrom(pb.InferTensorContents(**contents))
    return tensor


def _column(column: Input, *, raw: bool) -> _Column:
    cells = {}
    for written, size, take in _raw_cells(column) if raw else _typed_cells(column):
        if written[1] <= _LONGEST:  # else its length takes two bytes
            cells[written[1]] = _Cell(written[: len(written) - size], size, take)
    return cells


# What protobuf writes for one value of a column, how many of the last bytes are the value, and how it is read.
_Written: TypeAlias = Iterator[tuple[bytes, int, Callable[[bytes, int], Value]]]


def _typed_cells(column: Input) -> _Written:
    def written(**contents: Any) -> bytes:
        return pb.ModelInferRequest(inputs=[_input(column, **contents)]).SerializeToString()

    match column.kind:
        case "number":
            yield written(fp64_contents=[0.0]), _DOUBLE.size, _number
        case "integer":
            for size in range(1, 9):
                yield written(int64_contents=[1 << 7 * (size - 1)]), size, _varint(size)
        case "boolean":
            yield written(bool_contents=[True]), 1, lambda data, at: {0: False, 1: True}.get(data[at])
        case "category":
            yield from _levels({written(bytes_contents=[level.encode()]): level for level in column.levels})


def _raw_cells(column: Input) -> _Written:
    def written(content: bytes) -> bytes:
        return pb.ModelInferRequest(raw_input_contents=[content]).SerializeToString()

    match column.kind:
        case "number":
            yield written(bytes(_DOUBLE.size)), _DOUBLE.size, _number
        case "integer":
            yield written(bytes(_INT64.size)), _INT64.size, _integer
        case "boolean":
            yield written(bytes(1)), 1, lambda data, at: data[at] != 0
        case "category":
            yield from _levels({written(tensors.raw_bytes([level.encode()])): level for level in column.levels})


def _levels(written: Mapping[bytes, str]) -> _Written:
    for length in set(map(len, written)):
        yield (
            next(w for w in written if len(w) == length),
            length,
            lambda data, at, length=length: written.get(data[at : at + length]),  # type: ignore[misc]
        )


def _number(data: bytes, at: int) -> float | None:
    (value,) = _DOUBLE.unpack_from(data, at)
    return value if math.isfinite(value) else None


def _integer(data: bytes, at: int) -> int | None:
    (value,) = _INT64.unpack_from(data, at)
    return value if -LARGEST_INTEGER <= value <= LARGEST_INTEGER else None


def _varint(size: int) -> Callable[[bytes, int], int | None]:
    """Reads a protobuf integer of so many bytes: seven bits each, the least first, and a bit that says whether more follow."""

    def take(data: bytes, at: int) -> int | None:
        value = data[at + size - 1]
        if value > _LONGEST:
            return None
        for byte in data[at : at + size - 1][::-1]:
            if byte <= _LONGEST:
                return None
            value = value << 7 | byte & _LONGEST
        return value if value <= LARGEST_INTEGER else None

    return take


def _output(output: Output, *, raw: bool) -> Callable[[Any], bytes]:
    """What writes an output's prediction of one row."""
    if output.kind == "class":
        return lambda label: _class(output, label, raw=raw)
    layout = struct.Struct(f"<{output.width}d")
    before = _doubles(output, raw=raw)[: -layout.size]
    if output.width > 1:
        return lambda numbers: before + layout.pack(*numbers)
    return lambda number: before + layout.pack(number)


def _doubles(output: Output, *, raw: bool) -> bytes:
    if raw:
        return pb.ModelInferResponse(raw_output_contents=[bytes(_DOUBLE.size * output.width)]).SerializeToString()
    described = described_output(output, 1)
    described.contents.fp64_contents.extend([0.0] * output.width)
    return pb.ModelInferResponse(outputs=[described]).SerializeToString()


def _class(output: Output, label: str | None, *, raw: bool) -> bytes:
    element = (label or "").encode()
    if raw:
        return pb.ModelInferResponse(raw_output_contents=[tensors.raw_bytes([element])]).SerializeToString()
    described = described_output(output, 1)
    described.contents.bytes_contents.append(element)
    return pb.ModelInferResponse(outputs=[described]).SerializeToString()
