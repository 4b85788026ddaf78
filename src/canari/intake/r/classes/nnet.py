"""Networks of the package nnet, fitted to a formula or to matrices x and y."""

from collections.abc import Mapping

import numpy as np

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array, take
from canari.intake.r.columns import Column
from canari.intake.r.max_col import MaxColClassifier, any_missing
from canari.intake.r.model import NUMBER, Request, class_outputs, class_predictions
from canari.intake.r.network import Network
from canari.intake.r.predictors import Predictors
from canari.intake.r.terms import Need
from canari.intake.rds import RObject
from canari.model import Predictions
from canari.signature import Output

CLASSES = (("nnet",), ("nnet.formula", "nnet"))


class Model(MaxColClassifier):
    """What `predict` answers: the class and the outputs as its probabilities, or the outputs as numbers."""

    def __init__(self, model: RObject, request: Request) -> None:
        request.take_only("an nnet")
        self._network = Network(model)
        self._predictors = Predictors(model, request, self._network.inputs)
        # From x and y, R refuses rows with a missing value.
        self.answers_missing = self._predictors.terms is not None
        levels = model.get("lev")
        self._classes = tuple(map(str, levels.strings())) if levels is not None else ()
        if self._classes and len(self._classes) != max(2, self._network.outputs):
            raise IntakeError(f"the nnet has {self._network.outputs} outputs for {len(self._classes)} classes")
        self.outputs = self._outputs(model, request)

    def needs(self) -> Mapping[str, Need]:
        """The columns of the formula, or of x."""
        return self._predictors.needs()

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions of the rows in `columns`."""
        raw = self._raw(columns)
        if self.outputs[0].kind != "class" and not self._classes:
            return {output.name: take(raw, [i], axis=1) for i, output in enumerate(self.outputs)}
        if self._network.outputs > 1:
            return super().predict(columns)
        shares = np.concatenate([1.0 - raw, raw], axis=1)
        return class_predictions(self.outputs, shares, np.where(raw > 0.5, 1, 0), np.isnan(raw))

    def probabilities(self, columns: Mapping[str, Column]) -> Array:
        """[n, k]."""
        raw = self._raw(columns)
        return raw if self._network.outputs > 1 else np.concatenate([1.0 - raw, raw], axis=1)

    def tied(self, columns: Mapping[str, Column]) -> Array:
        """Of two classes with one output R draws none at random."""
        tied = super().tied(columns)
        return tied if self._network.outputs > 1 else np.zeros_like(tied)

    def _raw(self, columns: Mapping[str, Column]) -> Array:
        """The network's outputs; R leaves out a row in which any variable is missing."""
        matrix = self._predictors.matrix(columns)
        return np.where(any_missing(matrix), np.nan, self._network(matrix))

    def _outputs(self, model: RObject, request: Request) -> tuple[Output, ...]:
        if self._classes:
            return class_outputs(request, self._classes, f"an nnet with {len(self._classes)} classes")
        if self._network.outputs == 1:
            if request.choose("an nnet with one output", "number", "probability") == "number":
                return NUMBER
            return (Output(name="prediction", kind="probability", labels=request.labels[-1:]),)
        request.choose("an nnet with several responses", "number")
        names = [names[1] for names in [model.require("fitted.values").dimnames] if len(names) > 1]
        found = names[0] if names and names[0] else [f"y{i + 1}" for i in range(self._network.outputs)]
        return tuple(Output(name=name, kind="number") for name in found)
