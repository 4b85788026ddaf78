"""Arithmetic and functions of numbers."""

from collections.abc import Callable, Mapping

import numpy as np
from scipy import special

from canari.intake.onnx_graph import Array
from canari.intake.r.columns import Column
from canari.intake.r.functions.calls import INTEGER_MAX, Call, Function, check_recycling, evaluate, function
from canari.intake.r.language import deparse

_MOST_DIGITS = 15


@function("( I identity offset C relevel droplevels as.vector drop suppressWarnings", "x ref contr how.many")
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
            # A caller's number that is too large for an integer of R is a double there, and so is what is made of it.
            overflows = (np.abs(result) > INTEGER_MAX) & (np.abs(x.values) <= INTEGER_MAX) & (np.abs(y.values) <= INTEGER_MAX)
            result = np.where(overflows, np.nan, result)
        return Column(result, "integer" if integer else "number", constant=x.constant and y.constant)

    return calculate


for _name, _ufunc in {"+": np.add, "-": np.subtract, "*": np.multiply}.items():
    function(_name, "x y")(_arithmetic(_ufunc, keeps_integers=True))
for _name, _ufunc in {"/": np.divide, "^": np.power}.items():
    function(_name, "x y")(_arithmetic(_ufunc, keeps_integers=False))


@function("%%", "x y")
def _remainder(call: Call) -> Column:
    x, y = call.numbers("x"), call.numbers("y")
    rest = _less_multiple(call, np.floor(x / y))
    return _divided(call, rest - np.floor(rest / y) * y)


@function("%/%", "x y")
def _whole_quotient(call: Call) -> Column:
    x, y = call.numbers("x"), call.numbers("y")
    quotient = np.floor(x / y)
    corrected = quotient + np.floor(_less_multiple(call, quotient) / y)
    return _divided(call, np.where(np.isinf(x / y), x / y, corrected))


def _divided(call: Call, values: Array) -> Column:
    """Of integers an integer, missing where the divisor is zero."""
    x, y = call.column("x"), call.column("y")
    check_recycling(call, x, y)
    integer = {x.kind, y.kind} <= {"integer", "logical"}
    if integer:
        values = np.where(y.values == 0.0, np.nan, values)
    return Column(values, "integer" if integer else "number", constant=x.constant and y.constant)


def _less_multiple(call: Call, quotient: Array) -> Array:
    """What is left of x, with the product's rounding error (Dekker), as R has it from longer numbers."""
    x, y = call.numbers("x"), call.numbers("y")
    product = quotient * y
    if call.column("y").kind == "integer" or (call.column("y").constant and bool(np.all(np.rint(y) == y))):
        rest: Array = x - product  # exact for all that a double counts
        return rest
    (a, b), (c, d) = _halves(quotient), _halves(y)
    rounding = b * d - (((product - a * c) - b * c) - a * d)
    precise: Array = np.where(np.abs(rounding) < np.inf, (x - product) - rounding, x - product)
    return precise


def _halves(x: Array) -> tuple[Array, Array]:
    """Veltkamp: two numbers of 26 bits that add up to x."""
    scaled = 134217729.0 * x
    high = scaled - (scaled - x)
    return high, x - high


def _of_one_number(compute: Callable[[Array], Array]) -> Function:
    def calculate(call: Call) -> Column:
        return Column(compute(call.numbers("x")), "number", constant=call.column("x").constant)

    return calculate


def _halved_difference(grown: Array) -> Array:
    """(exp(x) - exp(-x)) / 2 from exp(x) - 1."""
    half: Array = (grown + grown / (grown + 1.0)) / 2.0
    return half


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
    "asin": lambda x: np.arctan(x / np.sqrt((1.0 - x) * (1.0 + x))),
    "acos": lambda x: 2.0 * np.arctan(np.sqrt((1.0 - x) / (1.0 + x))),
    "atan": np.arctan,
    "sinh": lambda x: _halved_difference(np.expm1(np.abs(x))) * np.sign(x),
    "cosh": lambda x: (np.exp(x) + np.exp(-x)) / 2.0,
    "tanh": np.tanh,
    "asinh": lambda x: np.where(np.isinf(x), x, np.sign(x) * np.log1p(np.abs(x) + x * x / (1.0 + np.sqrt(x * x + 1.0)))),
    "acosh": lambda x: np.log(x + np.sqrt(x * x - 1.0)),
    "atanh": lambda x: 0.5 * np.log1p(2.0 * x / (1.0 - x)),
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
    digits = np.floor(call.stored_number("digits", 0) + 0.5)
    if not abs(digits) <= _MOST_DIGITS:
        call.refuse(f"rounds to {digits:g} digits; at most {_MOST_DIGITS} are translated")
    x = call.numbers("x")
    return Column(_rounded(x, int(digits)) if digits else np.rint(x), "number", constant=call.column("x").constant)


