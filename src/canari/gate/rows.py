"""The rows that a gate sends: a person's own from a CSV file, or drawn from what a signature says of them."""

import time
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

import msgspec

from canari.errors import CanariError, InputError
from canari.gate.arrivals import stream
from canari.gate.http import NoAnswerError, call
from canari.model import Columns, Value
from canari.runtime import tabular
from canari.signature import Input, Signature

GENERATED = 1000
_PAUSE_SECONDS = 0.2
_MISSING_SHARE = 0.02  # of the values of a column that may be missing


def ask_signature(url: str, timeout: float, patience: float = 1.0) -> Signature:
    """The signature that a server of canari gives at `/signature`, asked again for `patience` seconds while it gives none.

    Raises `NoAnswerError`, which says what came last.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return _signature(f"{url.rstrip('/')}/signature", timeout)
        except NoAnswerError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_SECONDS)


def _signature(url: str, timeout: float) -> Signature:
    answer = call(url, timeout=timeout, headers={"X-Canari-Synthetic": "1"})
    if answer.status != HTTPStatus.OK:
        raise NoAnswerError(f"{url}: expected a signature, came HTTP {answer.status}")
    try:
        return msgspec.json.decode(answer.body, type=Signature)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NoAnswerError(f"{url}: not a signature: {error}") from None


def generate(inputs: Sequence[Input], count: int, seed: int) -> Columns:
    """Draw `count` rows: numbers uniform in their range, levels by their shares, each column on its own."""
    return {column.name: _draw(column, count, seed) for column in inputs}


def _draw(column: Input, count: int, seed: int) -> list[Value]:
    random = stream(seed, f"column {column.name}")
    low, high = column.range or (0.0, 1.0)
    values: list[Value]
    match column.kind:
        case "number":
            values = [random.uniform(low, high) for _ in range(count)]
        case "integer":
            values = [random.randint(round(low), max(round(low), round(high))) for _ in range(count)]
        case "boolean":
            values = [random.random() < 0.5 for _ in range(count)]
        case "category":
            # A category without levels takes any text.
            weights = column.shares if any(column.shares) else None
            values = list(random.choices(column.levels or ("",), weights, k=count))
    return [None if column.missing and random.random() < _MISSING_SHARE else value for value in values]


def records(columns: Columns) -> list[dict[str, Value]]:
    """Columns as one dictionary a row."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def read_csv(path: Path, inputs: Sequence[Input]) -> Columns:
    """The rows of a CSV file as `canari predict` reads them, at least one; raises `InputError` with file, line and column."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            columns = tabular.read_csv(file, inputs, str(path)).columns
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if not records(columns):
        raise InputError(f"{path}: has no rows")
    for column in inputs:
        if column.kind == "integer":
            columns[column.name] = [None if value is None else int(value) for value in columns[column.name]]
    return columns


def check_some(columns: Columns) -> Columns:
    """Return `columns` if they hold at least one row of at least one column; else raise `CanariError`."""
    if not records(columns):
        raise CanariError("there are no rows to send")
    return columns
