"""Rows as callers write them, checked against a signature and turned into the arrays that a model takes."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from canari.errors import InputError
from canari.model import Feeds, Value
from canari.signature import MISSING, Input

# Beyond it a double no longer holds every integer.
LARGEST_INTEGER = 2**53

_SHOWN_LEVELS = 8
_SHOWN_CHARACTERS = 40


class CellError(InputError):
    """One value that does not fit its column; `row` counts from 0, as in a JSON array."""

    def __init__(self, column: Input, row: int, came: str) -> None:
        self.column = column
        self.row = row
        self.reason = f"column {column.name!r}: expected {expected(column)}, came {came}"
        super().__init__(f"row {row}, {self.reason}")


def to_feeds(inputs: Sequence[Input], columns: Mapping[str, Sequence[Value]]) -> Feeds:
    """Check n rows, given as one sequence a column, and turn them into arrays [n, 1].

    A number, integer or boolean becomes float64 (0 or 1 for a boolean, NaN where missing), a category an object array of str
    (`MISSING` where missing). A missing value is None, or NaN in a column of numbers. Columns that are no input are ignored.

    Raises `CellError`, naming row (from 0), column, what was expected and what came, for: a missing value where the column
    has none, an unknown level, a value of another type (a boolean is no number), a number that is infinite or beyond a
    double, an integer with a fraction or beyond 2^53. Raises `InputError` for an absent column and for columns of
    different lengths.
    """
    feeds: Feeds = {}
    first: Input | None = None
    for column in inputs:
        values = columns.get(column.name)
        if values is None:
            raise InputError(f"column {column.name!r} is missing: expected {expected(column)} in each row")
        if first is None:
            first = column
            rows = len(values)
        elif len(values) != rows:
            raise InputError(f"column {column.name!r} has {len(values)} values, column {first.name!r} has {rows}")
        feeds[column.name] = _category(column, values) if column.kind == "category" else _number(column, values)
    return feeds


def number_feed(column: Input, values: npt.NDArray[Any], missing: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.float64]:
    """What `to_feeds` makes of a column of numbers, integers or booleans that is an array [n] of numbers or bools already.

    `missing` marks values that are missing besides those that are NaN. Raises `CellError`.
    """
    feed = values.astype(np.float64)
    if missing is not None:
        feed[missing] = np.nan
    wrong = np.isinf(feed)
    if not column.missing or column.kind == "boolean":
        wrong |= np.isnan(feed)
        if column.missing and missing is not None:
            wrong &= ~missing
    if column.kind == "integer":
        wrong |= (feed != np.floor(feed)) & ~np.isnan(feed)
        # The values themselves: as a double the first integer beyond is the last one that is not.
        beyond = (values > LARGEST_INTEGER) | (values < -LARGEST_INTEGER)
        wrong |= beyond if missing is None else beyond & ~missing
    if wrong.any():
        row = int(wrong.argmax())
        _refuse(column, row, None if missing is not None and missing[row] else values[row].item())
    return feed.reshape(-1, 1)


def category_feed(column: Input, levels: Sequence[Any], codes: npt.NDArray[np.integer]) -> npt.NDArray[np.object_]:
    """What `to_feeds` makes of a category that came as positions `codes` [n] in `levels`. Raises `CellError`."""
    known = np.empty(len(levels), np.object_)
    wrong = np.zeros(len(levels), bool)
    for code, level in enumerate(levels):
        try:
            known[code] = _one_level(column, 0, level)
        except CellError:
            wrong[code] = True
    wrong_rows = wrong[codes]
    if wrong_rows.any():
        row = int(wrong_rows.argmax())
        _refuse(column, row, levels[codes[row]])
    feed: npt.NDArray[np.object_] = known[codes].reshape(-1, 1)
    return feed


def row_feeds(inputs: Sequence[Input], values: Sequence[Value]) -> Feeds:
    """The arrays [1, 1] of one row that was checked before: one value an input, in order; None is missing."""
    feeds: Feeds = {}
    for column, value in zip(inputs, values, strict=True):
        if column.kind == "category":
            feeds[column.name] = np.array([[MISSING if value is None else value]], np.object_)
        else:
            feeds[column.name] = np.array([[value]], np.float64)  # None becomes NaN
    return feeds


def expected(column: Input) -> str:
    """What a column takes, in words."""
    match column.kind:
        case "number":
            words = "a number"
        case "integer":
            words = "a whole number"
        case "boolean":
            words = "true or false"
        case "category":
            words = f"one of {listed(column.levels, _SHOWN_LEVELS, repr)}" if column.levels else "a text"
    return f"{words} or a missing value" if column.missing else words


def listed(words: Sequence[str], most: int, written: Callable[[str], str] = str) -> str:
    """Some words, not so many that a caller would not read them."""
    more = len(words) - most
    return f"{', '.join(map(written, words[:most]))}{f' and {more} more' if more > 0 else ''}"


def came(value: object) -> str:
    """A value in words, short: what a caller sees of their own input."""
    match value:
        case None:
            return "a missing value"
        case bool():
            return "true" if value else "false"
        case float() if math.isnan(value):
            return "NaN"
        case float() if math.isinf(value):
            return "Inf" if value > 0 else "-Inf"
        case dict():
            return "an object"
        case list() | tuple():
            return "a list"
        case str():
            # Cut first: the representation of a long text is a long text.
            return repr(value) if len(value) <= _SHOWN_CHARACTERS else f"{value[:_SHOWN_CHARACTERS]!r}..."
        case int() if abs(value) > LARGEST_INTEGER:
            # A very long integer has no decimal representation in Python.
            return f"{value}, which is beyond 2^53" if abs(value) < 10**_SHOWN_CHARACTERS else "an integer beyond 2^53"
        case _:
            text = repr(value)
            return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


_TYPES: Mapping[str, frozenset[type]] = {
    "number": frozenset({float, int}),
    "integer": frozenset({int}),
    "boolean": frozenset({bool}),
}


def _number(column: Input, values: Sequence[Any]) -> npt.NDArray[np.float64]:
    """Without a loop in Python where every value has the column's own type and none is missing."""
    if _TYPES[column.kind].issuperset(map(type, values)):
        try:
            array = np.array(values, np.float64)
        except OverflowError:  # an integer beyond any double
            pass
        else:
            if column.kind == "integer":
                fits = len(values) == 0 or (min(values) >= -LARGEST_INTEGER and max(values) <= LARGEST_INTEGER)
            else:
                fits = all(map(math.isfinite, values))
            if fits:
                return array.reshape(-1, 1)
    return np.array([_one_number(column, row, value) for row, value in enumerate(values)], np.float64).reshape(-1, 1)


