"""Rows and predictions as plain JSON: one record, many of them, or columns in; one record a prediction out."""

import math
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from canari.errors import InputError
from canari.model import Feeds, Predictions, Value
from canari.runtime import RowPredictions
from canari.runtime.feeds import LARGEST_INTEGER, CellError, came, expected, to_feeds
from canari.serving.http import UNREADABLE, HttpError, decode_json
from canari.serving.settings import Settings
from canari.serving.strict_json import TooDeepError, read_again
from canari.signature import MISSING, Input, Output, Signature

MAX_ROWS = Settings().max_rows

# What a row may hold besides the model's columns, all of it ignored.
MAX_EXTRA_COLUMNS = 1_000

# A body begins within so many bytes, or it is not read the fast way.
_BEGINNING = 64

_LARGEST_DOUBLE = 1.7976931348623157e308


class RowDecoder:
    """Reads JSON into the arrays that the model takes.

    It takes one record, an array of records, the same as `{"rows": [...]}`, and columns: an object of arrays, one a column, as
    it is or as `{"columns": {...}}`. Keys that are no column are ignored; a key that is twice in an object is refused.

    Decoders made for the model's columns read what is right, in microseconds. Whatever they refuse is read again, slowly, by
    `to_feeds`, which knows what to say about it (and takes what only looks wrong, such as 3.0 for an integer).
    """

    def __init__(self, inputs: Sequence[Input], max_rows: int = MAX_ROWS) -> None:
        self._inputs = inputs
        self._max_rows = max_rows
        self._most_keys = len(inputs) + MAX_EXTRA_COLUMNS
        row: Any = _struct("Row", inputs, _type)
        self.row = row
        columns = _struct("Columns", inputs, lambda column: list[_type(column)])  # type: ignore[misc]
        self._decode_rows = msgspec.json.Decoder(list[row] | row).decode
        self._decode_wrapped_rows = msgspec.json.Decoder(_wrapped("rows", list[row])).decode
        self._decode_columns = msgspec.json.Decoder(columns).decode
        self._decode_wrapped_columns = msgspec.json.Decoder(_wrapped("columns", columns)).decode
        # A category that takes any text is left to `to_feeds`, and so are names that a typed decoder cannot have.
        self.typed = all(column.kind != "category" or column.levels for column in inputs) and not any(map(_has_escape, inputs))
        self._numbers = [i for i, column in enumerate(inputs) if column.kind != "category"]
        self._categories = [i for i, column in enumerate(inputs) if column.kind == "category"]
        self._getters = [attrgetter(field) for field in self.row.__struct_fields__]
        # In a row that holds each column once, nothing else and no missing category, there are so many quotation marks.
        self._quotes = 2 * (len(inputs) + len(self._categories))
        self._decode_row = self._decode_rows if self.typed else _decode_nothing
        self._missing_category = any(inputs[i].missing for i in self._categories)

    def one(self, body: bytes) -> tuple[Value, ...] | None:
        """The values of a body that is one row, in the signature's order; None where `feeds` has to look at it."""
        if body.count(b'"') != self._quotes:
            return None
        try:
            row = self._decode_row(body)
        except UNREADABLE:
            return None
        if row.__class__ is list:
            if len(row) != 1:
                return None
            row = row[0]
        values: tuple[Value, ...] = msgspec.structs.astuple(row)
        return None if self._missing_category and None in values else values

    def feeds(self, body: bytes) -> tuple[Feeds, int]:
        """The arrays and the number of rows; raises `HttpError` 400 or 413, which names row, column, expected and came."""
        columns = self._typed_columns(body)
        if columns is not None:
            rows = len(columns[0])
            self.check_count(rows)
            return self.arrays(columns), rows
        content = decode_json(body)
        self.check_keys(body)
        records = self._records(content)
        if isinstance(records, dict):
            return self._checked_columns(records)
        return self.checked(records, lambda row: f"row {row}"), len(records)

    def _typed_columns(self, body: bytes) -> list[list[Any]] | None:
        """One list of values a column, by the decoders made for the model; None where they refuse the body."""
        if not self.typed:
            return None
        is_array = body[:_BEGINNING].lstrip().startswith(b"[")
        for read in (self._rows,) if is_array else (self._rows, self._wrapped_rows, self._columns, self._wrapped_columns):
            try:
                columns, quotes = read(body)
            except UNREADABLE:
                continue
            if len({len(column) for column in columns}) > 1:
                return None
            if body.count(b'"') == quotes + self.quotes(columns):
                return columns
            if is_array:
                self.check_keys(body)
                return columns
            # There is more in the object, which may make it mean something else.
            return None
        return None

    # Each of these also says how many quotation marks belong to what is around the values.

    def _rows(self, body: bytes) -> tuple[list[list[Any]], int]:
        rows = self._decode_rows(body)
        if isinstance(rows, self.row):
            rows = [rows]
        return self.columns(rows), 2 * len(self._inputs) * len(rows)

    def _wrapped_rows(self, body: bytes) -> tuple[list[list[Any]], int]:
        rows = self._decode_wrapped_rows(body).rows
        return self.columns(rows), 2 + 2 * len(self._inputs) * len(rows)

    def _columns(self, body: bytes) -> tuple[list[list[Any]], int]:
        return list(msgspec.structs.astuple(self._decode_columns(body))), 2 * len(self._inputs)

    def _wrapped_columns(self, body: bytes) -> tuple[list[list[Any]], int]:
        columns = self._decode_wrapped_columns(body).columns
        return list(msgspec.structs.astuple(columns)), 2 + 2 * len(self._inputs)

    def columns(self, rows: Sequence[Any]) -> list[list[Any]]:
        """Decoded rows, turned into one list of values a column."""
        return [list(map(get, rows)) for get in self._getters]

    def quotes(self, columns: Sequence[list[Any]]) -> int:
        """How many quotation marks the values have, but for any that are part of a level."""
        return 2 * sum(len(columns[i]) - columns[i].count(None) for i in self._categories)

    def arrays(self, columns: Sequence[list[Any]]) -> Feeds:
        """The arrays of columns that a typed decoder has checked."""
        rows = len(columns[0])
        feeds: Feeds = {}
        if self._numbers:
            # None becomes NaN.
            numbers = np.array([columns[i] for i in self._numbers], np.float64).reshape(-1, rows, 1)
            feeds.update(zip((self._inputs[i].name for i in self._numbers), numbers, strict=True))
        if self._categories:
            levels = [[MISSING if v is None else v for v in columns[i]] for i in self._categories]
            arrays = np.array(levels, np.object_).reshape(-1, rows, 1)
            feeds.update(zip((self._inputs[i].name for i in self._categories), arrays, strict=True))
        return feeds

    def checked(self, records: Sequence[Any], place: Callable[[int], str]) -> Feeds:
        """The arrays of plain values; raises `HttpError` 400, in which `place` says where a row stands."""
        self.check_count(len(records))
        columns: dict[str, list[Value]] = {column.name: [] for column in self._inputs}
        for number, record in enumerate(records):
            if not isinstance(record, dict):
                raise _refusal(f"{place(number)}: expected an object with one value a column, came {came(record)}")
            for column in self._inputs:
                if column.name not in record:
                    raise _refusal(f"{place(number)}, column {column.name!r} is missing: expected {expected(column)}")
                columns[column.name].append(record[column.name])
        try:
            return to_feeds(self._inputs, columns)
        except CellError as error:
            raise _refusal(f"{place(error.row)}, {error.reason}") from None

    def check_count(self, rows: int) -> None:
        """Raise `HttpError` where there are no rows, or too many."""
        check_count(rows, self._max_rows)

    def check_keys(self, body: bytes) -> None:
        """Raise `HttpError` 400 where an object in a body, which is JSON, has a key twice or has too many of them."""
        try:
            _check_keys(body, self._most_keys)
        except _KeysError as error:
            raise HttpError(400, f"{self._place(body)}{error}") from None

    def _place(self, body: bytes) -> str:
        """Which of the rows of an array it is that has the wrong keys."""
        try:
            rows = msgspec.json.decode(body, type=list[msgspec.Raw])
        except UNREADABLE:
            return ""
        for number, row in enumerate(rows):
            try:
                _check_keys(bytes(row), self._most_keys)
            except _KeysError:
                return f"row {number}: "
        return ""

    def _records(self, content: Any) -> list[Any] | dict[str, Any]:
        """What the body says: a list of records, or a dict of columns."""
        if isinstance(content, list):
            return content
        if not isinstance(content, dict):
            raise _refusal(f"expected a JSON array of rows, each an object, came {came(content)}")
        # A record's values are never arrays nor objects, so that a column may well be called "rows" or "columns".
        rows, columns = content.get("rows"), content.get("columns")
        if all(isinstance(content.get(column.name), list) for column in self._inputs):
            return content
        if isinstance(rows, list) and isinstance(columns, dict):
            raise HttpError(400, "expected rows or columns, came both")
        if isinstance(rows, list):
            return rows
        return columns if isinstance(columns, dict) else [content]

    def _checked_columns(self, columns: dict[str, Any]) -> tuple[Feeds, int]:
        for column in self._inputs:
            values = columns.get(column.name, [])
            if not isinstance(values, list):
                raise _refusal(f"column {column.name!r}: expected an array with one value a row, came {came(values)}")
            if column.name in columns:
                self.check_count(len(values))
        try:
            feeds = to_feeds(self._inputs, columns)
        except InputError as error:
            raise _refusal(str(error)) from None
        return feeds, len(columns[self._inputs[0].name])


