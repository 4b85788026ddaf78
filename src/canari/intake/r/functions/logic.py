"""Comparisons and logic: three-valued, with NaN for NA."""

import functools
from collections.abc import Sequence

import numpy as np

from canari.intake.onnx_graph import Array, take
from canari.intake.r.columns import Column
from canari.intake.r.functions.calls import (
    Call,
    Function,
    check_recycling,
    common_values,
    evaluate,
    function,
    texts,
    truth_of,
)
from canari.intake.r.language import function_name


def _logical(flags: Array, missing: list[Array], constant: bool) -> Column:
    values = flags.astype(np.float64)
    for flag in missing:
        values = np.where(flag, np.nan, values)
    return Column(values, "logical", constant=constant)


def _possible_missing(*operands: Column) -> list[Array]:
    return [o.missing() for o in operands if not o.constant or bool(np.any(o.missing()))]


def _comparison(ufunc: np.ufunc) -> Function:
    def compare(call: Call) -> Column:
        x, y = call.column("x"), call.column("y")
        check_recycling(call, x, y)
        constant = x.constant and y.constant
        if not x.is_text and not y.is_text:
            return _logical(ufunc(call.numbers("x"), call.numbers("y")), _possible_missing(x, y), constant)
        if ufunc not in (np.equal, np.not_equal):
            return Column(_compare_order(x, y, ufunc, call), "logical", constant=constant)
        return Column(_compare_texts(x, y, equal=ufunc is np.equal, call=call), "logical", constant=constant)

    return compare


def _compare_texts(x: Column, y: Column, *, equal: bool, call: Call) -> Array:
    if not x.is_text:
        x, y = y, x
    if y.constant:
        text = texts(y)[0] if not np.any(y.missing()) else None
        table = [np.nan if text is None else float((level == text) is equal) for level in x.levels]
        return x.lookup([*table, np.nan])
    if not y.is_text:
        call.refuse("compares a factor with a number; compare texts or numbers")
    pairs = [[float((a == b) is equal) for b in y.levels] + [np.nan] for a in x.levels] + [[np.nan] * (len(y.levels) + 1)]
    return take(np.array(pairs).ravel(), x.values * (len(y.levels) + 1) + y.values)


def _compare_order(x: Column, y: Column, ufunc: np.ufunc, call: Call) -> Array:
    """By the levels of an ordered factor; what is none of them is missing."""
    levels = next((column.levels for column in (x, y) if column.ordered), None)
    if levels is None:
        call.refuse("compares texts by their order, which depends on the language of the R session; use == or %in%")
    if not (x.is_text and y.is_text) or (x.ordered and y.ordered and x.levels != y.levels):
        call.refuse("compares an ordered factor with what has other levels")
    places = [
        c.lookup([*(float(levels.index(level)) if level in levels else np.nan for level in c.levels), np.nan]) for c in (x, y)
    ]
    return np.where(np.isnan(places[0]) | np.isnan(places[1]), np.nan, ufunc(*places).astype(np.float64))


@function("&", "x y")
def _and(call: Call) -> Column:
    x, y = (truth_of(call.column(name), call) for name in ("x", "y"))
    check_recycling(call, call.column("x"), call.column("y"))
    return Column(np.where((x == 0.0) | (y == 0.0), 0.0, x * y), "logical")


@function("|", "x y")
def _or(call: Call) -> Column:
    x, y = (truth_of(call.column(name), call) for name in ("x", "y"))
    check_recycling(call, call.column("x"), call.column("y"))
    return Column(np.where((x == 1.0) | (y == 1.0), 1.0, x + y), "logical")


@function("xor", "x y")
def _exclusive_or(call: Call) -> Column:
    x, y = (truth_of(call.column(name), call) for name in ("x", "y"))
    check_recycling(call, call.column("x"), call.column("y"))
    return Column(np.abs(x - y), "logical")


@function("!", "x")
def _not(call: Call) -> Column:
    x = call.column("x")
    return Column(1.0 - truth_of(x, call), "logical", constant=x.constant)


