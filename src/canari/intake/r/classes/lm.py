"""Linear models: `lm`, and `aov`, which predicts as one."""

from collections.abc import Mapping

import numpy as np

from canari.errors import IntakeError
from canari.intake.r.columns import Column
from canari.intake.r.linear import INTERVAL, SE, LinearPredictor, confidence_level, student_quantile
from canari.intake.r.model import NUMBER, Request
from canari.intake.r.terms import Need
from canari.intake.rds import RObject
from canari.model import Predictions

CLASSES = (("lm",), ("aov", "lm"))

_OUTPUTS = {"number": NUMBER, "se": SE, "confidence": INTERVAL, "prediction": INTERVAL}
_ARGUMENTS = {"confidence": ("level",), "prediction": ("level", "pred.var", "weights")}


class Model:
    """The linear predictor, with its standard error or an interval by Student's t where these are asked for."""

    answers_missing = True

    def __init__(self, model: RObject, request: Request) -> None:
        kind = request.choose("an lm", *_OUTPUTS)
        request.take_only("an lm", *_ARGUMENTS.get(kind, ()))
        self.outputs = _OUTPUTS[kind]
        self._kind = kind
        self._predictor = LinearPredictor(model)
        if kind == "number":
            return
        freedom = float(model.require("df.residual").doubles()[0])
        self._variance = _residual_variance(model, freedom)
        self._root = self._predictor.error_root()
        if kind != "se":
            self._quantile = student_quantile(confidence_level(request), freedom)
        # R takes it for constant where none is given, also where the fit was weighted.
        self._noise = _noise_variance(request, self._variance) if kind == "prediction" else 0.0

    def needs(self) -> Mapping[str, Need]:
        """The columns that the formula and an offset take."""
        return self._predictor.needs()

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions of the rows in `columns`."""
        if self._kind == "number":
            return {"prediction": self._predictor(columns)}
        eta, error = self._predictor.with_error(columns, self._root)
        if self._kind == "se":
            return {"prediction": eta, "se": error * np.sqrt(self._variance)}
        half = self._quantile * np.sqrt(error * error * self._variance + self._noise)
        return {"prediction": eta, "lower": eta - half, "upper": eta + half}


def _residual_variance(model: RObject, freedom: float) -> float:
    residuals = model.require("residuals").doubles()
    weights = model.get("weights")
    squares = residuals**2 if weights is None else residuals**2 * weights.doubles()
    with np.errstate(all="ignore"):
        return float(np.divide(squares.sum(), freedom))


def _noise_variance(request: Request, residual: float) -> float:
    noise = request.number("pred.var", residual / request.number("weights", 1.0))
    if not noise >= 0.0:
        raise IntakeError(f"the variance of a single new observation is {noise:g}; 'weights' and 'pred.var' are to be positive")
    return noise