def check_count(rows: int, max_rows: int) -> None:
    """Raise `HttpError` 400 where there are no rows, 413 where there are too many."""
    if not rows:
        raise HttpError(400, "there are no rows: expected at least one")
    if rows > max_rows:
        raise HttpError(413, f"{rows} rows are too many: expected at most {max_rows} at a time")


def _refusal(message: str) -> HttpError:
    return HttpError(400, message.replace("a missing value", "null"))


def _decode_nothing(_body: bytes) -> Any:
    raise msgspec.DecodeError


class _KeysError(Exception):
    """An object has a key twice, or too many keys."""


def _check_keys(body: bytes, most: int) -> None:
    def check(pairs: list[tuple[str, Any]]) -> None:
        if len(pairs) > most:
            raise _KeysError(f"an object has {len(pairs)} keys: expected at most {most}")
        keys: set[str] = set()
        for key, _ in pairs:
            if key in keys:
                raise _KeysError(f"the key {came(key)} is there twice in one object")
            keys.add(key)

    try:
        read_again(body, check)
    except TooDeepError:
        raise _KeysError("the body is nested too deeply") from None
    except ValueError:
        raise _KeysError("a text is not UTF-8, or has control characters") from None


def _struct(name: str, inputs: Sequence[Input], field_type: Callable[[Input], Any]) -> Any:
    """A type with one field a column."""
    fields = [f"c{i}" for i in range(len(inputs))]
    return msgspec.defstruct(
        name,
        [(field, field_type(column)) for field, column in zip(fields, inputs, strict=True)],
        rename=None if any(map(_has_escape, inputs)) else dict(zip(fields, (column.name for column in inputs), strict=True)),
        gc=False,
    )