@function("is.na", "x")
def _is_na(call: Call) -> Column:
    x = call.column("x")
    return _logical(x.missing(), [], x.constant)


@function("is.finite", "x")
def _is_finite(call: Call) -> Column:
    x = call.numbers("x")
    return Column((np.abs(x) < np.inf).astype(np.float64), "logical", constant=call.column("x").constant)


@function("is.infinite", "x")
def _is_infinite(call: Call) -> Column:
    return Column(np.isinf(call.numbers("x")).astype(np.float64), "logical", constant=call.column("x").constant)


@function("between", "x left right")
def _between(call: Call) -> Column:
    x, left, right = (call.column(name) for name in ("x", "left", "right"))
    check_recycling(call, x, left, right)
    above, below = call.numbers("x") >= call.numbers("left"), call.numbers("x") <= call.numbers("right")
    # Where one bound decides, the other may be missing.
    outside = (call.numbers("x") < call.numbers("left")) | (call.numbers("x") > call.numbers("right"))
    return Column(np.where(above & below, 1.0, np.where(outside, 0.0, np.nan)), "logical")


@function("%in%", "x table")
def _in(call: Call) -> Column:
    x, table = call.column("x"), call.stored("table")
    if x.is_text:
        wanted = set(texts(table))
        return Column(x.lookup([*(float(level in wanted) for level in x.levels), 0.0]), "logical")
    numbers = call.numbers("x")
    found = [np.isnan(numbers) if np.isnan(value) else numbers == value for value in call.stored_numbers("table")]
    return _logical(functools.reduce(np.logical_or, found), [], x.constant)


@function("ifelse", "test yes no")
def _ifelse(call: Call) -> Column:
    truth = truth_of(call.column("test"), call)
    return _choice(call, [(truth == 1.0, call.column("yes")), (truth == 0.0, call.column("no"))], None)


@function("if_else", "condition true false missing")
def _if_else(call: Call) -> Column:
    truth = truth_of(call.column("condition"), call)
    cases = [(truth == 1.0, call.column("true")), (truth == 0.0, call.column("false"))]
    return _choice(call, cases, call.column("missing") if "missing" in call else None)


@function("case_when", "... .default")
def _case_when(call: Call) -> Column:
    cases = []
    for case in call.rest:
        if case.type != "language" or function_name(case) != "~" or len(case.value) != 3:
            call.refuse("has a case that is not written condition ~ value")
        condition, value = (evaluate(part, call.columns) for _, part in case.value[1:])
        cases.append((truth_of(condition, call) == 1.0, value))
    return _choice(call, cases, call.column(".default") if ".default" in call else None)


@function("coalesce", "...")
def _coalesce(call: Call) -> Column:
    found = [evaluate(argument, call.columns) for argument in call.rest]
    return _choice(call, [(np.logical_not(column.missing()), column) for column in found], None)


def _choice(call: Call, cases: Sequence[tuple[Array, Column]], otherwise: Column | None) -> Column:
    """The value of the first case that is true, else `otherwise`, or a missing one."""
    values = [value for _, value in cases] + ([] if otherwise is None else [otherwise])
    if not cases:
        call.refuse("has no cases")
    check_recycling(call, *values)
    # A missing logical constant is missing in any kind of vector.
    missing = [value.constant and value.kind == "logical" and bool(np.all(value.missing())) for value in values]
    kind, levels, numbers = common_values([v for v, no in zip(values, missing, strict=True) if not no] or values, call)
    nothing = float(len(levels)) if levels else np.nan
    left = iter(numbers)
    chosen = [np.array([[nothing]]) if no and levels else next(left) if not no else np.array([[np.nan]]) for no in missing]
    result = chosen[-1] if otherwise is not None else np.array([[nothing]])
    for (condition, _), value in reversed(list(zip(cases, chosen, strict=False))):
        result = np.where(condition, value, result)
    return Column(result.astype(np.int64) if levels else result, kind, levels)


for _name, _ufunc in {
    "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal
}.items():  # fmt: skip
    function(_name, "x y")(_comparison(_ufunc))
