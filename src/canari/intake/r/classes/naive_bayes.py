"""Naive Bayes classifiers of the package e1071."""

from collections.abc import Mapping

import numpy as np

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array, take
from canari.intake.r.columns import Column
from canari.intake.r.max_col import any_missing
from canari.intake.r.model import Request, class_outputs, class_predictions
from canari.intake.r.terms import Need
from canari.intake.rds import RObject
from canari.model import Predictions

CLASSES = (("naiveBayes",),)

# R's dnorm is zero beyond, and where it rounds to zero as a double.
_FARTHEST = float(np.sqrt(2 * np.log(2) * 1073))
_LEAST_LOG = -1075 * float(np.log(2))


class Model:
    """What `predict` answers: the class and the posterior of each; a missing value and a new level count for nothing."""

    answers_missing = True

    def __init__(self, model: RObject, request: Request) -> None:
        request.take_only("a naiveBayes", "threshold", "eps")
        self._eps = request.number("eps", 0.0)
        self._threshold = request.number("threshold", 0.001)
        self._counts = model.require("apriori").doubles()
        classes = tuple(map(str, model.require("levels").strings()))
        if len(classes) < 2 or len(self._counts) != len(classes):
            raise IntakeError(f"the naiveBayes has {len(self._counts)} counts for {len(classes)} classes; expected 2 or more")
        numeric = model.require("isnumeric")
        is_number = dict(zip(numeric.names, numeric.doubles() == 1, strict=True))
        self._tables = dict(model.require("tables").items())
        self._levels = {name: tuple(table.dimnames[1]) for name, table in self._tables.items() if not is_number.get(name, False)}
        self.outputs = class_outputs(request, classes, f"a naiveBayes with {len(classes)} classes")

    def needs(self) -> Mapping[str, Need]:
        """The predictors."""
        return {name: self._need(name) for name in self._tables}

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions of the rows in `columns`."""
        total: Array = np.log(self._counts)[None, :]
        numbers = [name for name in self._tables if name not in self._levels]
        for name in self._levels:
            total = total + self._of_level(name, columns[name])
        if numbers:
            total = total + self._of_numbers(numbers, columns)
        ranked = np.where(np.isnan(total), -np.inf, total)
        powers = np.exp(total - np.max(ranked, axis=1, keepdims=True))
        posterior = powers / (powers @ np.ones((len(self._counts), 1)))
        unknown = any_missing(total)
        winner = np.argmax(ranked, axis=1, keepdims=True)
        return class_predictions(self.outputs, np.where(unknown, np.nan, posterior), winner, np.zeros((1, 1), bool))

    def _need(self, name: str) -> Need:
        levels = self._levels.get(name)
        if levels is None:
            return Need("number")
        return Need("boolean") if levels == ("FALSE", "TRUE") else Need("category", levels)

    def _of_level(self, name: str, column: Column) -> Array:
        """The logarithms of a factor's probabilities, [n, k]."""
        if not column.is_text and column.kind != "logical":
            raise IntakeError(f"the predictor {name!r} had levels when the model was fitted, but is a number in the rows")
        table = self._tables[name].matrix().T
        logarithms = np.log(np.where(table <= self._eps, self._threshold, table))
        found = column.coded(self._levels[name], name).lookup(np.vstack([logarithms, np.zeros(len(self._counts))]))
        reshaped: Array = np.reshape(found, (-1, len(self._counts)))
        return reshaped

    def _of_numbers(self, names: list[str], columns: Mapping[str, Column]) -> Array:
        """The sum of the logarithms of normal densities, [n, k]: all predictors and classes side by side."""
        tables = np.stack([self._tables[name].matrix() for name in names])
        means, deviations = tables[:, :, 0].ravel(), tables[:, :, 1].ravel()
        deviations = np.where(deviations <= self._eps, self._threshold, deviations)
        classes = len(self._counts)
        values = np.concatenate([columns[name].numbers(name) for name in names], axis=1)
        x = take(values, np.repeat(np.arange(len(names)), classes), axis=1)
        far = np.abs((x - means[None, :]) / deviations[None, :])
        logarithm = -0.5 * far * far - np.log(deviations * np.sqrt(2 * np.pi))[None, :]
        vanishes = (far > _FARTHEST) | (logarithm < _LEAST_LOG)
        if self._eps > 0:
            vanishes = vanishes | (logarithm <= np.log(self._eps))
        kept = np.where(vanishes, np.log(self._threshold), logarithm)
        # A class with one row has no deviation, and NaN, which is not to reach the others.
        counted = np.reshape(np.where(np.isnan(x), 0.0, kept), (-1, len(names), classes))
        summed: Array = np.reshape(np.ones((1, len(names))) @ counted, (-1, classes))
        return summed
