"""Calls in a formula: their arguments, and the registry of the functions that are translated."""

from collections.abc import Callable, Iterator, Mapping, Sequence
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
_MOST_INLINED = 1_000

_NEED_ALL_ROWS = frozenset(
    {"mean", "median", "sd", "var", "min", "max", "sum", "range", "quantile", "rank", "order", "cumsum", "diff", "lag", "length"}
    | {"nrow", "rep", "rev", "ave"}
)


def evaluate(expression: RObject, columns: Mapping[str, Column]) -> Column:
    """The value of an expression in the data's columns; raises `IntakeError` naming what is not translated.

    The columns may be a `Scope`, which knows what the file holds of R's environment.
    """
    match expression.type:
        case "symbol":
            return _variable(expression.value, columns)
        case "language":
            name = function_name(expression)
            if isinstance(columns, Scope) and (own := columns.function(name)) is not None:
                return _inlined(own, expression, columns)
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


class Scope(Mapping[str, Column]):
    """The columns of the data, then the constants that the file holds in an environment and those around it."""

    def __init__(self, columns: Mapping[str, Column], environment: RObject | None, budget: list[int] | None = None) -> None:
        self._columns = columns
        self._environment = environment
        self.budget = [_MOST_INLINED] if budget is None else budget  # what is left of it, shared by all scopes of a formula

    def __getitem__(self, name: str) -> Column:
        if name in self._columns:
            return self._columns[name]
        found = variable_of(self._environment, name)
        if found is None:
            raise KeyError(name)
        return evaluate(found, {})

    def __contains__(self, name: object) -> bool:
        return name in self._columns or variable_of(self._environment, str(name)) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def function(self, name: str) -> RObject | None:
        """A function of the person's own."""
        found = None if self._environment is None else self._environment.lookup(name)
        return found if found is not None and found.type == "closure" else None


def variable_of(environment: RObject | None, name: str) -> RObject | None:
    """A plain vector or factor that the file holds in an environment or those around it; None where it has none."""
    found = None if environment is None else environment.lookup(name)
    if found is None or found.type not in ("double", "integer", "logical", "character"):
        return None
    plain = not found.dim and set(found.classes) <= {"factor"} and len(found.value)
    return found if plain else None


def _inlined(own: RObject, call: RObject, scope: Scope) -> Column:
    """The value of a call of a person's own function, whose body is one expression in its arguments."""
    environment, formals, body = own.value
    scope.budget[0] -= 1
    if scope.budget[0] < 0:
        raise IntakeError(f"`{deparse(call)}` calls functions more than {_MOST_INLINED} times; compute the column before")
    names = [name for name, _ in formals.items()]
    if "..." in names:
        raise IntakeError(f"`{deparse(call)}`: a function with the argument `...` is not translated; compute the column before")
    matched, rest = match_arguments(call, names)
    if rest:
        raise IntakeError(f"`{deparse(call)}` gives more arguments than the function has")
    given = {name: evaluate(argument, scope) for name, argument in matched.items()}
    inner = Scope(given, environment, scope.budget)
    for name, default in formals.items():
        if name not in given and not (default.type == "symbol" and default.value == ""):
            given[name] = evaluate(default, inner)
    return evaluate(_only_expression(body, call), inner)


def _only_expression(body: RObject, call: RObject) -> RObject:
    """What a function answers, without braces and return()."""
    while body.type == "language" and function_name(body) in ("{", "return"):
        if len(body.value) != 2:
            raise IntakeError(
                f"`{deparse(call)}`: the function {function_name(call)}() does more than answer one expression, which is not "
                "translated; compute the column before, and let the model take it"
            )
        body = body.value[1][1]
    return body


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
    if name in CONSTANTS:
        return CONSTANTS[name]
    raise IntakeError(
        f"the formula uses {name!r}, which is no column of the rows: the value that it had in R's global environment is not part "
        "of the file; write it into the formula as a number, fit the model in a function that has it, or make it a column"
    )


def constant_of(values: Any, kind: Kind) -> Column:
    """A constant vector."""
    return Column(np.asarray(values, np.float64).reshape(1, -1), kind, constant=True)


def text_constant(texts: list[str | None]) -> Column:
    """A constant vector of texts."""
    levels = tuple(dict.fromkeys(text for text in texts if text is not None))
    codes = [len(levels) if text is None else levels.index(text) for text in texts]
    return Column(np.array([codes], np.int64), "character", levels, constant=True)


def of_letters(first: str) -> Column:
    """The alphabet from this letter on."""
    return text_constant([chr(ord(first) + i) for i in range(26)])


# Of R's package base.
CONSTANTS: Mapping[str, Column] = {
    "pi": constant_of(np.pi, "number"),
    "T": constant_of(1.0, "logical"),
    "F": constant_of(0.0, "logical"),
    "letters": of_letters("a"),
    "LETTERS": of_letters("A"),
}


def texts(column: Column) -> list[str]:
    """A constant's elements as R's `as.character` writes them."""
    if column.is_text:
        return [(*column.levels, "NA")[code] for code in column.values.ravel()]
    if column.kind == "logical":
        return ["TRUE" if value else "FALSE" for value in column.values.ravel()]
    return [number_as_text(float(value)) for value in column.values.ravel()]


def common_values(columns: Sequence[Column], call: Call) -> tuple[Kind, tuple[str, ...], list[Array]]:
    """The kind and levels that these have in common, and the values of each as of that kind."""
    if all(column.kind == "character" for column in columns):
        levels = tuple(dict.fromkeys(level for column in columns for level in column.levels))
        return "character", levels, [column.coded(levels, deparse(call.expression)).values for column in columns]
    if any(column.is_text for column in columns):
        call.refuse("answers a factor, or a text in one case and a number in the other")
    kinds = {column.kind for column in columns}
    kind: Kind = "logical" if kinds == {"logical"} else "integer" if kinds <= {"logical", "integer"} else "number"
    return kind, (), [column.numbers(deparse(call.expression)) for column in columns]


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
