"""Rows and predictions as Apache Arrow tables: what the Arrow and the Parquet format have in common.

A number column may be any integer, floating-point or decimal type, a boolean column is bool, a category any string type; each may
be encoded as a dictionary (as R's factors are), and each may be null. Nulls are missing, and so is NaN in a column of numbers.
"""

import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from canari.errors import InputError
from canari.model import Feeds, Predictions, Value
from canari.runtime.feeds import category_feed, expected, number_feed, to_feeds
from canari.serving.formats.records import MAX_EXTRA_COLUMNS, MAX_ROWS, check_count
from canari.serving.http import HttpError
from canari.signature import Input, Output, Signature

# A few bytes can stand for gigabytes, compressed or as one long text in many rows: so many are taken when all is expanded.
MAX_EXPANDED = 64 * 2**20

# Record batches or row groups; the work that each takes does not depend on its rows alone.
MAX_PARTS = 256

# What pyarrow, or our own look into the file before it, raises at a damaged one.
_DAMAGED = (pa.ArrowException, struct.error, OSError, ValueError, TypeError, LookupError, MemoryError, OverflowError)

# The answers go to the operating system at once when they are sent, instead of into a pool that keeps them.
pa.set_memory_pool(pa.system_memory_pool())


class Tabular(ABC):
    """A file or stream of Arrow columns."""

    content_types: tuple[bytes, ...]
    name: str

    def __init__(self, signature: Signature, max_rows: int = MAX_ROWS, bento: str | None = None) -> None:
        self._inputs = signature.inputs
        self._names = {column.name for column in signature.inputs}
        self._outputs = signature.outputs
        self._max_rows = max_rows
        self._about = {"model": signature.name, "version": signature.version} | ({"bento": bento} if bento is not None else {})

    @abstractmethod
    def read(self, body: bytes) -> pa.Table:
        """The model's columns (others may be left out), after `check_schema` and `check_rows` found nothing."""

    @abstractmethod
    def write(self, table: pa.Table, content_type: bytes) -> bytes:
        """A table as the format has it."""

    def feeds(self, body: bytes) -> tuple[Feeds, int]:
        """The arrays and the number of rows; raises `HttpError` 400 or 413, which names row, column, expected and came."""
        try:
            table = self.read(body)
            table.validate()
            _check_views(table)
            table.validate(full=True)
        except InputError as error:
            raise HttpError(400, str(error)) from None
        except _DAMAGED as error:
            says_why = isinstance(error, ValueError | OSError | pa.ArrowException)
            reason = str(error).partition("\n")[0][:200] if says_why else "its metadata are damaged"
            raise HttpError(400, f"the body is not {self.name} that can be read: {reason}") from None
        try:
            return {column.name: _feed(column, table.column(column.name)) for column in self._inputs}, table.num_rows
        except InputError as error:
            raise HttpError(400, str(error)) from None

    def encode(self, predictions: Predictions, content_type: bytes) -> bytes:
        """One column an output, a struct for the probabilities of several labels; the schema's metadata say who answered."""
        arrays = [_array(output, predictions[output.name]) for output in self._outputs]
        table = pa.Table.from_arrays(arrays, names=[output.name for output in self._outputs])
        return self.write(table.replace_schema_metadata(self._about), content_type)

    def check_schema(self, schema: pa.Schema) -> list[int]:
        """The positions of the model's columns; raises `InputError` for one that is absent, there twice or of another type."""
        most = len(self._inputs) + MAX_EXTRA_COLUMNS
        if len(schema) > most:
            raise InputError(f"there are {len(schema)} columns: expected at most {most}")
        for column in self._inputs:
            positions = schema.get_all_field_indices(column.name)
            if not positions:
                raise InputError(f"column {column.name!r} is missing: expected {expected(column)} in each row")
            if len(positions) > 1:
                raise InputError(f"column {column.name!r} is there {len(positions)} times")
            found = schema.field(positions[0]).type
            if not _takes(column, found):
                raise InputError(f"column {column.name!r}: expected {expected(column)}, came values of type {str(found)[:40]}")
        return [schema.get_field_index(column.name) for column in self._inputs]

    def check_rows(self, rows: int, parts: int) -> None:
        """Raise `HttpError` where there are too many rows, or none of them, or too many batches or groups of them."""
        check_count(rows, self._max_rows)
        if parts > MAX_PARTS:
            raise HttpError(413, f"the rows are in more than {MAX_PARTS} parts: expected larger record batches or row groups")