def _has_escape(column: Input) -> bool:
    """Whether JSON writes a column's name with an escape."""
    return any(character < " " or character in '"\\' for character in column.name)


def _wrapped(key: str, content: Any) -> Any:
    return msgspec.defstruct("Wrapped", [(key, content)])


def _type(column: Input) -> Any:
    """The type that a msgspec decoder checks a column's values against."""
    match column.kind:
        case "number":
            checked: Any = Annotated[float, msgspec.Meta(ge=-_LARGEST_DOUBLE, le=_LARGEST_DOUBLE)]
        case "integer":
            checked = Annotated[int, msgspec.Meta(ge=-LARGEST_INTEGER, le=LARGEST_INTEGER)]
        case "boolean":
            checked = bool
        case "category":
            checked = Literal[column.levels] if column.levels else str
    return checked | None if column.missing else checked


class RecordEncoder:
    """Writes predictions as JSON records, one key an output.

    A number or a single probability is a number, a class a string, probabilities of several labels an object. What is
    missing is null. JSON has no infinity: an infinite number is the string "Inf" or "-Inf".
    """

    def __init__(self, signature: Signature, bento: str | None = None) -> None:
        self._outputs = signature.outputs
        self._names = [output.name for output in signature.outputs]
        self._encode = msgspec.json.Encoder().encode
        about = {"model": signature.name, "version": signature.version} | ({"bento": bento} if bento is not None else {})
        self._head = self._encode(about)[:-1] + b',"predictions":'
        only = self._outputs[0] if len(self._outputs) == 1 else None
        self._is_one_number = only is not None and only.kind != "class" and only.width == 1
        self._record = b"{" + self._encode(self._names[0]) + b":"
        self._one_number = self._head + b"[" + self._record

    def encode(self, predictions: Predictions) -> bytes:
        """`{"model": ..., "version": ..., "bento": ..., "predictions": [...]}` with one record a row; no bento, no such key."""
        if self._is_one_number:
            return self._head + b"[" + self.joined(predictions, b",") + b"]}"
        return self._head + self._encode(self.records(predictions)) + b"}"

    def joined(self, predictions: Predictions, separator: bytes) -> bytes:
        """The records as JSON, with `separator` between them."""
        if not self._is_one_number:
            return separator.join(map(self._encode, self.records(predictions)))
        # Numbers have no commas in them; writing all at once, then the key before each, takes a third of the time.
        numbers = self._encode(_values(self._outputs[0], predictions))[1:-1]
        return self._record + numbers.replace(b",", b"}" + separator + self._record) + b"}" if numbers else b""

    def encode_one(self, values: RowPredictions) -> bytes:
        """The same of one row's predictions."""
        if self._is_one_number and math.isfinite(values[0]):  # type: ignore[arg-type]
            return self._one_number + self._encode(values[0]) + b"}]}"
        record = {output.name: _value(output, value) for output, value in zip(self._outputs, values, strict=True)}
        return self._head + self._encode([record]) + b"}"

    def records(self, predictions: Predictions) -> list[dict[str, Any]]:
        """One record a row, as plain values."""
        columns = [_values(output, predictions) for output in self._outputs]
        if len(columns) == 1:
            name = self._names[0]
            return [{name: value} for value in columns[0]]
        return [dict(zip(self._names, values, strict=True)) for values in zip(*columns, strict=True)]


