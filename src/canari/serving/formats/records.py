"""Rows and predictions as plain JSON records: what `POST /predict` takes and answers."""

import math
from collections.abc import Sequence
from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from canari.errors import InputError
from canari.model import Feeds, Predictions, Value
from canari.runtime.feeds import LARGEST_INTEGER, came, expected, to_feeds
from canari.serving.http import UNREADABLE, HttpError, decode_json
from canari.signature import MISSING, Input, Output, Signature

MAX_ROWS = 10_000

_LARGEST_DOUBLE = 1.7976931348623157e308


class RowDecoder:
    """Reads one record, an array of records, or `{"rows": [...]}` into the arrays that the model takes.

    A decoder made for the model's columns reads what is right, in microseconds. Whatever it refuses is read again,
    slowly, by `to_feeds`, which knows what to say about it (and takes what only looks wrong, such as 3.0 for an integer).
    """

    def __init__(self, inputs: Sequence[Input], max_rows: int = MAX_ROWS) -> None:
        self._inputs = inputs
        self._max_rows = max_rows
        fields = [f"c{i}" for i in range(len(inputs))]
        row = msgspec.defstruct(
            "Row",
            [(field, _type(column)) for field, column in zip(fields, inputs, strict=True)],
            rename={field: column.name for field, column in zip(fields, inputs, strict=True)},
            gc=False,
        )
        self._decode = msgspec.json.Decoder(list[row] | row).decode  # type: ignore[valid-type]
        self._row = row
        # A category that takes any text is left to `to_feeds`.
        self._typed = all(column.kind != "category" or column.levels for column in inputs)
        self._numbers = _Columns(fields, [c for c in inputs if c.kind != "category"], inputs)
        self._categories = _Columns(fields, [c for c in inputs if c.kind == "category"], inputs)

    def feeds(self, body: bytes) -> tuple[Feeds, int]:
        """The arrays and the number of rows; raises `HttpError` 400 or 413, which names row, column, expected and came."""
        if self._typed:
            try:
                rows = self._decode(body)
            except UNREADABLE:
                pass
            else:
                if isinstance(rows, self._row):
                    rows = [rows]
                self._check_count(rows)
                return self._feeds(rows), len(rows)
        records = decode_json(body)
        if isinstance(records, dict):
            records = records["rows"] if isinstance(records.get("rows"), list) else [records]
        if not isinstance(records, list):
            raise HttpError(400, _in_json(f"expected a JSON array of rows, each an object, came {came(records)}"))
        self._check_count(records)
        return self._checked_feeds(records), len(records)

    def _feeds(self, rows: Sequence[Any]) -> Feeds:
        n = len(rows)
        feeds: Feeds = {}
        if self._numbers.names:
            # None becomes NaN.
            numbers = np.array(self._numbers.of(rows), np.float64).reshape(-1, n, 1)
            feeds.update(zip(self._numbers.names, numbers, strict=True))
        if self._categories.names:
            levels = [[MISSING if v is None else v for v in column] for column in self._categories.of(rows)]
            feeds.update(zip(self._categories.names, np.array(levels, np.object_).reshape(-1, n, 1), strict=True))
        return feeds

    def _checked_feeds(self, records: list[Any]) -> Feeds:
        columns: dict[str, list[Value]] = {column.name: [] for column in self._inputs}
        for number, record in enumerate(records):
            if not isinstance(record, dict):
                raise HttpError(400, _in_json(f"row {number}: expected an object with one value a column, came {came(record)}"))
            for column in self._inputs:
                if column.name not in record:
                    raise HttpError(
                        400, _in_json(f"row {number}, column {column.name!r} is missing: expected {expected(column)}")
                    )
                columns[column.name].append(record[column.name])
        try:
            return to_feeds(self._inputs, columns)
        except InputError as error:
            raise HttpError(400, _in_json(str(error))) from None

    def _check_count(self, rows: Sequence[Any]) -> None:
        if not rows:
            raise HttpError(400, "there are no rows: expected at least one")
        if len(rows) > self._max_rows:
            raise HttpError(413, f"{len(rows)} rows are too many: expected at most {self._max_rows} at a time")


def _in_json(message: str) -> str:
    return message.replace("a missing value", "null")


class _Columns:
    """Picks the values of some columns out of decoded rows, one sequence a column."""

    def __init__(self, fields: Sequence[str], wanted: Sequence[Input], inputs: Sequence[Input]) -> None:
        self.names = [column.name for column in wanted]
        self._getters = [attrgetter(fields[inputs.index(column)]) for column in wanted]

    def of(self, rows: Sequence[Any]) -> list[list[Any]]:
        if len(rows) == 1:
            return [[get(rows[0])] for get in self._getters]
        return [list(map(get, rows)) for get in self._getters]


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

    def __init__(self, signature: Signature) -> None:
        self._outputs = signature.outputs
        name, version = (msgspec.json.encode(text) for text in (signature.name, signature.version))
        self._head = b'{"model":' + name + b',"version":' + version + b',"predictions":'
        self._encode = msgspec.json.Encoder().encode

    def encode(self, predictions: Predictions) -> bytes:
        """`{"model": ..., "version": ..., "predictions": [...]}` with one record a row."""
        names = [output.name for output in self._outputs]
        columns = [self._values(output, predictions) for output in self._outputs]
        if len(columns) == 1:
            records = [{names[0]: value} for value in columns[0]]
        else:
            records = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
        return self._head + self._encode(records) + b"}"

    def _values(self, output: Output, predictions: Predictions) -> list[Any]:
        array = predictions[output.name]
        if output.width > 1:
            return [dict(zip(output.labels, finite(row), strict=True)) for row in array.tolist()]
        values: list[Any] = array.ravel().tolist()
        return values if output.kind == "class" else finite(values)


def finite(values: list[Any]) -> list[Any]:
    """Doubles as JSON can hold them: NaN (missing) is None, an infinite one the string "Inf" or "-Inf"."""
    if math.isfinite(sum(values)):
        return values
    return [v if math.isfinite(v) else None if math.isnan(v) else "Inf" if v > 0 else "-Inf" for v in values]