def _one_number(column: Input, row: int, value: object) -> float:
    if value is None or (isinstance(value, float) and math.isnan(value) and column.kind != "boolean"):
        if column.missing:
            return math.nan
        _refuse(column, row, value)
    if isinstance(value, bool):
        if column.kind == "boolean":
            return float(value)
        _refuse(column, row, value)
    if not isinstance(value, int | float) or column.kind == "boolean":
        _refuse(column, row, value)
    if column.kind == "integer":
        if value != value // 1 or abs(value) > LARGEST_INTEGER:
            _refuse(column, row, value)
        return float(value)
    try:
        number = float(value)
    except OverflowError:
        _refuse(column, row, value)
    if math.isinf(number):
        _refuse(column, row, value)
    return number


def _category(column: Input, values: Sequence[Any]) -> npt.NDArray[np.object_]:
    """Without a loop in Python where every value is one of the levels."""
    try:
        known = bool(column.levels) and not set(values).difference(column.levels)
    except TypeError:  # a list or an object, which cannot be hashed
        known = False
    if not known:
        values = [_one_level(column, row, value) for row, value in enumerate(values)]
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array.reshape(-1, 1)


def _one_level(column: Input, row: int, value: object) -> str:
    if value is None and column.missing:
        return MISSING
    if not isinstance(value, str) or value == MISSING or (column.levels and value not in column.levels):
        _refuse(column, row, value)
    return value


def _refuse(column: Input, row: int, value: object) -> NoReturn:
    raise CellError(column, row, came(value))
