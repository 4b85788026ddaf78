"""Traced numpy code computes in onnxruntime what numpy and scipy compute."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from scipy import special

from canari.errors import IntakeError
from canari.intake.onnx_graph import iterate, level_codes, take, trace
from canari.signature import MISSING, Input, Output

X = Input(name="x", kind="number", missing=True)
G = Input(name="g", kind="category", levels=("a", "b"), missing=True)
Y = Output(name="y", kind="number")

SPREAD = np.random.default_rng(7)
MAGNITUDES = SPREAD.normal(size=4000) * 10.0 ** SPREAD.uniform(-12, 2, 4000)
EDGES = np.array([0.0, -0.0, 1.0, -1.0, 2.0, 1e-300, np.nan, 37.0, -37.0, -38.5, 8 * np.sqrt(2), 0.66, 2.5, 1000.0, -1000.0])


def run(function: Callable[[Any], Any], *inputs: Input, **feeds: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    content = trace(lambda columns: {"y": function(columns)}, inputs, [Y])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    found: np.ndarray[Any, Any] = onnxruntime.InferenceSession(content, options).run(None, feeds)[0]
    return found


@pytest.mark.parametrize(
    "function",
    [np.exp, np.log, np.sqrt, np.log1p, np.expm1, np.log2, np.log10, np.tanh, np.arctan, special.ndtr, np.sin, np.cos, np.tan],
    ids=lambda function: function.__name__,
)
def test_functions_are_exact_to_the_last_digits(function: np.ufunc) -> None:
    x = np.concatenate([MAGNITUDES, EDGES])[:, None]
    with np.errstate(all="ignore"):
        expected = function(x)
    # Near their zeros beyond 0, sine and cosine are exact in absolute terms only; below 1e-300 doubles lose digits.
    periodic = function in (np.sin, np.cos, np.tan)
    np.testing.assert_allclose(
        run(lambda columns: function(columns["x"]), X, x=x),
        expected,
        rtol=1e-13 if periodic else 2e-15,
        atol=1e-15 if periodic else 1e-300,
    )


def test_logarithms_are_whole_at_powers() -> None:
    x = 10.0 ** np.arange(0, 23)[:, None]
    assert (run(lambda columns: np.floor(np.log10(columns["x"])), X, x=x) == np.arange(0, 23)[:, None]).all()


def test_shapes_types_and_missing_levels() -> None:
    table = np.array([[1.0, 2.0], [3.0, 4.0], [np.nan, np.nan]])

    def function(columns: Any) -> Any:
        rows = np.reshape(take(table, level_codes(columns["g"], G.levels)), (-1, 2))
        both = np.concatenate([rows, columns["x"] * np.ones((1, 1))], axis=1)
        positive = (columns["x"] > 0.0) & ~np.isnan(columns["x"])
        return np.where(positive, both @ np.ones((3, 1)), take(both, [1], axis=1))

    feeds = {
        "x": np.array([[1.0], [-1.0], [np.nan], [5.0]]),
        "g": np.array([["a"], ["b"], ["a"], [MISSING]], object),
    }
    np.testing.assert_array_equal(function(feeds), [[4.0], [4.0], [2.0], [np.nan]])
    np.testing.assert_array_equal(run(function, X, G, **feeds), [[4.0], [4.0], [2.0], [np.nan]])


@pytest.mark.parametrize("extreme", [np.max, np.min], ids=["max", "min"])
def test_the_extreme_of_a_row(extreme: Callable[..., Any]) -> None:
    def function(columns: Any) -> Any:
        return extreme(np.concatenate([columns["x"], -columns["x"], columns["x"] * 0.5], axis=1), axis=1, keepdims=True)

    x = np.array([[3.0], [-2.0], [np.inf], [0.0]])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(run(function, X, x=x), function({"x": x}))


def test_an_iteration_ends_row_by_row_and_after_so_many_rounds() -> None:
    def halve(value: Any, rounds: Any, going: Any) -> Any:
        going = going & (value > 1.0)
        return np.where(going, value / 2.0, value), np.where(going, rounds + 1.0, rounds), going

    def function(columns: Any) -> Any:
        return iterate(halve, (columns["x"], columns["x"] * 0.0, columns["x"] > -1e9), 20)[1]

    x = np.array([[0.5], [1.0], [8.0], [9.0], [2.0**40]])
    np.testing.assert_array_equal(function({"x": x}), [[0.0], [0.0], [3.0], [4.0], [20.0]])
    np.testing.assert_array_equal(run(function, X, x=x), [[0.0], [0.0], [3.0], [4.0], [20.0]])


def test_equal_nodes_are_emitted_once() -> None:
    content = trace(lambda columns: {"y": np.exp(columns["x"]) + np.exp(columns["x"])}, [X], [Y])
    operators = [node.op_type for node in onnx.load_from_string(content).graph.node]
    assert operators.count("Exp") == 1


def test_a_prediction_without_inputs_is_refused() -> None:
    with pytest.raises(IntakeError, match="uses no column"):
        trace(lambda _columns: {"y": np.ones((1, 1))}, [X], [Y])


def test_what_has_no_onnx_form_is_an_error_and_no_wrong_graph() -> None:
    with pytest.raises(TypeError):
        trace(lambda columns: {"y": np.cbrt(columns["x"])}, [X], [Y])