def check_expanded(size: int) -> None:
    """Raise `HttpError` 413 where compressed columns are too large."""
    if size > MAX_EXPANDED:
        raise HttpError(413, f"the columns expand to more than {MAX_EXPANDED // 2**20} MiB: send fewer rows at a time")


def is_text(datatype: pa.DataType) -> bool:
    """Whether a column is of strings, however they are stored."""
    return any(is_type(datatype) for is_type in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _takes(column: Input, datatype: pa.DataType) -> bool:
    if pa.types.is_dictionary(datatype):
        datatype = datatype.value_type
    if pa.types.is_null(datatype):
        return True
    match column.kind:
        case "category":
            return is_text(datatype)
        case "boolean":
            return bool(pa.types.is_boolean(datatype))
        case _:
            return any(is_type(datatype) for is_type in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal))


def _check_views(table: pa.Table) -> None:
    """Refuse string views that show the same long text again and again: together they are much more than the body."""
    size = 0
    for column in table.columns:
        for chunk in column.chunks:
            array = chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk
            if pa.types.is_string_view(array.type):
                views = np.frombuffer(array.buffers()[1], np.int32)[4 * array.offset : 4 * (array.offset + len(array)) : 4]
                size += int(views.sum(dtype=np.int64))
    check_expanded(size)


def _feed(column: Input, values: pa.ChunkedArray) -> npt.NDArray[Any]:
    if column.kind == "category":
        levels: list[Any] = []
        codes = []
        for used, positions in map(_levels, values.chunks):
            codes.append(positions + len(levels))
            levels += used
        return category_feed(column, levels, np.concatenate(codes))
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_decimal(values.type) or pa.types.is_null(values.type):
        return to_feeds([column], {column.name: list(_plain(values.to_pylist()))})[column.name]
    array = values.combine_chunks()
    missing = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    if missing is not None:
        array = array.fill_null(False if pa.types.is_boolean(array.type) else 0)
    return number_feed(column, array.to_numpy(zero_copy_only=False), missing)


def _levels(chunk: pa.Array) -> tuple[Sequence[str | None], npt.NDArray[np.int64]]:
    """The texts that are used in a part of a column, and each row's position among them."""
    if pa.types.is_null(chunk.type):
        return [None], np.zeros(len(chunk), np.int64)
    if not pa.types.is_dictionary(chunk.type):
        chunk = chunk.dictionary_encode()
    texts = chunk.dictionary
    if not is_text(texts.type):  # a dictionary of nulls
        return [None], np.zeros(len(chunk), np.int64)
    # An index of -1 is missing; dictionaries are often of more levels than a part has rows.
    indices = chunk.indices.cast(pa.int64()).fill_null(-1).to_numpy()
    used, codes = np.unique(indices, return_inverse=True)
    if pa.types.is_string_view(texts.type):
        texts = texts.cast(pa.large_string())
    levels = texts.take(pa.array(used, mask=used < 0)).to_pylist()
    return levels, codes


def _plain(values: list[Any]) -> Iterator[Value]:
    for value in values:
        whole = isinstance(value, Decimal) and value == value.to_integral_value()
        yield int(value) if whole else float(value) if isinstance(value, Decimal) else value


def _array(output: Output, predicted: npt.NDArray[Any]) -> pa.Array:
    if output.kind == "class":
        return pa.array(predicted.ravel().tolist(), pa.string())
    columns = [pa.array(column, pa.float64(), mask=np.isnan(column)) for column in np.ascontiguousarray(predicted.T)]
    return columns[0] if output.width == 1 else pa.StructArray.from_arrays(columns, names=list(output.labels))
