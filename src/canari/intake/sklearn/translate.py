"""A fitted scikit-learn model as an ONNX graph in double precision, and as the numpy code that the graph is traced from."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.pipeline import Pipeline

from canari.errors import CanariError, IntakeError
from canari.intake.onnx_graph import take, trace

# Imported for the translations that they register.
from canari.intake.sklearn import (  # noqa: F401
    bayes,
    combining,
    composing,
    encoding,
    expanding,
    gradient_boosting,
    hist_gradient_boosting,
    imputing,
    linear,
    mathematics,
    network,
    reducing,
    scaling,
    svm,
    trees,
)
from canari.intake.sklearn.arrays import Table
from canari.intake.sklearn.composing import SEARCHES
from canari.intake.sklearn.steps import classify, regress
from canari.intake.translation import Translation
from canari.model import Feeds, Predictions
from canari.signature import Input, Output

CLASS, PROBABILITIES, PREDICTION = "class", "probabilities", "prediction"


def class_name(model: Any) -> str:
    """The class of a model, of a pipeline with those of its steps."""
    name = type(model).__name__
    if isinstance(model, Pipeline):
        return f"{name}({', '.join(type(step).__name__ for _, step in model.steps)})"
    if isinstance(model, SEARCHES):
        return f"{name}({class_name(model.best_estimator_)})"
    return name


def outputs_of(model: Any) -> tuple[Output, ...]:
    """What the model answers; raises `IntakeError` where it is neither classifier nor regressor, or answers several columns."""
    if is_classifier(model):
        classes = model.classes_
        if isinstance(classes, list) or np.ndim(classes) != 1:
            raise IntakeError(f"the {class_name(model)} predicts several columns at once: save one model a column")
        labels = tuple(str(label) for label in classes.tolist())
        if len(set(labels)) != len(labels) or CLASS in labels:
            raise IntakeError(f"the classes {', '.join(map(repr, labels))} cannot be told apart by name")
        found = [Output(name=CLASS, kind="class", labels=labels)]
        if hasattr(model, "predict_proba"):
            found.append(Output(name=PROBABILITIES, kind="probability", labels=labels))
        return tuple(found)
    if is_regressor(model):
        return (Output(name=PREDICTION, kind="number"),)
    raise IntakeError(f"the {class_name(model)} is neither a classifier nor a regressor")


def translate(model: Any, inputs: Sequence[Input]) -> Translation:
    """Translate a fitted model; raises `IntakeError`, naming the class, where a step of it is not supported."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outputs = outputs_of(model)
            predict = _Predict(model, inputs, outputs)
            onnx = trace(predict, inputs, outputs)
    except CanariError:
        raise
    except Exception as error:  # a file may hold anything in a fitted model's attributes
        first_line = str(error).partition("\n")[0]
        raise IntakeError(f"the {class_name(model)} cannot be translated: {type(error).__name__}: {first_line}") from error
    return Translation(inputs=tuple(inputs), outputs=outputs, onnx=onnx, evaluate=predict)


class _Predict:
    """From a model's feeds to its predictions; on traced arrays this emits the graph."""

    def __init__(self, model: Any, inputs: Sequence[Input], outputs: Sequence[Output]) -> None:
        self._model = model
        self._inputs = [column.name for column in inputs]
        self._outputs = {output.name: output for output in outputs}

    def __call__(self, feeds: Feeds) -> Predictions:
        table = Table([feeds[name] for name in self._inputs])
        with np.errstate(all="ignore"):
            if PREDICTION in self._outputs:
                prediction = regress(self._model, table)
                if prediction.shape[1] != 1:
                    raise IntakeError(f"the {class_name(self._model)} predicts several columns at once: save one model a column")
                return {PREDICTION: prediction}
            decision = classify(self._model, table)
        labels = np.array(self._outputs[CLASS].labels, object)
        found: Predictions = {CLASS: take(labels, np.argmax(decision.scores, axis=1, keepdims=True), 0)}
        if PROBABILITIES in self._outputs:
            if decision.probabilities is None:
                raise IntakeError(f"the probabilities of the {class_name(self._model)} cannot be translated")
            found[PROBABILITIES] = decision.probabilities
        return found