def _rounded(x: Array, digits: int) -> Array:
    """R 4's rounding: the nearer of the two neighbours with so many digits, as doubles; the even one where both are as near."""
    power = 10.0 ** abs(digits)
    size = np.abs(x)
    scaled = size * power if digits > 0 else size / power
    below, above = np.floor(scaled), np.ceil(scaled)
    low, high = (below / power, above / power) if digits > 0 else (below * power, above * power)
    down, up = size - low, high - size
    even = np.floor(below / 2.0) * 2.0 == below
    nearer = np.where((down < up) | ((down == up) & even), low, high)
    # A number that has no more than 15 digits in all stays as it is.
    return np.where(scaled < 1e15, np.sign(x) * nearer, x)


@function("atan2", "y x")
def _angle(call: Call) -> Column:
    y, x = call.numbers("y"), call.numbers("x")
    check_recycling(call, call.column("y"), call.column("x"))
    both = np.isinf(x) & np.isinf(y)
    x, y = np.where(both, np.sign(x), x), np.where(both, np.sign(y), y)
    half = np.where((y < 0.0) | (1.0 / y < 0.0), -np.pi, np.pi)  # of -0 too
    side = np.where(y == 0.0, np.where(x < 0.0, half, 0.0), half / 2.0)
    angle = np.where(x == 0.0, side, np.arctan(y / x) + np.where(x < 0.0, half, 0.0))
    constant = call.column("x").constant and call.column("y").constant
    return Column(np.where(np.isnan(x) | np.isnan(y), np.nan, angle), "number", constant=constant)


@function("pnorm", "q mean sd")
def _normal_distribution(call: Call) -> Column:
    standard = (call.numbers("q") - call.stored_number("mean", 0.0)) / call.stored_number("sd", 1.0)
    return Column(special.ndtr(standard), "number", constant=call.column("q").constant)


@function("dnorm", "x mean sd")
def _normal_density(call: Call) -> Column:
    sd = call.stored_number("sd", 1.0)
    standard = (call.numbers("x") - call.stored_number("mean", 0.0)) / sd
    density = np.exp(-0.5 * standard * standard) / (np.sqrt(2.0 * np.pi) * sd)
    return Column(density, "number", constant=call.column("x").constant)


@function("cbind", "")
def _bind(call: Call) -> Column:
    parts = [evaluate(argument, call.columns) for _, argument in call.expression.value[1:]]
    if not parts or any(part.constant for part in parts):
        call.refuse("combines constants; only columns may be combined")
    where = deparse(call.expression)
    integer = {part.kind for part in parts} <= {"integer", "logical"}
    return Column(np.concatenate([part.numbers(where) for part in parts], axis=1), "integer" if integer else "number")


def _of_a_row(*, mean: bool) -> Function:
    def calculate(call: Call) -> Column:
        x = call.numbers("x")
        ones = np.ones((x.shape[1], 1))
        if not call.stored_number("na.rm", 0):
            return Column((x @ ones) / (x.shape[1] if mean else 1), "number")
        known = np.where(np.isnan(x), 0.0, 1.0) @ ones
        total = np.where(np.isnan(x), 0.0, x) @ ones
        return Column(total / known if mean else total, "number")

    return calculate


for _name in ("rowSums", "rowMeans"):
    function(_name, "x na.rm dims")(_of_a_row(mean=_name == "rowMeans"))


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
        integer = {operand.kind for operand in operands} <= {"integer", "logical"}
        return Column(result, "integer" if integer else "number", constant=all(o.constant for o in operands))

    return calculate


for _name, _ufunc in {"pmin": np.minimum, "pmax": np.maximum}.items():
    function(_name, "... na.rm")(_smallest_or_largest(_ufunc))