def _values(output: Output, predictions: Predictions) -> list[Any]:
    array = predictions[output.name]
    if output.width > 1:
        return [dict(zip(output.labels, finite(row), strict=True)) for row in array.tolist()]
    values: list[Any] = array.ravel().tolist()
    return values if output.kind == "class" else finite(values)


def _value(output: Output, value: Any) -> Any:
    if output.width > 1:
        return dict(zip(output.labels, finite(value), strict=True))
    return value if output.kind == "class" else finite([value])[0]


def finite(values: list[Any]) -> list[Any]:
    """Doubles as JSON can hold them: NaN (missing) is None, an infinite one the string "Inf" or "-Inf"."""
    if math.isfinite(sum(values)):
        return values
    return [v if math.isfinite(v) else None if math.isnan(v) else "Inf" if v > 0 else "-Inf" for v in values]


class Json:
    """`application/json`."""

    content_types: tuple[bytes, ...] = (b"application/json",)

    def __init__(self, signature: Signature, max_rows: int = MAX_ROWS, bento: str | None = None) -> None:
        decoder, encoder = RowDecoder(signature.inputs, max_rows), RecordEncoder(signature, bento)
        self.one = decoder.one
        self.feeds = decoder.feeds
        self.encode_one = encoder.encode_one
        self._encode = encoder.encode

    def encode(self, predictions: Predictions, content_type: bytes = content_types[0]) -> bytes:  # noqa: ARG002  there is one
        """One object with all the records."""
        return self._encode(predictions)
