"""R's `max.col`, by which many classifiers choose: among values nearly as large as the largest one, R draws at random."""

from collections.abc import Mapping

import numpy as np

from canari.intake.onnx_graph import Array
from canari.intake.r.columns import Column
from canari.intake.r.model import class_predictions
from canari.model import Predictions
from canari.signature import Output

_NEARLY = 1e-5  # of the largest absolute value in the row


class MaxColClassifier:
    """A model that answers the class with the highest probability."""

    outputs: tuple[Output, ...]

    def probabilities(self, columns: Mapping[str, Column]) -> Array:
        """[n, k], NaN in a row that is not answered."""
        raise NotImplementedError

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions of the rows in `columns`."""
        shares = self.probabilities(columns)
        return class_predictions(self.outputs, shares, np.argmax(shares, axis=1, keepdims=True), any_missing(shares))

    def tied(self, columns: Mapping[str, Column]) -> Array:
        """Among which classes R draws at random, bool [n, k]."""
        with np.errstate(all="ignore"):
            return candidates(self.probabilities(columns))


def candidates(values: Array) -> Array:
    """Which columns of each row `max.col` draws among, bool [n, k]; never traced."""
    finite = np.where(np.isfinite(values), np.abs(values), 0.0)
    tolerance = _NEARLY * finite.max(axis=1)
    best = values[:, 0].copy()
    drawn = np.zeros(values.shape, bool)
    drawn[:, 0] = True
    for column in range(1, values.shape[1]):
        value = values[:, column]
        larger = value > best + tolerance
        drawn[larger] = False
        drawn[:, column] = value >= best - tolerance
        best = np.where(larger, value, best)
    return drawn


def any_missing(values: Array) -> Array:
    """Which rows of [n, k] hold NaN, [n, 1]."""
    found: Array = np.isnan(values).astype(np.float64) @ np.ones((values.shape[1], 1)) > 0.0
    return found
