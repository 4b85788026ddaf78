"""R's vectors while a formula is evaluated: numpy arrays, or traced ones that stand for them."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array, level_codes, take
from canari.signature import Input

# "uncoded" is what factor(x) makes of numbers before it is known which ones are levels.
Kind: TypeAlias = Literal["number", "integer", "logical", "factor", "character", "uncoded"]


@dataclass(frozen=True)
class Column:
    """A variable of a formula, or a constant in it.

    `values` is float64 [n, m] with NaN where missing (a logical is 0 or 1); of a factor or character column int64 [n, 1],
    positions in `levels`, and len(levels) where missing. A constant has one row, and a column for each of its elements.
    """

    values: Array
    kind: Kind
    levels: tuple[str, ...] = ()
    constant: bool = False
    ordered: bool = False  # of a factor: whether its levels may be compared

    @property
    def is_text(self) -> bool:
        """Whether it has levels rather than numbers."""
        return self.kind in ("factor", "character")

    def numbers(self, where: str) -> Array:
        """Its numbers; raises `IntakeError` for a factor, saying `where`."""
        if self.is_text or self.kind == "uncoded":
            kind = self.kind if self.is_text else "factor"
            raise IntakeError(f"`{where}` calculates with a {kind}, of which R makes no number")
        return self.values

    def lookup(self, table: Any) -> Array:
        """An element of `table` for each row; the last one is for a missing value."""
        return take(np.asarray(table), self.values)

    def missing(self) -> Array:
        """True where a value is missing."""
        found: Array = self.values == len(self.levels) if self.is_text else np.isnan(self.values)
        return found

    def coded(self, levels: tuple[str, ...], name: str) -> "Column":
        """As a factor of these levels; any other value becomes a missing one."""
        if self.is_text and self.levels == levels:
            return Column(self.values, "factor", levels, self.constant)
        if self.is_text:
            position = {level: code for code, level in enumerate(levels)}
            codes = self.lookup([*(position.get(level, len(levels)) for level in self.levels), len(levels)])
        elif self.kind == "logical" and set(levels) <= {"FALSE", "TRUE"}:
            return logical_as_factor(self).coded(levels, name)
        elif self.kind == "uncoded":
            codes = np.where(self.values == _level_value(levels[0], name), 0, len(levels))
            for code, level in list(enumerate(levels))[1:]:
                codes = np.where(self.values == _level_value(level, name), code, codes)
        else:
            raise IntakeError(f"{name!r} had levels when the model was fitted, but is {self.kind} in the rows")
        return Column(codes, "factor", levels, self.constant)


TextKind: TypeAlias = Literal["factor", "ordered", "character"]


def from_feed(column: Input, values: Array, text: TextKind = "factor", first: tuple[str, ...] = ()) -> Column:
    """A column of a model's feeds; `text` is what R had in the place of a category, `first` the levels that R counted first."""
    if column.kind == "category":
        kind: Kind = "character" if text == "character" else "factor"
        levels = tuple(dict.fromkeys(first + column.levels))
        return Column(level_codes(values, levels), kind, levels, ordered=text == "ordered")
    return Column(values, "logical" if column.kind == "boolean" else column.kind)


def logical_as_factor(column: Column) -> Column:
    """R codes a logical variable of a formula like a factor."""
    return Column(np.where(np.isnan(column.values), 2.0, column.values).astype(np.int64), "factor", ("FALSE", "TRUE"))


def _level_value(level: str, name: str) -> float:
    try:
        return float(level)
    except ValueError:
        raise IntakeError(f"{name!r} is a number in the rows, but has the level {level!r} in the model") from None
