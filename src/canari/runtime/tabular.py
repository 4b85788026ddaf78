"""Rows from CSV, and predictions to CSV: a header and one line a row, as R writes and reads them.

An empty cell or NA is a missing value, unless the column has a level of that name. Booleans are TRUE and FALSE.
"""

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from canari.errors import InputError
from canari.model import Columns, Feeds, Predictions, Value
from canari.runtime.feeds import CellError, to_feeds
from canari.signature import Input, Output

_MISSING = ("", "NA")
_BOOLEANS = {"true": True, "t": True, "false": False, "f": False}


@dataclass(frozen=True)
class Table:
    """The rows of a CSV file, checked against a signature."""

    columns: Columns
    feeds: Feeds
    ignored: tuple[str, ...]  # columns of the file that are no input

    def __len__(self) -> int:
        return len(next(iter(self.feeds.values())))


def read_csv(lines: Iterable[str], inputs: Sequence[Input], source: str) -> Table:
    """Read CSV (RFC 4180; a byte order mark is skipped) whose header names the columns.

    `source` is what messages call the file. Raises `InputError`, naming line, column, what was expected and what came.
    """
    reader = csv.reader(_without_mark(lines), strict=True)
    try:
        header = next(reader, [])
        if not header:
            raise InputError(f"{source} is empty: expected a header with {', '.join(c.name for c in inputs)}")
        positions = _positions(header, inputs, source)
        records, starts = _records(reader, len(header), source)
    except csv.Error as error:
        raise InputError(f"{source}, line {reader.line_num}: {error}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is not UTF-8: {error.reason} after line {reader.line_num}") from None
    columns: Columns = {}
    for column in inputs:
        position, read = positions[column.name], _reader(column)
        columns[column.name] = [read(record[position]) for record in records]
    try:
        feeds = to_feeds(inputs, columns)
    except CellError as error:
        raise InputError(f"{source}, line {starts[error.row]}, {error.reason}") from None
    known = {column.name for column in inputs}
    return Table(columns, feeds, tuple(name for name in header if name not in known))


def write_csv(file: TextIO, outputs: Sequence[Output], predictions: Predictions) -> None:
    """Write one line a row: a class first, then the other outputs, one column each or one a label.

    A number has the 17 significant digits that make it the same double again, a missing value is an empty cell.
    """
    ordered = sorted(outputs, key=lambda output: output.kind != "class")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([name for output in ordered for name in output.columns])
    columns: list[list[str]] = []
    for output in ordered:
        for values in predictions[output.name].T.tolist():
            columns.append(["" if v is None else v for v in values] if output.kind == "class" else [_digits(v) for v in values])
    writer.writerows(zip(*columns, strict=True))


def write_rows(file: TextIO, columns: Columns) -> None:
    """Write rows so that `read_csv` reads the same values again."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*([_row_cell(value) for value in column] for column in columns.values()), strict=True))


def _row_cell(value: Value) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "TRUE" if value else "FALSE"
        case float():
            return _digits(value)
        case _:
            return str(value)


def _without_mark(lines: Iterable[str]) -> Iterator[str]:
    rest = iter(lines)
    for first in rest:
        yield first.removeprefix("\ufeff")
        break
    yield from rest


def _positions(header: Sequence[str], inputs: Sequence[Input], source: str) -> Mapping[str, int]:
    missing = [column.name for column in inputs if column.name not in header]
    if missing:
        named = ", ".join(map(repr, missing))
        raise InputError(
            f"{source}: {'column' if len(missing) == 1 else 'columns'} {named} missing; its header has {', '.join(header)}"
        )
    for column in inputs:
        if header.count(column.name) > 1:
            raise InputError(f"{source}: column {column.name!r} is there {header.count(column.name)} times")
    return {column.name: header.index(column.name) for column in inputs}


def _records(reader: Any, width: int, source: str) -> tuple[list[list[str]], list[int]]:
    """The records, each as wide as the header, and the line on which each begins."""
    records: list[list[str]] = []
    starts: list[int] = []
    start = reader.line_num + 1
    for record in reader:
        if not record and width == 1:
            record = [""]  # noqa: PLW2901  an empty line is the one empty cell here, and no record elsewhere
        if record:
            if len(record) != width:
                raise InputError(f"{source}, line {start}: expected {width} cells as in the header, came {len(record)}")
            records.append(record)
            starts.append(start)
        start = reader.line_num + 1
    return records, starts


def _reader(column: Input) -> Callable[[str], Value]:
    """What turns a cell into a value; a cell that it cannot read it leaves as it is, for `to_feeds` to refuse."""
    missing = [text for text in _MISSING if text not in column.levels]
    convert: Callable[[str], Value]
    match column.kind:
        case "category":
            convert = str
        case "boolean":
            convert = _boolean
        case _:
            convert = _number

    return lambda cell: None if cell in missing else convert(cell)


def _boolean(cell: str) -> Value:
    return _BOOLEANS.get(cell.strip().lower(), cell)


def _number(cell: str) -> Value:
    try:
        # Python also reads 1_000.
        return cell if "_" in cell else float(cell)
    except ValueError:
        return None if cell.strip() in _MISSING else cell


def _digits(value: float) -> str:
    if math.isfinite(value):
        return f"{value:.17g}"
    return "" if math.isnan(value) else "Inf" if value > 0 else "-Inf"
