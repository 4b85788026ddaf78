"""caret's `train`: its formula, its `preProcess` and the final model, each by its own translation."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import numpy as np

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array, take
from canari.intake.r.classes import read_model
from canari.intake.r.columns import Column
from canari.intake.r.model import NUMBER, Request, class_outputs, class_predictions
from canari.intake.r.preprocess import PreProcess
from canari.intake.r.terms import Need, Terms
from canari.intake.rds import RObject
from canari.model import Predictions

CLASSES = (("train",), ("train", "train.formula"))

_Answer: TypeAlias = Literal["class", "first", "second"]

# What caret asks of a final model for a classification: its class with all probabilities, or the probability of one of two
# levels, the first (which wins from one half on) or the second (which wins from one half on, too). As in caret's own `predict`
# and `prob` of these methods.
_CLASSIFIERS: Mapping[str, _Answer] = {
    "bam": "second",
    "gam": "second",
    "gbm": "first",
    "glm": "second",
    "glmStepAIC": "second",
    **dict.fromkeys(
        ("glmnet", "lda", "multinom", "nnet", "polr", "qda", "ranger", "rf", "rpart", "rpart1SE", "rpart2", "svmLinear2"), "class"
    ),
}
_REGRESSIONS = frozenset(
    {"bam", "gam", "gbm", "glm", "glmStepAIC", "glmnet", "lm", "lmStepAIC", "nnet", "ranger", "rf", "rlm", "rpart", "rpart1SE"}
    | {"rpart2", "svmLinear2"}
)


class Model:
    """What `predict` answers for new rows: a number, or the class and its probabilities."""

    def __init__(self, model: RObject, request: Request) -> None:
        request.take_only("a train")
        self._method = str(model.require("method").strings()[0])
        self._is_class = model.require("modelType").strings()[0] == "Classification"
        known = _CLASSIFIERS if self._is_class else _REGRESSIONS
        if self._method not in known:
            kind = "classification" if self._is_class else "regression"
            raise IntakeError(
                f"caret's method {self._method!r} is not translated for {kind}; translated are {', '.join(sorted(known))}"
            )
        self._by_formula = "train.formula" in model.classes
        self._terms = Terms(model.require("terms"), model.get("xlevels")) if self._by_formula else None
        self._contrasts = model.get("contrasts")
        preprocess = model.get("preProcess")
        self._preprocess = PreProcess(preprocess) if preprocess is not None else None
        self._final = model.require("finalModel")
        self._names = self._design_names(model)
        levels = model.get("levels")
        self._levels = tuple(map(str, levels.strings())) if self._is_class and levels is not None else ()
        two = len(self._levels) == 2
        self._answer = None if not self._is_class else _CLASSIFIERS[self._method] if two else "class"
        self._bounds = _bounds(model)
        self._fitted = read_model(self._final, self._final_request())
        imputes = self._preprocess is not None and self._preprocess.imputes
        # With a formula, rows that lack a value are dropped.
        self.answers_missing = imputes or (not self._by_formula and self._fitted.answers_missing)
        if not self._is_class:
            request.choose("a train for regression", "number")
            self.outputs = NUMBER
        elif self._answer != "class" or len(self._fitted.outputs) > 1:
            self.outputs = class_outputs(request, self._levels, f"a train for {len(self._levels)} classes")
        else:
            request.choose("a train whose method has no probabilities", "class")
            self.outputs = self._fitted.outputs

    def needs(self) -> Mapping[str, Need]:
        """The columns of the formula, or those of x."""
        if self._terms is not None:
            return self._terms.needs()
        final = self._fitted.needs()
        return {name: final.get(name, Need("number")) for name in self._names}

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions of the rows in `columns`."""
        design = self._design(columns)
        if self._preprocess is not None:
            design = self._preprocess.apply(design)
        found = self._fitted.predict(design)
        if not self._is_class:
            return {"prediction": self._trimmed(found["prediction"])}
        if self.outputs == self._fitted.outputs:
            return found
        if self._answer == "class":
            order = [self._fitted.outputs[0].labels.index(level) for level in self._levels]
            probabilities = take(found["probabilities"], order, axis=1)
            if self.outputs[0].kind == "probability":
                return {"prediction": take(probabilities, [1], axis=1)}
            return {"class": found["class"], "probabilities": probabilities}
        p = found["prediction"]
        one = self._answer == "first"
        both = np.concatenate([p, 1.0 - p] if one else [1.0 - p, p], axis=1)
        wins = p >= 0.5
        winner = np.where(wins, 0 if one else 1, 1 if one else 0)
        return class_predictions(self.outputs, both, winner, np.isnan(p))

    def _final_request(self) -> Request:
        arguments = {}
        if self._method == "glmnet":
            arguments["s"] = self._final.require("lambdaOpt")
        if self._method == "gbm":
            arguments["n.trees"] = self._final.require("tuneValue").require("n.trees")
        kind = "number" if not self._is_class else "class" if self._answer == "class" else "probability"
        return Request(kind, self._levels, arguments)

    def _design_names(self, model: RObject) -> list[str]:
        """The columns that the final model, or the preProcess before it, is given."""
        if self._by_formula:
            return [str(name) for name in model.require("coefnames").strings()]
        training = model.get("trainingData")
        names = training.names if training is not None else [str(name) for name in self._final.require("xNames").strings()]
        kept = [name for name in names if name != ".outcome"]
        return [name for name in kept if self._preprocess is None or not self._preprocess.removes(name)]

    def _design(self, columns: Mapping[str, Column]) -> dict[str, Column]:
        if self._terms is None:
            return {name: columns[name] for name in self._names}
        width = len(self._names) + self._terms.intercept
        matrix = self._terms.model_matrix(columns, self._contrasts, width)
        start = int(self._terms.intercept)
        return {name: Column(take(matrix, [start + i], axis=1), "number") for i, name in enumerate(self._names)}

    def _trimmed(self, prediction: Array) -> Array:
        """Within `predictionBounds`."""
        lower, upper = self._bounds
        if lower is not None:
            prediction = np.where(prediction < lower, lower, prediction)
        if upper is not None:
            prediction = np.where(prediction > upper, upper, prediction)
        return prediction


def _bounds(model: RObject) -> tuple[float | None, float | None]:
    """The `predictionBounds` of trainControl: numbers, or TRUE for the limits of the training's response."""
    bounds = model.require("control").get("predictionBounds")
    if bounds is None:
        return None, None
    values = bounds.doubles()
    if bounds.type == "logical":
        limits = model.get("yLimits")
        values = np.where(values == 1.0, limits.doubles() if limits is not None else np.nan, np.nan)
    lower, upper = (None if np.isnan(value) else float(value) for value in values)
    return lower, upper
