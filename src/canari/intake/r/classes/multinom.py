"""Multinomial logistic regressions: `multinom` of the package nnet."""

from collections.abc import Mapping

import numpy as np

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array
from canari.intake.r.columns import Column
from canari.intake.r.max_col import MaxColClassifier, any_missing
from canari.intake.r.model import Request, class_outputs, class_predictions
from canari.intake.r.network import Network
from canari.intake.r.terms import Need, Terms
from canari.intake.rds import RObject
from canari.model import Predictions

CLASSES = (("multinom", "nnet"),)


class Model(MaxColClassifier):
    """What `predict` answers for new rows: the class and the probability of each."""

    answers_missing = True

    def __init__(self, model: RObject, request: Request) -> None:
        request.take_only("a multinom")
        self._terms = Terms(model.require("terms"), model.get("xlevels"))
        if self._terms.has_offset:
            raise IntakeError("the multinom was fitted with an offset, which R's predict does not take; fit it without")
        self._contrasts = model.get("contrasts")
        self._network = Network(model)
        # A response that is a matrix of counts has its classes in `lab`.
        found = model.get("lev") or model.require("lab")
        classes = tuple(map(str, found.strings() if found.type == "character" else found.doubles().astype(int)))
        self.outputs = class_outputs(request, classes, f"a multinom with {len(classes)} classes")

    def needs(self) -> Mapping[str, Need]:
        """The columns that the formula takes."""
        return self._terms.needs()

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions of the rows in `columns`."""
        if self._network.outputs > 1:
            return super().predict(columns)
        shares = self.probabilities(columns)
        second = shares @ np.array([[0.0], [1.0]])
        return class_predictions(self.outputs, shares, np.where(second > 0.5, 1, 0), np.isnan(second))

    def probabilities(self, columns: Mapping[str, Column]) -> Array:
        """[n, k]; R leaves out a row in which any variable is missing."""
        design = self._terms.model_matrix(columns, self._contrasts, self._network.inputs)
        found = np.where(any_missing(design), np.nan, self._network(design))
        return found if self._network.outputs > 1 else np.concatenate([1.0 - found, found], axis=1)

    def tied(self, columns: Mapping[str, Column]) -> Array:
        """Of two classes R draws none at random."""
        tied = super().tied(columns)
        return tied if self._network.outputs > 1 else np.zeros_like(tied)
