"""Recorded requests, from NDJSON: one request a line, checked against what the server takes before anything is sent.

A line is `{"time": ..., "row": {...}}`, or with `"rows"` (a list of rows) or `"inputs"` (a row, columns of values, or tensors of
the Open Inference Protocol) instead of `"row"`; or a row alone, or a list of rows. The time is in seconds, or a text as ISO 8601
has it. Either all lines have one, or none.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from canari.errors import InputError
from canari.loadtest.payloads import Row
from canari.model import Columns
from canari.runtime.feeds import CellError, came, expected, to_feeds
from canari.signature import Input

_WRAPPERS = ("row", "rows", "inputs")


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What was recorded, in the order of its times where there are any."""

    requests: list[list[Row]]
    seconds: list[float] | None  # from the first one; None where the recording has no times
    skipped: int = 0  # lines that do not fit
    first_skipped: str | None = None  # where, and why


def read_recorded(path: Path, inputs: Sequence[Input], *, skip_unfit: bool) -> Recorded:
    """Read the requests of a file.

    Raises `InputError` with line, row, column, what was expected and what came where one does not fit `inputs`; with `skip_unfit`
    only where none fits. What is no JSON, or has no time where others have one, is always an error.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    columns = {column.name for column in inputs}
    found: list[tuple[float | None, list[Row]]] = []
    unfit: list[str] = []
    timed: int | None = None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        time, said = _parts(_decode(line.removeprefix(b"\xef\xbb\xbf"), place), columns, place)
        if not found and not unfit:
            timed = None if time is None else number
        elif (time is None) != (timed is None):
            raise InputError(f"{place}: {'has no time, others have one' if time is None else 'has a time, others have none'}")
        try:
            found.append((time, fitting(said, inputs)))
        except InputError as error:
            unfit.append(f"line {number}, {error}")
    if unfit and (not skip_unfit or not found):
        more = f"; {len(unfit)} of {len(unfit) + len(found)} requests do not fit" if len(unfit) > 1 else ""
        raise InputError(f"{path}, {unfit[0]}{more}")
    if not found:
        raise InputError(f"{path}: has no requests")
    times = [time for time, _ in found if time is not None]
    if times:
        found.sort(key=lambda request: request[0] or 0.0)
    return Recorded(
        requests=[rows for _, rows in found],
        seconds=[time - min(times) for time in sorted(times)] if times else None,
        skipped=len(unfit),
        first_skipped=f"{path}, {unfit[0]}" if unfit else None,
    )


def _decode(line: bytes, place: str) -> Any:
    try:
        return msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{place}: not JSON: {error}") from None


def _parts(content: Any, columns: set[str], place: str) -> tuple[float | None, Any]:
    """The time of a request, if it has one, and its rows as they were written."""
    if not isinstance(content, dict):
        return None, content
    wrappers = [key for key in _WRAPPERS if isinstance(content.get(key), list | dict)]
    if len(wrappers) > 1:
        raise InputError(f"{place}: expected one of {', '.join(_WRAPPERS)}, came {' and '.join(wrappers)}")
    if wrappers:
        return _time(content.get("time"), place), content[wrappers[0]]
    # A row alone, whose own column may be called "time".
    return (None if "time" in columns else _time(content.get("time"), place)), content


def _time(value: Any, place: str) -> float | None:
    match value:
        case None:
            return None
        case bool():
            pass
        case int() | float() if abs(value) < 1e12:
            return float(value)
        case str():
            try:
                said = datetime.fromisoformat(value)
            except ValueError:
                pass
            else:
                return (said if said.tzinfo else said.replace(tzinfo=UTC)).timestamp()
    raise InputError(f"{place}, time: expected seconds or a time such as 2026-01-31T12:00:00Z, came {came(value)}")


def fitting(said: Any, inputs: Sequence[Input]) -> list[Row]:
    """The rows of one request, as they can be sent; raises `InputError` that names row and column where they do not fit."""
    columns = _columns(said, inputs)
    try:
        feeds = to_feeds(inputs, columns)
    except CellError as error:
        row = f"row {error.row}, " if len(columns[error.column.name]) > 1 else ""
        raise InputError(f"{row}{error.reason}") from None
    if not len(next(iter(feeds.values()))):
        raise InputError("expected at least one row, came none")
    whole: Mapping[str, Callable[[Any], Any]] = {c.name: int for c in inputs if c.kind == "integer"}
    names = [column.name for column in inputs]
    values = ([None if _is_missing(value) else whole.get(name, _same)(value) for value in columns[name]] for name in names)
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def _same(value: Any) -> Any:
    return value


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _columns(said: Any, inputs: Sequence[Input]) -> Columns:
    """Rows as one list a column, however they were written."""
    names = [column.name for column in inputs]
    if isinstance(said, list) and said and all(isinstance(one, dict) and {"name", "data"} <= one.keys() for one in said):
        return _of_tensors(said, names)
    if isinstance(said, dict) and any(isinstance(said.get(name), list) for name in names):
        for name in names:
            if name in said and not isinstance(said[name], list):
                raise InputError(f"column {name!r}: expected a list with one value a row, came {came(said[name])}")
        return {name: said[name] for name in names if name in said}
    records = said if isinstance(said, list) else [said]
    columns: Columns = {name: [] for name in names}
    for number, record in enumerate(records):
        row = f"row {number}, " if len(records) > 1 else ""
        if not isinstance(record, dict):
            raise InputError(f"{row}expected an object with one value a column, came {came(record)}")
        for column in inputs:
            if column.name not in record:
                raise InputError(f"{row}column {column.name!r} is missing: expected {expected(column)}")
            columns[column.name].append(record[column.name])
    return columns


def _of_tensors(tensors: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Columns:
    """The elements of tensors [n, 1] or [n] by name; one tensor [n, k] holds all k columns, in their order."""
    elements = {str(tensor["name"]): _flat(tensor["data"]) for tensor in tensors}
    only = next(iter(elements.values()))
    if len(elements) == 1 and len(names) > 1 and not elements.keys() & set(names):
        if len(only) % len(names):
            raise InputError(f"expected a tensor of {len(names)} columns, came {len(only)} elements")
        return {name: only[index :: len(names)] for index, name in enumerate(names)}
    return dict(elements)


def _flat(data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise InputError(f"expected a tensor's data as a list, came {came(data)}")
    return [element for part in data for element in (_flat(part) if isinstance(part, list) else [part])]
