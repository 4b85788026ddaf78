"""Generalized linear models: `glm` with the families of base R, and `negbin` of `MASS::glm.nb`."""

from collections.abc import Callable, Mapping

import numpy as np
from scipy import special

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array
from canari.intake.r.classes import lm
from canari.intake.r.columns import Column
from canari.intake.r.functions import evaluate
from canari.intake.r.language import function_name
from canari.intake.r.model import NUMBER, Request
from canari.intake.rds import RObject
from canari.model import Predictions
from canari.signature import Output

CLASSES = (("glm", "lm"), ("negbin", "glm", "lm"))

_EPSILON = float(np.finfo(np.float64).eps)


class Model(lm.Model):
    """What `predict(type = "response")` answers: the inverse link of the linear predictor."""

    def __init__(self, model: RObject, request: Request) -> None:
        family = model.require("family")
        self._family = _text(family.require("family"))
        super().__init__(model, request)
        self._inverse_link = _inverse_link(_text(family.require("link")), model)

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions of the rows in `columns`."""
        return {"prediction": self._inverse_link(super().predict(columns)["prediction"])}

    def _outputs(self, request: Request) -> tuple[Output, ...]:
        """A probability for the binomial families, else a number."""
        usual = ("probability", "number") if self._family in ("binomial", "quasibinomial") else ("number", "probability")
        if request.choose("a glm", *usual) == "number":
            return NUMBER
        # Of two levels, the second one's probability is modelled.
        return (Output(name="prediction", kind="probability", labels=request.labels[-1:]),)


def _text(value: RObject) -> str:
    return str(value.strings()[0])


def _logit(eta: Array) -> Array:
    odds = np.where(eta < -30.0, _EPSILON, np.where(eta > 30.0, 1.0 / _EPSILON, np.exp(eta)))
    probability: Array = odds / (1.0 + odds)
    return probability


def _probit(eta: Array) -> Array:
    limit = -special.ndtri(_EPSILON)
    probability: Array = special.ndtr(np.minimum(np.maximum(eta, -limit), limit))
    return probability


def _cauchit(eta: Array) -> Array:
    limit = 1.0 / np.tan(np.pi * _EPSILON)
    eta = np.minimum(np.maximum(eta, -limit), limit)
    # In the tails 1/2 + atan(eta)/pi would cancel.
    far = np.abs(eta) > 1.0
    tail = np.arctan(1.0 / np.where(far, eta, 1.0)) / np.pi
    probability: Array = np.where(far, np.where(eta > 0.0, 1.0 - tail, -tail), 0.5 + np.arctan(eta) / np.pi)
    return probability


def _cloglog(eta: Array) -> Array:
    probability: Array = np.maximum(np.minimum(-np.expm1(-np.exp(eta)), 1.0 - _EPSILON), _EPSILON)
    return probability


def _power(exponent: float) -> Callable[[Array], Array]:
    return lambda eta: np.maximum(eta ** (1.0 / exponent), _EPSILON)


# As R's make.link has them, with its limits.
_INVERSE_LINKS: Mapping[str, Callable[[Array], Array]] = {
    "logit": _logit,
    "probit": _probit,
    "cauchit": _cauchit,
    "cloglog": _cloglog,
    "log": lambda eta: np.maximum(np.exp(eta), _EPSILON),
    "identity": lambda eta: eta,
    "inverse": lambda eta: 1.0 / eta,
    "sqrt": lambda eta: eta * eta,
    "1/mu^2": lambda eta: 1.0 / np.sqrt(eta),
}


def _inverse_link(name: str, model: RObject) -> Callable[[Array], Array]:
    if name in _INVERSE_LINKS:
        return _INVERSE_LINKS[name]
    if name.startswith("mu^"):
        return _power(_power_in_call(model.get("call")) or float(name.removeprefix("mu^")))
    raise IntakeError(f"the link {name!r} is not supported; supported are {', '.join(_INVERSE_LINKS)} and power()")


def _power_in_call(expression: RObject | None) -> float | None:
    """The argument of power() in the call: the link's name has it with three decimals only."""
    if expression is None or expression.type != "language":
        return None
    if function_name(expression) == "power" and len(expression.value) == 2:
        try:
            return float(evaluate(expression.value[1][1], {}).values.ravel()[0])
        except IntakeError:  # a variable
            return None
    return next((found for _, part in expression.value if (found := _power_in_call(part)) is not None), None)
