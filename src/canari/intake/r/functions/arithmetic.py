"""Arithmetic and functions of numbers."""

from collections.abc import Callable, Mapping

import numpy as np

from canari.intake.onnx_graph import Array
from canari.intake.r.columns import Column
from canari.intake.r.functions.calls import INTEGER_MAX, Call, Function, check_recycling, evaluate, function
from canari.intake.r.language import deparse


@function("( I identity offset C relevel droplevels", "x ref contr how.many")
def _same(call: Call) -> Column:
    # relevel() and the like change the order of levels only, and the model stores the order it was fitted with.
    return call.column("x")


def _arithmetic(ufunc: np.ufunc, *, keeps_integers: bool) -> Function:
    def calculate(call: Call) -> Column:
        if "y" not in call:
            x = call.column("x")
            values = x.numbers(deparse(call.expression))
            return Column(
                -values if ufunc is np.subtract else values,
                "integer" if x.kind == "logical" else x.kind,
                constant=x.constant,
            )
        x, y = call.column("x"), call.column("y")
        check_recycling(call, x, y)
        result = ufunc(call.numbers("x"), call.numbers("y"))
        integer = keeps_integers and {x.kind, y.kind} <= {"integer", "logical"}
        if integer:
            result = np.where(np.abs(result) > INTEGER_MAX, np.nan, result)
        return Column(result, "integer" if integer else "number", constant=x.constant and y.constant)

    return calculate


for _name, _ufunc in {"+": np.add, "-": np.subtract, "*": np.multiply}.items():
    function(_name, "x y")(_arithmetic(_ufunc, keeps_integers=True))
for _name, _ufunc in {"/": np.divide, "^": np.power}.items():
    function(_name, "x y")(_arithmetic(_ufunc, keeps_integers=False))


@function("%%", "x y")
def _remainder(call: Call) -> Column:
    x, y = call.numbers("x"), call.numbers("y")
    check_recycling(call, call.column("x"), call.column("y"))
    rest = x - np.floor(x / y) * y
    rest = rest - np.floor(rest / y) * y
    return Column(rest, "number", constant=call.column("x").constant and call.column("y").constant)


@function("%/%", "x y")
def _whole_quotient(call: Call) -> Column:
    x, y = call.numbers("x"), call.numbers("y")
    check_recycling(call, call.column("x"), call.column("y"))
    quotient = np.floor(x / y)
    corrected = quotient + np.floor((x - quotient * y) / y)
    result = np.where(y == 0.0, x / y, corrected)
    return Column(result, "number", constant=call.column("x").constant and call.column("y").constant)


def _of_one_number(compute: Callable[[Array], Array]) -> Function:
    def calculate(call: Call) -> Column:
        return Column(compute(call.numbers("x")), "number", constant=call.column("x").constant)

    return calculate


_ONE_NUMBER: Mapping[str, Callable[[Array], Array]] = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log1p": np.log1p,
    "log2": np.log2,
    "log10": np.log10,
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "atan": np.arctan,
    "tanh": np.tanh,
    "floor": np.floor,
    "ceiling": np.ceil,
    "sign": np.sign,
    "trunc": lambda x: np.where(x < 0.0, np.ceil(x), np.floor(x)),
    "plogis": lambda x: 1.0 / (1.0 + np.exp(-x)),
    "qlogis": lambda p: np.log(p / (1.0 - p)),
}
for _name, _compute in _ONE_NUMBER.items():
    function(_name, "x")(_of_one_number(_compute))


@function("abs", "x")
def _absolute(call: Call) -> Column:
    x = call.column("x")
    return Column(np.abs(call.numbers("x")), "number" if x.kind == "number" else "integer", constant=x.constant)


@function("round", "x digits")
def _round(call: Call) -> Column:
    if call.stored_number("digits", 0) != 0:
        call.refuse("rounds to digits, which R does in higher precision; round to whole numbers, or compute the column before")
    return Column(np.rint(call.numbers("x")), "number", constant=call.column("x").constant)


@function("log", "x base")
def _log(call: Call) -> Column:
    x = call.numbers("x")
    constant = call.column("x").constant
    if "base" not in call:
        return Column(np.log(x), "number", constant=constant)
    base = call.stored_number("base", np.e)
    return Column({10.0: np.log10, 2.0: np.log2}.get(base, lambda v: np.log(v) / np.log(base))(x), "number", constant=constant)


def _smallest_or_largest(ufunc: np.ufunc) -> Function:
    def calculate(call: Call) -> Column:
        operands = [evaluate(argument, call.columns) for argument in call.rest]
        if not operands:
            call.refuse("has no arguments")
        check_recycling(call, *operands)
        where = deparse(call.expression)
        result = operands[0].numbers(where)
        for operand in operands[1:]:
            other = operand.numbers(where)
            least = ufunc(result, other)
            if call.stored_number("na.rm", 0):
                least = np.where(np.isnan(result), other, np.where(np.isnan(other), result, least))
            result = least
        return Column(result, "number", constant=all(o.constant for o in operands))

    return calculate


for _name, _ufunc in {"pmin": np.minimum, "pmax": np.maximum}.items():
    function(_name, "... na.rm")(_smallest_or_largest(_ufunc))
