"""Generalized linear models: `glm` with the families of base R, and `negbin` of `MASS::glm.nb`."""

from collections.abc import Mapping

import numpy as np

from canari.errors import IntakeError
from canari.intake.r.columns import Column
from canari.intake.r.linear import INTERVAL, SE, LinearPredictor, confidence_level, normal_quantile
from canari.intake.r.links import link_of
from canari.intake.r.model import NUMBER, Request
from canari.intake.r.terms import Need
from canari.intake.rds import RObject
from canari.model import Predictions
from canari.signature import Output

CLASSES = (("glm", "lm"), ("negbin", "glm", "lm"))

_OUTPUTS = {
    "number": NUMBER,
    "link": (Output(name="link", kind="number"),),
    "se": SE,
    "confidence": INTERVAL,
}


class Model:
    """The inverse link of the linear predictor, or the linear predictor itself; standard errors on the response's scale."""

    answers_missing = True

    def __init__(self, model: RObject, request: Request) -> None:
        self._kind = _choose(model, request)
        # Of two levels, the second one's probability is modelled.
        probability = (Output(name="prediction", kind="probability", labels=request.labels[-1:]),)
        self.outputs = _OUTPUTS.get(self._kind, probability)
        self._predictor = LinearPredictor(model)
        self._link = link_of(model)
        if self._kind in ("se", "confidence"):
            self._root = self._predictor.error_root() * np.sqrt(_dispersion(model))
        if self._kind == "confidence":
            self._quantile = normal_quantile(confidence_level(request))

    def needs(self) -> Mapping[str, Need]:
        """The columns that the formula and an offset take."""
        return self._predictor.needs()

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions of the rows in `columns`."""
        if self._kind == "link":
            return {"link": self._predictor(columns)}
        if self._kind in ("number", "probability"):
            return {"prediction": self._link.inverse(self._predictor(columns))}
        eta, error = self._predictor.with_error(columns, self._root)
        mean = self._link.inverse(eta)
        if self._kind == "se":
            return {"prediction": mean, "se": error * np.abs(self._link.slope(eta))}
        half = self._quantile * error
        ends = self._link.inverse(eta - half), self._link.inverse(eta + half)
        return {"prediction": mean, "lower": np.minimum(*ends), "upper": np.maximum(*ends)}


def _choose(model: RObject, request: Request) -> str:
    """A probability for the binomial families, else a number, where nothing else is asked for."""
    if request.kind == "prediction":
        raise IntakeError(
            "a glm answers no prediction intervals: its response varies otherwise than by a normal error; "
            'ask for "confidence", the interval of the expected response'
        )
    binomial = _family(model) in ("binomial", "quasibinomial")
    usual = ("probability", "number") if binomial else ("number", "probability")
    kind = request.choose("a glm", *usual, "link", "se", "confidence")
    request.take_only("a glm", *(["level"] if kind == "confidence" else []))
    return kind


def _family(model: RObject) -> str:
    return str(model.require("family").require("family").strings()[0])


def _dispersion(model: RObject) -> float:
    """As R's summary estimates it."""
    own = model.require("family").get("dispersion")  # since R 4.3
    if own is not None and not np.isnan(own.doubles()[0]):
        return float(own.doubles()[0])
    if model.classes[0] == "negbin" or _family(model) in ("poisson", "binomial"):
        return 1.0
    freedom = float(model.require("df.residual").doubles()[0])
    weights, residuals = (model.require(name).doubles() for name in ("weights", "residuals"))
    used = weights > 0.0
    return float((weights * residuals**2)[used].sum() / freedom) if freedom > 0.0 else np.nan
