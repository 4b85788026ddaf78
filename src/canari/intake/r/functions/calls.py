"""Calls in a formula: their arguments, and the registry of the functions that are translated."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array
from canari.intake.r.columns import Column, Kind
from canari.intake.r.language import deparse, function_name, match_arguments, number_as_text
from canari.intake.rds import RObject

INTEGER_MAX = 2**31 - 1  # R's integers beyond it are NA
_CONSTANTS = {"pi": np.pi, "T": 1.0, "F": 0.0}

_NEED_ALL_ROWS = frozenset(
    {"mean", "median", "sd", "var", "min", "max", "sum", "range", "quantile", "rank", "order", "cumsum", "diff", "lag", "length"}
    | {"nrow", "rep", "rev", "ave"}
)


def evaluate(expression: RObject, columns: Mapping[str, Column]) -> Column:
    """The value of an expression in the data's columns; raises `IntakeError` naming what is not translated."""
    match expression.type:
        case "symbol":
            return _variable(expression.value, columns)
        case "language":
            name = function_name(expression)
            if name not in FUNCTIONS:
                raise IntakeError(_unknown_function(name, expression))
            formals, function = FUNCTIONS[name]
            arguments, rest = match_arguments(expression, formals)
            return function(Call(expression, arguments, rest, columns))
        case "double":
            return constant_of(expression.doubles(), "number")
        case "integer" if expression.classes:
            return text_constant(expression.strings())
        case "integer" | "logical":
            return constant_of(expression.doubles(), "integer" if expression.type == "integer" else "logical")
        case "character":
            return text_constant(expression.strings())
    raise IntakeError(f"the formula holds `{deparse(expression)}`, which is not translated")


@dataclass(frozen=True)
class Call:
    """A call with its arguments matched; the methods evaluate them, and refuse what they cannot."""

    expression: RObject
    arguments: Mapping[str, RObject]
    rest: list[RObject]  # the arguments of `...`
    columns: Mapping[str, Column]
    _values: dict[str, Column] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.arguments and not self.arguments[name].is_null

    def column(self, name: str) -> Column:
        """An argument's value."""
        if name not in self.arguments:
            self.refuse(f"lacks its argument {name!r}")
        if name not in self._values:
            self._values[name] = evaluate(self.arguments[name], self.columns)
        return self._values[name]

    def numbers(self, name: str) -> Array:
        """An argument's numbers."""
        return self.column(name).numbers(deparse(self.expression))

    def stored(self, name: str) -> Column:
        """An argument that must be a constant, in the formula or stored by the fit."""
        column = self.column(name)
        if not column.constant:
            self.refuse(f"needs a constant for {name!r}")
        return column

    def stored_numbers(self, name: str) -> npt.NDArray[np.float64]:
        """A constant's numbers, [m]."""
        return np.asarray(self.stored(name).numbers(deparse(self.expression)), np.float64).ravel()

    def stored_number(self, name: str, default: float) -> float:
        """A constant of one number; `default` where the call does not give it."""
        if name not in self:
            return default
        values = self.stored_numbers(name)
        if len(values) != 1:
            self.refuse(f"needs one number for {name!r}")
        return float(values[0])

    def stored_texts(self, name: str) -> list[str]:
        """A constant's texts."""
        return texts(self.stored(name))

    def refuse(self, reason: str) -> NoReturn:
        """Say why this call is not translated."""
        raise IntakeError(f"`{deparse(self.expression)}` {reason}")


Function = Callable[[Call], Column]
FUNCTIONS: dict[str, tuple[tuple[str, ...], Function]] = {}


def function(names: str, formals: str) -> Callable[[Function], Function]:
    """Register the translation of R's functions `names`, with the formal arguments that it understands."""

    def register(function: Function) -> Function:
        for name in names.split():
            FUNCTIONS[name] = (tuple(formals.split()), function)
        return function

    return register


def _unknown_function(name: str, call: RObject) -> str:
    if name in _NEED_ALL_ROWS:
        return (
            f"`{deparse(call)}`: {name}() depends on all rows together, and the model does not store what it was in training; "
            "compute it once and write the numbers into the formula"
        )
    if name in ("$", "[", "[["):
        return f"`{deparse(call)}` takes a variable out of an object; fit with `data =` and the column's own name"
    return (
        f"the function {name}() in `{deparse(call)}` is not translated; compute the column before, and let the model take it. "
        f"Translated are: {', '.join(sorted(n for n in FUNCTIONS if n[0].isalpha()))}"
    )


def _variable(name: str, columns: Mapping[str, Column]) -> Column:
    if name in columns:
        return columns[name]
    if name in _CONSTANTS:
        return constant_of(np.array([_CONSTANTS[name]]), "number" if name == "pi" else "logical")
    raise IntakeError(
        f"the formula uses {name!r}, which is no column of the rows: the value that it had in R's environment is not part of the "
        "model; write it into the formula as a number, or make it a column"
    )


def constant_of(values: Any, kind: Kind) -> Column:
    """A constant vector."""
    return Column(np.asarray(values, np.float64).reshape(1, -1), kind, constant=True)


def text_constant(texts: list[str | None]) -> Column:
    """A constant vector of texts."""
    levels = tuple(dict.fromkeys(text for text in texts if text is not None))
    codes = [len(levels) if text is None else levels.index(text) for text in texts]
    return Column(np.array([codes], np.int64), "character", levels, constant=True)


def texts(column: Column) -> list[str]:
    """A constant's elements as R's `as.character` writes them."""
    if column.is_text:
        return [(*column.levels, "NA")[code] for code in column.values.ravel()]
    if column.kind == "logical":
        return ["TRUE" if value else "FALSE" for value in column.values.ravel()]
    return [number_as_text(float(value)) for value in column.values.ravel()]


def check_recycling(call: Call, *operands: Column) -> None:
    """A constant vector beside a column would be recycled along the rows, which depends on their number."""
    if not all(operand.constant for operand in operands) and any(o.constant and o.values.shape[1] != 1 for o in operands):
        call.refuse("calculates with a vector of several numbers")


def truth_of(column: Column, call: Call) -> Array:
    """As R's `as.logical`: 1 for any number but 0, NaN where missing."""
    values = column.numbers(deparse(call.expression))
    if column.kind == "logical":
        return values
    truth: Array = np.where(np.isnan(values), np.nan, (values != 0.0).astype(np.float64))
    return truth
