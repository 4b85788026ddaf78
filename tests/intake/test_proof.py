"""The proof finds every disagreement, says where it is, and takes nothing for a proof that is none."""

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from canari.errors import IntakeError
from canari.intake.onnx_graph import take, trace
from canari.intake.proof import prove
from canari.intake.translation import Translation
from canari.model import Checks, Feeds, Predictions, Value
from canari.signature import TOLERANCE, Input, Output, Signature, Source

INPUTS = (Input(name="x", kind="number", missing=True),)
ROWS: list[Value] = [1.0, -2.0, None, 1e6, 0.0]


def signature(outputs: tuple[Output, ...]) -> Signature:
    source = Source(language="R", version="4.2.2", model_class="lm", sha256="0" * 64)
    return Signature(name="m", version="1", inputs=INPUTS, outputs=outputs, source=source)


def line(feeds: Feeds) -> Predictions:
    return {"prediction": 2.0 * feeds["x"] + 1.0}


def inverse(feeds: Feeds) -> Predictions:
    with np.errstate(divide="ignore"):
        return {"prediction": 1.0 / feeds["x"]}


def side(feeds: Feeds) -> Predictions:
    code = np.where(np.isnan(feeds["x"]), 2.0, (feeds["x"] > 0.0).astype(np.float64))
    return {"class": take(np.array(["low", "high", "\x1a"], object), code.astype(np.int64))}


NUMBER = (Output(name="prediction", kind="number"),)
CLASS = (Output(name="class", kind="class", labels=("low", "high")),)


def translated(predict: Any, outputs: tuple[Output, ...]) -> Translation:
    return Translation(inputs=INPUTS, outputs=outputs, onnx=trace(predict, INPUTS, outputs), evaluate=predict)


def checks(predictions: list[Value], column: str = "prediction", rows: list[Value] = ROWS) -> Checks:
    return Checks(rows={"x": rows}, predictions={column: predictions}, probe=[False] * (len(rows) - 1) + [True] * bool(rows))


RIGHT: list[Value] = [3.0, -3.0, None, 2000001.0, 1.0]


def test_equal_predictions_are_proved() -> None:
    proof = prove(signature(NUMBER), translated(line, NUMBER), checks(RIGHT))
    assert (proof.rows, proof.probes, proof.worst, proof.worst_evaluator, proof.ties) == (5, 1, 0.0, 0.0, 0)
    assert proof.tolerance == TOLERANCE == 1e-9


@pytest.mark.parametrize(("row", "value"), [(0, 3.0 + 2.9e-9), (3, 2000001.0 * (1 + 0.9e-9)), (4, 1.0 - 0.9e-9)])
def test_a_difference_within_the_limit_is_reported_as_the_worst(row: int, value: float) -> None:
    proof = prove(signature(NUMBER), translated(line, NUMBER), checks([*RIGHT[:row], value, *RIGHT[row + 1 :]]))
    assert proof.worst == pytest.approx(abs(value - float(RIGHT[row] or 0)) / max(1, abs(value)))
    assert 0 < proof.worst <= 1e-9


@pytest.mark.parametrize(
    ("row", "value", "message"),
    [
        (0, 3.0 + 3.1e-9, r"row 1 \(given\), 'prediction': R says 3.0000000031, canari computes 3.0$"),
        (1, None, r"row 2 \(given\), 'prediction': R says missing, canari computes -3.0$"),
        (2, 0.5, r"row 3 \(given\), 'prediction': R says 0.5, canari computes missing$"),
        (4, 1.00001, r"row 5 \(probe\), 'prediction': R says 1.00001"),
        (0, "Inf", r"R says 'Inf', canari computes 3.0$"),
    ],
)
def test_a_difference_names_row_and_both_values(row: int, value: Value, message: str) -> None:
    with pytest.raises(IntakeError, match=r"^1 of 5 check rows disagrees; .*" + message):
        prove(signature(NUMBER), translated(line, NUMBER), checks([*RIGHT[:row], value, *RIGHT[row + 1 :]]))


def test_many_differences_are_counted_and_five_are_shown() -> None:
    rows: list[Value] = [float(i) for i in range(40)]
    with pytest.raises(IntakeError, match=r"^40 of 40 check rows disagree; row 1 .*; and 35 more values$") as refusal:
        prove(signature(NUMBER), translated(line, NUMBER), checks([0.0] * 40, rows=rows))
    assert str(refusal.value).count("R says") == 5


def test_an_evaluator_that_differs_is_named() -> None:
    both = dataclasses.replace(translated(line, NUMBER), evaluate=lambda feeds: {"prediction": feeds["x"]})
    with pytest.raises(IntakeError, match=r"R says 3.0, canari's independent evaluator computes 1.0"):
        prove(signature(NUMBER), both, checks(RIGHT))


def test_infinite_predictions_agree_with_infinite_ones_of_the_same_sign() -> None:
    model = translated(inverse, NUMBER)
    rows: list[Value] = [0.0, 2.0]
    assert prove(signature(NUMBER), model, checks(["Inf", 0.5], rows=rows)).worst == 0.0
    with pytest.raises(IntakeError, match="R says '-Inf', canari computes inf"):
        prove(signature(NUMBER), model, checks(["-Inf", 0.5], rows=rows))


def test_classes_must_be_the_same() -> None:
    right: list[Value] = ["high", "low", None, "high", "low"]
    assert prove(signature(CLASS), translated(side, CLASS), checks(right, "class")).worst == 0.0
    with pytest.raises(IntakeError, match=r"1 of 5 .*row 2 .*R says 'high', canari computes 'low'"):
        prove(signature(CLASS), translated(side, CLASS), checks(["high", "high", None, "high", "low"], "class"))
    with pytest.raises(IntakeError, match=r"row 3 .*R says 'low', canari computes missing"):
        prove(signature(CLASS), translated(side, CLASS), checks(["high", "low", "low", "high", "low"], "class"))


def test_a_class_drawn_at_random_is_accepted_among_the_tied_ones_only() -> None:
    drawn: list[Value] = ["high", "low", None, "high", "high"]
    tied = np.array([[False, True], [True, False], [True, True], [False, True], [True, True]])
    model = dataclasses.replace(translated(side, CLASS), tied=lambda _feeds: tied)
    assert prove(signature(CLASS), model, checks(drawn, "class")).ties == 1
    with pytest.raises(IntakeError, match="row 4"):
        prove(signature(CLASS), model, checks(["high", "low", None, "low", "high"], "class"))


@pytest.mark.parametrize("nothing", [checks([], rows=[]), checks([None] * 5)])
def test_nothing_to_compare_is_no_proof(nothing: Checks) -> None:
    with pytest.raises(IntakeError, match=r"no check rows|answered none"):
        prove(signature(NUMBER), translated(line, NUMBER), nothing)


def test_a_check_row_that_the_signature_refuses_is_named() -> None:
    with pytest.raises(IntakeError, match=re.escape("check row 2, column 'x': expected a number or a missing value, came 'two'")):
        prove(signature(NUMBER), translated(line, NUMBER), checks([3.0, 5.0], rows=[1.0, "two"]))
