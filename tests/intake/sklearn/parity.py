"""Comparing a translated scikit-learn model with the predictions that scikit-learn made itself."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from canari.intake.sklearn import read_sklearn, save_model
from canari.intake.translation import Fitted
from canari.model import Feeds, Predictions, number
from canari.runtime.feeds import to_feeds
from canari.runtime.onnx import OnnxRuntime
from canari.signature import TOLERANCE, Output, Signature


def read(path: Path, *, trust: bool = False) -> Fitted:
    data = path.read_bytes()
    return read_sklearn(path, data, hashlib.sha256(data).hexdigest(), trust=trust)


def runtime(fitted: Fitted) -> OnnxRuntime:
    translation = fitted.translation
    signature = Signature(name="m", version="1", inputs=translation.inputs, outputs=translation.outputs, source=fitted.source)
    return OnnxRuntime(signature, translation.onnx)


def feeds_of_checks(fitted: Fitted) -> Feeds:
    assert fitted.checks is not None
    return to_feeds(fitted.translation.inputs, fitted.checks.rows)


def worst_difference(fitted: Fitted, predictions: Predictions) -> float:
    """The largest |a - b| / max(1, |a|) against scikit-learn's recorded predictions; infinite where a class differs."""
    assert fitted.checks is not None
    worst = 0.0
    for output in fitted.translation.outputs:
        recorded = [fitted.checks.predictions[name] for name in output.columns]
        worst = max(worst, _difference(output, recorded, predictions[output.name]))
    return worst


def _difference(output: Output, recorded: list[list[Any]], found: Any) -> float:
    if output.kind == "class":
        return 0.0 if found.ravel().tolist() == recorded[0] else float("inf")
    expected = np.array([[number(value) for value in column] for column in recorded]).T
    assert expected.shape == found.shape
    difference = np.abs(expected - found) / np.maximum(1.0, np.abs(expected))
    return float(np.nan_to_num(difference, nan=np.inf).max())


def save_and_read(model: Any, rows: pd.DataFrame, directory: Path) -> Fitted:
    path = directory / "model.skops"
    save_model(model, rows, path)
    return read(path)


def assert_same(fitted: Fitted) -> None:
    feeds = feeds_of_checks(fitted)
    assert worst_difference(fitted, runtime(fitted).predict(feeds)) <= TOLERANCE
    assert worst_difference(fitted, fitted.translation.evaluate(feeds)) <= TOLERANCE
