"""Comparisons and logic: three-valued, with NaN for NA."""

import functools

import numpy as np

from canari.intake.onnx_graph import Array, take
from canari.intake.r.columns import Column
from canari.intake.r.functions.calls import Call, Function, check_recycling, function, texts, truth_of
from canari.intake.r.language import deparse


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
            call.refuse("compares texts by their order, which depends on the language of the R session; use == or %in%")
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
    test, yes, no = (call.column(name) for name in ("test", "yes", "no"))
    check_recycling(call, test, yes, no)
    truth = truth_of(test, call)
    if yes.kind == no.kind == "character":
        levels = tuple(dict.fromkeys(yes.levels + no.levels))
        codes = [column.coded(levels, deparse(call.expression)).values for column in (yes, no)]
        chosen = np.where(np.isnan(truth), len(levels), np.where(truth == 1.0, *codes))
        return Column(chosen, "character", levels)
    if yes.is_text or no.is_text:
        call.refuse("answers a factor, or a text in one case and a number in the other")
    kinds = {yes.kind, no.kind}
    kind = "logical" if kinds == {"logical"} else "integer" if kinds <= {"logical", "integer"} else "number"
    values = np.where(np.isnan(truth), np.nan, np.where(truth == 1.0, call.numbers("yes"), call.numbers("no")))
    return Column(values, kind)  # type: ignore[arg-type]


for _name, _ufunc in {
    "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal
}.items():  # fmt: skip
    function(_name, "x y")(_comparison(_ufunc))
