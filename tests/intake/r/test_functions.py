"""R's functions, with R's values; and the same from numpy and from onnxruntime on any rows. Needs no R."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canari.errors import IntakeError
from canari.intake.onnx_graph import trace
from canari.intake.r.columns import from_feed
from canari.intake.r.functions import evaluate
from canari.intake.r.language import deparse, number_as_text
from canari.intake.rds import NA_INTEGER, RObject
from canari.model import Feeds, Predictions
from canari.signature import MISSING, Input, Output

NA = math.nan
INPUTS = [
    Input(name="x", kind="number", missing=True),
    Input(name="y", kind="number", missing=True),
    Input(name="i", kind="integer", missing=True),
    Input(name="f", kind="boolean", missing=True),
    Input(name="g", kind="category", levels=("a", "b", "10"), missing=True),
]
ROWS: Feeds = {
    "x": np.array([[1.5], [-2.0], [NA], [0.0]]),
    "y": np.array([[2.0], [3.0], [1.0], [NA]]),
    "i": np.array([[7.0], [-7.0], [2147483647.0], [NA]]),
    "f": np.array([[1.0], [0.0], [NA], [1.0]]),
    "g": np.array([["a"], ["10"], ["b"], [MISSING]], object),
}


def symbol(name: str) -> RObject:
    return RObject("symbol", name)


def value(constant: float | str | bool | list[float] | list[str] | list[bool]) -> RObject:
    items = constant if isinstance(constant, list) else [constant]
    if isinstance(items[0], str):
        return RObject("character", list(items))
    if isinstance(items[0], bool):
        return RObject("logical", np.array(items, np.int32))
    if isinstance(items[0], int):
        return RObject("integer", np.array(items, np.int32))
    return RObject("double", np.array(items, float))


def call(function: str, *arguments: Any, **named: Any) -> RObject:
    given = [(None, a) for a in arguments] + [(name.replace("_", "."), a) for name, a in named.items()]
    parts = [(tag, a if isinstance(a, RObject) else value(a)) for tag, a in given]
    return RObject("language", [(None, symbol(function)), *parts])


x, y, i, f, g = (symbol(name) for name in "xyifg")


def predict(expression: RObject, inputs: list[Input]) -> Callable[[Feeds], Predictions]:
    def compute(feeds: Feeds) -> Predictions:
        with np.errstate(all="ignore"):
            column = evaluate(expression, {c.name: from_feed(c, feeds[c.name]) for c in inputs})
            return {"value": column.lookup([*map(float, range(len(column.levels))), NA]) if column.is_text else column.values}

    return compute


def both(expression: RObject, feeds: Feeds) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    compute = predict(expression, INPUTS)
    ours = compute(feeds)["value"]
    onnx = trace(compute, INPUTS, [Output(name="value", kind="number")])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return ours, onnxruntime.InferenceSession(onnx, options).run(None, feeds)[0]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (call("+", x, y), [3.5, 1.0, NA, NA]),
        (call("^", x, 0.0), [1.0, 1.0, 1.0, 1.0]),  # NA^0 is 1
        (call("^", 1.0, y), [1.0, 1.0, 1.0, 1.0]),  # as is 1^NA
        (call("^", i, 2.0), [49.0, 49.0, 2147483647.0**2, NA]),
        (call("*", i, 2), [14.0, -14.0, NA, NA]),  # integers overflow to NA
        (call("*", i, 2.0), [14.0, -14.0, 4294967294.0, NA]),
        (call("%%", i, 3.0), [1.0, 2.0, 1.0, NA]),
        (call("%/%", i, 3.0), [2.0, -3.0, 715827882.0, NA]),
        (call("%/%", x, 0.0), [math.inf, -math.inf, NA, NA]),
        (call("&", f, call(">", x, 0.0)), [1.0, 0.0, NA, 0.0]),  # TRUE&TRUE, FALSE&FALSE, NA&NA, TRUE&FALSE
        (call("&", call(">", x, 9.0), f), [0.0, 0.0, NA, 0.0]),
        (call("|", f, call(">", y, 0.0)), [1.0, 1.0, 1.0, 1.0]),  # NA|TRUE and TRUE|NA are TRUE
        (call("|", call(">", x, 9.0), call("<", y, 2.5)), [1.0, 0.0, 1.0, NA]),
        (call("!", f), [0.0, 1.0, NA, 0.0]),
        (call("!", x), [0.0, 0.0, NA, 1.0]),
        (call("xor", f, True), [0.0, 1.0, NA, 0.0]),
        (call("==", x, y), [0.0, 0.0, NA, NA]),
        (call("!=", x, 1.5), [0.0, 1.0, NA, 1.0]),
        (call("<=", x, 0.0), [0.0, 1.0, NA, 1.0]),
        (call("==", g, "a"), [1.0, 0.0, 0.0, NA]),
        (call("!=", "a", g), [0.0, 1.0, 1.0, NA]),
        (call("==", g, 10.0), [0.0, 1.0, 0.0, NA]),  # a number is compared as text
        (call("==", g, g), [1.0, 1.0, 1.0, NA]),
        (call("%in%", g, call("c", "a", "10")), [1.0, 1.0, 0.0, 0.0]),  # NA is in no set
        (call("%in%", x, call("c", 0.0, 1.5)), [1.0, 0.0, 0.0, 1.0]),
        (call("is.na", g), [0.0, 0.0, 0.0, 1.0]),
        (call("is.na", x), [0.0, 0.0, 1.0, 0.0]),
        (call("ifelse", f, x, -1.0), [1.5, -1.0, NA, 0.0]),
        (call("ifelse", call("is.na", x), 9.0, x), [1.5, -2.0, 9.0, 0.0]),
        (call("ifelse", call(">", x, 0.0), "p", "n"), [0.0, 1.0, NA, 1.0]),
        (call("pmin", x, y), [1.5, -2.0, NA, NA]),
        (call("pmax", x, y, na_rm=True), [2.0, 3.0, 1.0, 0.0]),
        (call("as.numeric", g), [1.0, 3.0, 2.0, NA]),
        (call("as.numeric", call("as.character", g)), [NA, 10.0, NA, NA]),
        (call("as.integer", x), [1.0, -2.0, NA, 0.0]),
        (call("as.logical", x), [1.0, 1.0, NA, 0.0]),
        (call("trunc", call("/", x, 4.0)), [0.0, -0.0, NA, 0.0]),
        (call("round", call("+", y, 0.5)), [2.0, 4.0, 2.0, NA]),  # halves go to the even neighbour
        (call("log", y, 2.0), [1.0, math.log2(3), 0.0, NA]),
        (call("log10", call("^", 10.0, y)), [2.0, 3.0, 1.0, NA]),
        (call("log", y, base=3.0), [math.log(2) / math.log(3), 1.0, 0.0, NA]),
        (call("sign", x), [1.0, -1.0, NA, 0.0]),
        (call("cut", x, call("c", -2.0, 0.0, 2.0)), [1.0, NA, NA, 0.0]),
        (call("cut", x, call("c", -2.0, 0.0, 2.0), include_lowest=True), [1.0, 0.0, NA, 0.0]),
        (call("cut", x, call("c", -2.0, 0.0, 2.0), right=False), [1.0, 0.0, NA, 1.0]),
        (call("cut", x, call("seq", -2.0, 2.0, by=2.0), labels=False), [2.0, NA, NA, 1.0]),
        (call("factor", g, levels=call("c", "10", "a")), [1.0, 0.0, NA, NA]),
        (call("scale", x, center=value(1.0), scale=value(2.0)), [0.25, -1.5, NA, -0.5]),
        (call("poly", x, 2.0, raw=True), [[1.5, 2.25], [-2.0, 4.0], [NA, NA], [0.0, 0.0]]),
        (call("%/%", i, 0), [NA, NA, NA, NA]),  # of integers
        (call("%%", 5.5, call("+", x, 0.5)), [1.5, -0.5, NA, 0.0]),
        (call("%%", call("/", call("*", y, 0.0), 0.3), 0.1), [0.0, 0.0, 0.0, NA]),
        (call("%%", call("+", call("*", y, 0.0), 0.9), 0.3), [5.5511151231257827e-17] * 3 + [NA]),
        (call("round", call("/", i, 8), 2.0), [0.88, -0.88, 268435455.88, NA]),
        (call("round", call("+", x, 0.285), 2.0), [1.78, -1.72, NA, 0.28]),  # the nearest double, not the text's 5
        (call("round", i, -1.0), [10.0, -10.0, 2147483650.0, NA]),
        (call("*", call("pmin", i, i), 2), [14.0, -14.0, NA, NA]),  # pmin keeps integers
        (call("atan2", x, y), [math.atan2(1.5, 2), math.atan2(-2, 3), NA, NA]),
        (call("atan2", 0.0, x), [0.0, math.pi, NA, 0.0]),
        (call("asinh", call("/", x, 0.0)), [math.inf, -math.inf, NA, NA]),
        (call("acosh", y), [math.acosh(2), math.acosh(3), 0.0, NA]),
        (call("atanh", call("/", x, 4.0)), [math.atanh(0.375), math.atanh(-0.5), NA, 0.0]),
        (call("asin", call("/", x, 2.0)), [math.asin(0.75), math.asin(-1), NA, 0.0]),
        (call("acos", call("/", x, 2.0)), [math.acos(0.75), math.pi, NA, math.pi / 2]),
        (call("sinh", x), [math.sinh(1.5), math.sinh(-2), NA, 0.0]),
        (call("pnorm", call("/", x, 0.0)), [1.0, 0.0, NA, NA]),
        (call("dnorm", x, 0.0, 2.0), [0.15056871607740221, 0.12098536225957168, NA, 0.19947114020071635]),
        (call("cbind", x, i), [[1.5, 7.0], [-2.0, -7.0], [NA, 2147483647.0], [0.0, NA]]),
        (call("rowSums", call("cbind", x, y)), [3.5, 1.0, NA, NA]),
        (call("rowMeans", call("cbind", x, y), na_rm=True), [1.75, 0.5, 1.0, 0.0]),
        (call("is.finite", call("/", 1.0, x)), [1.0, 1.0, 0.0, 0.0]),
        (call("is.infinite", call("/", 1.0, x)), [0.0, 0.0, 0.0, 1.0]),
        (call("findInterval", x, call("c", -2.0, 0.0, 1.5)), [3.0, 1.0, NA, 2.0]),
        (call("findInterval", x, call("c", -2.0, 0.0, 1.5), rightmost_closed=True), [2.0, 1.0, NA, 2.0]),
        (call("findInterval", x, call("c", -2.0, 0.0, 1.5), left_open=True), [2.0, 0.0, NA, 1.0]),
        (call("findInterval", x, call("c", -1.0, 0.0, 1.5), all_inside=True), [2.0, 1.0, NA, 2.0]),
        (call("between", x, -2.0, 1.0), [0.0, 1.0, NA, 1.0]),
        (call("between", x, 1.0, y), [1.0, 0.0, NA, 0.0]),  # below the lower bound, whatever the upper one
        (call("if_else", f, x, 9.0, missing=7.0), [1.5, 9.0, 7.0, 0.0]),
        (call("coalesce", x, y, 5.0), [1.5, -2.0, 1.0, 0.0]),
        (call("coalesce", y, 5.0), [2.0, 3.0, 1.0, 5.0]),
        (call("case_when", call("~", f, 1.0), call("~", call("<", x, 0.0), y), call("~", True, -1.0)), [1.0, 3.0, -1.0, 1.0]),
        (call("case_when", call("~", f, 1.0)), [1.0, NA, NA, 1.0]),
        (call("case_when", call("~", f, "b"), _default="a"), [0.0, 1.0, 1.0, 0.0]),
        (call("ifelse", f, "a", RObject("logical", np.array([NA_INTEGER], np.int32))), [0.0, NA, NA, 0.0]),
        (call("nchar", g), [1.0, 2.0, 1.0, NA]),
        (call("as.numeric", call("substr", g, 2.0, 2.0)), [NA, 0.0, NA, NA]),
        (call("==", call("toupper", g), "A"), [1.0, 0.0, 0.0, NA]),
        (call("==", call("paste", g, f), "NA TRUE"), [0.0, 0.0, 0.0, 1.0]),
        (call("==", call("paste0", "x", g), "x10"), [0.0, 1.0, 0.0, 0.0]),
        (call("==", call("interaction", g, f), "a.TRUE"), [1.0, 0.0, NA, NA]),
        (call("as.integer", call("interaction", g, f)), [4.0, 3.0, NA, NA]),  # the first one varies fastest
        (call("as.integer", call("interaction", g, f, lex_order=True)), [2.0, 5.0, NA, NA]),
        (call("startsWith", g, "1"), [0.0, 1.0, 0.0, NA]),
        (call("grepl", "0", g, fixed=True), [0.0, 1.0, 0.0, 0.0]),
        (call("==", call("sub", "1", "2", g), "20"), [0.0, 1.0, 0.0, NA]),
        (call("==", call("trimws", call("paste", g, "")), "b"), [0.0, 0.0, 1.0, 0.0]),
        (call(">=", call("ordered", g, levels=call("c", "b", "a", "10")), "a"), [1.0, 1.0, 0.0, NA]),
        (call("<", call("factor", g, levels=call("c", "b", "a", "10"), ordered=True), "10"), [1.0, 0.0, 1.0, NA]),
        (call("factor", f, labels=call("c", "no", "yes")), [1.0, 0.0, NA, 1.0]),
        (call("%in%", g, symbol("letters")), [1.0, 0.0, 1.0, 0.0]),
        (call("*", x, symbol("pi")), [1.5 * math.pi, -2 * math.pi, NA, 0.0]),
        (call("+", x, symbol("T")), [2.5, -1.0, NA, 1.0]),
    ],
    ids=lambda item: deparse(item) if isinstance(item, RObject) else "",
)
def test_values_of_r(expression: RObject, expected: list[Any]) -> None:
    ours, onnx = both(expression, ROWS)
    wanted = np.array(expected, float).reshape(4, -1)
    np.testing.assert_allclose(ours, wanted, rtol=1e-15)
    np.testing.assert_allclose(onnx, wanted, rtol=1e-14)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (call("*", g, 2.0), "`g \\* 2` calculates with a factor"),
        (call("<", g, "b"), "compares texts by their order"),
        (call("+", x, call("c", 1.0, 2.0)), "calculates with a vector of several numbers"),
        (call("round", x, 20.0), "rounds to 20 digits"),
        (call("log", x, y), "needs a constant for 'base'"),
        (call("cut", x, 3.0), "chooses its breaks by the rows"),
        (call("cut", x, call("c", 0.0, 1.0), labels=call("c", "a", "b")), "has 2 labels for 1 intervals"),
        (call("ifelse", f, g, "b"), "answers a factor"),
        (call("exp", x, nonsense=1.0), "the argument 'nonsense' is not translated"),
        (call("exp"), "lacks its argument 'x'"),
        (call("quantile", x, 0.5), "depends on all rows"),
        (call("[", x, 1.0), "takes a variable out of an object"),
        (call("system", "rm -rf /"), "the function system\\(\\)"),
        (call("poly", x, 2.0), "does not hold the coefficients"),
        (call("poly", x, 99.0, raw=True), "a degree that is no whole number between 1 and 50"),
        (call(":", 1.0, 1e9), "no sequence of a sensible length"),
        (call("c", x, y), "combines columns"),
        (symbol("z"), "'z', which is no column"),
        (RObject("closure"), "which is not translated"),
    ],
    ids=lambda item: deparse(item) if isinstance(item, RObject) else "",
)
def test_refusals_name_the_call(expression: RObject, message: str) -> None:
    with pytest.raises(IntakeError, match=message):
        predict(expression, INPUTS)(ROWS)


def test_a_function_of_another_package_is_not_taken_for_the_same() -> None:
    other = RObject("language", [(None, call("::", symbol("mine"), symbol("log"))), (None, x)])
    with pytest.raises(IntakeError, match="mine::log"):
        predict(other, INPUTS)(ROWS)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.1 + 0.2, "0.3"), (1e5, "1e+05"), (123456.0, "123456"), (0.0001, "1e-04"), (4.0, "4"), (-2.5, "-2.5"), (1e15, "1e+15")],
)
def test_numbers_become_levels_as_in_r(number: float, text: str) -> None:
    assert number_as_text(number) == text


# What IEEE 754 rounds in one way, so that both must agree in every bit, steps and comparisons included.
numbers: st.SearchStrategy[RObject] = st.deferred(
    lambda: (
        st.sampled_from([x, y, i, call("as.numeric", g)])
        | st.integers(-40, 40).map(lambda eighths: value(eighths / 8))
        | st.tuples(st.sampled_from(["+", "-", "*", "/", "%%", "%/%", "pmin", "pmax"]), numbers, numbers).map(lambda t: call(*t))
        | st.tuples(st.sampled_from(["sqrt", "abs", "floor", "ceiling", "trunc", "round", "sign"]), numbers).map(
            lambda t: call(*t)
        )
        | st.tuples(truths, numbers, numbers).map(lambda t: call("ifelse", *t))
    )
)
truths: st.SearchStrategy[RObject] = st.deferred(
    lambda: (
        st.just(f)
        | st.sampled_from(["a", "b", "10", "other"]).map(lambda level: call("==", g, level))
        | st.tuples(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), numbers, numbers).map(lambda t: call(*t))
        | st.tuples(st.sampled_from(["&", "|", "xor"]), truths, truths).map(lambda t: call(*t))
        | truths.map(lambda t: call("!", t))
        | numbers.map(lambda n: call("is.na", n))
    )
)
SMOOTH = ["exp", "log", "log1p", "expm1", "log2", "log10", "sin", "cos", "tanh", "atan", "plogis"]
missing_or = st.none() | st.floats(-50, 50)
rows = st.lists(
    st.tuples(
        missing_or,
        missing_or,
        st.none() | st.integers(-99, 99),
        st.sampled_from([None, 0.0, 1.0]),
        st.sampled_from([MISSING, "a", "b", "10"]),
    ),
    min_size=1,
    max_size=5,
)


def feeds_of(table: list[tuple[Any, ...]]) -> Feeds:
    columns = list(zip(*table, strict=True))
    return {
        column.name: np.array([[NA if v is None else v] for v in values], object if column.kind == "category" else float)
        for column, values in zip(INPUTS, columns, strict=True)
    }


def of_the_rows(expression: RObject) -> RObject:
    """A constant expression has no graph."""
    return call("ifelse", call("is.na", f), expression, expression)


@settings(max_examples=150, deadline=None)
@given(expression=numbers | truths, table=rows)
def test_numpy_and_onnxruntime_agree_in_every_bit(expression: RObject, table: list[tuple[Any, ...]]) -> None:
    ours, onnx = both(of_the_rows(expression), feeds_of(table))
    np.testing.assert_array_equal(ours, onnx)


@settings(max_examples=150, deadline=None)
@given(function=st.sampled_from(SMOOTH), expression=numbers, table=rows)
def test_numpy_and_onnxruntime_agree_on_functions(function: str, expression: RObject, table: list[tuple[Any, ...]]) -> None:
    ours, onnx = both(of_the_rows(call(function, expression)), feeds_of(table))
    np.testing.assert_allclose(ours, onnx, rtol=1e-13, atol=1e-13)


def test_na_of_an_integer_constant_stays_missing() -> None:
    ours, _ = both(call("+", x, RObject("integer", np.array([NA_INTEGER], np.int32))), ROWS)
    assert np.isnan(ours).all()


def test_a_number_beyond_r_s_integers_is_a_double() -> None:
    """R has no integer 3e9: a column that holds it is numeric, and does not overflow."""
    rows = ROWS | {"i": np.array([[3e9], [-3e9], [2147483647.0], [NA]])}
    ours, onnx = both(call("*", i, 2), rows)
    assert ours.ravel().tolist()[:2] == onnx.ravel().tolist()[:2] == [6e9, -6e9]
    assert np.isnan(ours[2:]).all()
    assert np.isnan(onnx[2:]).all()
