"""What the translations compute with: tables of columns, and the functions that numpy arrays and traced ones share.

A traced array (`canari.intake.onnx_graph`) stands for a value of the ONNX graph, so each translation is written once.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from canari.errors import IntakeError
from canari.intake.onnx_graph import Traced

Values: TypeAlias = Any  # numpy.ndarray or Traced, [n, k]


class Table:
    """Columns of numbers, or of text, that one step hands to the next."""

    def __init__(self, columns: Sequence[Values] | None = None, matrix: Values | None = None) -> None:
        self._columns = columns
        self._matrix = matrix

    def __len__(self) -> int:
        if self._columns is not None:
            return len(self._columns)
        return int(self.numbers.shape[1])

    @property
    def numbers(self) -> Values:
        """All columns as a float64 matrix; raises `IntakeError` where one is text."""
        if self._matrix is None:
            assert self._columns is not None  # noqa: S101  # one of the two is given
            if any(is_text(column) for column in self._columns):
                raise IntakeError("a step takes a column of text for numbers")
            self._matrix = side_by_side(self._columns)
        return self._matrix

    def column(self, index: int) -> Values:
        """One column, [n, 1]."""
        return take_columns(self.numbers, [index]) if self._columns is None else self._columns[index]

    def select(self, indices: Sequence[int]) -> "Table":
        """Some of the columns, in that order."""
        if self._columns is not None:
            return Table([self._columns[i] for i in indices])
        return self if list(indices) == list(range(len(self))) else Table(matrix=take_columns(self.numbers, indices))


def beside(tables: Sequence[Table]) -> Table:
    """The columns of all tables, one after the other."""
    tables = [table for table in tables if len(table)]
    if len(tables) == 1:
        return tables[0]
    if any(is_text(table.column(i)) for table in tables for i in range(len(table))):
        return Table([table.column(i) for table in tables for i in range(len(table))])
    return Table(matrix=side_by_side([table.numbers for table in tables]))


def is_text(values: Values) -> bool:
    """Whether these are texts."""
    sample = values.sample if isinstance(values, Traced) else values
    return bool(sample.dtype == object)


def side_by_side(parts: Sequence[Values]) -> Values:
    """Matrices with the same rows as one."""
    return parts[0] if len(parts) == 1 else np.concatenate(list(parts), axis=1)


def take_columns(values: Values, indices: Sequence[int]) -> Values:
    """Some columns of a matrix, in that order."""
    return np.take(values, np.asarray(indices, np.int64), axis=1)


def row_sum(values: Values, axis: int = 1) -> Values:
    """Sums along an axis, which stays with length 1 (axis 1) or goes (axis 2)."""
    keep = axis == 1
    if isinstance(values, Traced):
        sample = values.sample.sum(axis, keepdims=keep)
        return values.graph.emit("ReduceSum", [values, np.array([axis])], sample, keepdims=int(keep))
    return values.sum(axis, keepdims=keep)


def row_max(values: Values) -> Values:
    """The largest value of each row, [n, 1]."""
    if isinstance(values, Traced):
        return values.graph.emit("ReduceMax", [values, np.array([1])], values.sample.max(1, keepdims=True), keepdims=1)
    return values.max(1, keepdims=True)


def clip(values: Values, low: Any, high: Any) -> Values:
    """Values within bounds."""
    return np.minimum(np.maximum(values, low), high)


def constant(like: Values, row: Any) -> Values:
    """The same row, [k], for each row of `like`, whose values do not matter."""
    row = np.asarray(row, np.float64).reshape(1, -1)
    return np.where(np.isnan(take_columns(like, [0])), row, row)


def expit(values: Values) -> Values:
    """The logistic function."""
    return 1.0 / (1.0 + np.exp(-values))


def softmax(values: Values) -> Values:
    """exp(x) over its sum, by row."""
    powers = np.exp(values - row_max(values))
    return powers / row_sum(powers)


def two_columns(positive: Values) -> Values:
    """The probabilities of both classes from that of the second."""
    return side_by_side([1.0 - positive, positive])


def squared_distances(X: Values, points: Any) -> Values:
    """From each row to each of m points, [n, m]."""
    points = np.asarray(points, np.float64)
    difference = np.reshape(X, (-1, 1, points.shape[1])) - points
    return row_sum(difference * difference, axis=2)
