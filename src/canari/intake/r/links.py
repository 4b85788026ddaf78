"""The links of generalized linear and additive models, as R's `make.link` and `power` have them, with their limits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array
from canari.intake.rds import RObject

_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Link:
    """From the linear predictor eta to the mean mu: `inverse` is R's `linkinv`, `slope` its derivative, R's `mu.eta`."""

    inverse: Callable[[Array], Array]
    slope: Callable[[Array], Array]


def link_of(model: RObject) -> Link:
    """The link of a fitted model's family; raises `IntakeError` for a link of a person's own."""
    family = model.require("family")
    name = str(family.require("link").strings()[0])
    if name in _LINKS:
        return _LINKS[name]
    if name.startswith("mu^"):
        return _power(_exponent(family, name))
    raise IntakeError(f"the link {name!r} is not supported; supported are {', '.join(_LINKS)} and power()")


def _logit(eta: Array) -> Array:
    odds = np.where(eta < -30.0, _EPSILON, np.where(eta > 30.0, 1.0 / _EPSILON, np.exp(eta)))
    probability: Array = odds / (1.0 + odds)
    return probability


def _logit_slope(eta: Array) -> Array:
    odds = np.exp(-np.abs(eta))
    slope: Array = np.where(np.abs(eta) > 30.0, _EPSILON, odds / ((1.0 + odds) * (1.0 + odds)))
    return slope


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


def _cloglog_slope(eta: Array) -> Array:
    eta = np.minimum(eta, 700.0)
    slope: Array = np.maximum(np.exp(eta) * np.exp(-np.exp(eta)), _EPSILON)
    return slope


def _exponential(eta: Array) -> Array:
    mean: Array = np.maximum(np.exp(eta), _EPSILON)
    return mean


_LINKS: Mapping[str, Link] = {
    "logit": Link(_logit, _logit_slope),
    "probit": Link(_probit, lambda eta: np.maximum(np.exp(-0.5 * eta * eta) / np.sqrt(2.0 * np.pi), _EPSILON)),
    "cauchit": Link(_cauchit, lambda eta: np.maximum(1.0 / (np.pi * (1.0 + eta * eta)), _EPSILON)),
    "cloglog": Link(_cloglog, _cloglog_slope),
    "log": Link(_exponential, _exponential),
    "identity": Link(lambda eta: eta, lambda eta: np.where(np.isnan(eta), 1.0, 1.0)),  # R answers 1 for a missing eta too
    "inverse": Link(lambda eta: 1.0 / eta, lambda eta: -1.0 / (eta * eta)),
    "sqrt": Link(lambda eta: eta * eta, lambda eta: 2.0 * eta),
    "1/mu^2": Link(lambda eta: 1.0 / np.sqrt(eta), lambda eta: -1.0 / (2.0 * eta * np.sqrt(eta))),
}


def _power(exponent: float) -> Link:
    return Link(
        lambda eta: np.maximum(eta ** (1.0 / exponent), _EPSILON),
        lambda eta: np.maximum((1.0 / exponent) * eta ** (1.0 / exponent - 1.0), _EPSILON),
    )


def _exponent(family: RObject, name: str) -> float:
    """The argument of power(), which its functions hold; the link's name has it with three decimals only."""
    inverse = family.get("linkinv")
    found = inverse.value[0].lookup("lambda") if inverse is not None and inverse.type == "closure" else None
    return float(name.removeprefix("mu^") if found is None else found.doubles()[0])
