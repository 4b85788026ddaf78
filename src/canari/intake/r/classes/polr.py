"""Proportional odds and other ordinal regressions: `polr` of the package MASS."""

from collections.abc import Callable, Mapping

import numpy as np
from scipy import special

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array, take
from canari.intake.r.columns import Column
from canari.intake.r.max_col import MaxColClassifier
from canari.intake.r.model import Request, class_outputs
from canari.intake.r.terms import Need, Terms
from canari.intake.rds import RObject

CLASSES = (("polr",),)


class Model(MaxColClassifier):
    """What `predict` answers for new rows: the class and the probability of each; of an offset R's predict takes no notice."""

    answers_missing = True

    def __init__(self, model: RObject, request: Request) -> None:
        request.take_only("a polr")
        self._terms = Terms(model.require("terms"), model.get("xlevels"))
        self._contrasts = model.get("contrasts")
        # The intercepts are the limits between the classes.
        leading = [0.0] if self._terms.intercept else []
        self._weights = np.concatenate([leading, model.require("coefficients").doubles()])[:, None]
        self._limits = model.require("zeta").doubles()
        method = str(model.require("method").strings()[0])
        if method not in _DISTRIBUTIONS:
            raise IntakeError(f"a polr of method {method!r} is not supported; supported are {', '.join(_DISTRIBUTIONS)}")
        self._distribution = _DISTRIBUTIONS[method]
        classes = tuple(map(str, model.require("lev").strings()))
        self.outputs = class_outputs(request, classes, f"a polr with {len(classes)} classes")

    def needs(self) -> Mapping[str, Need]:
        """The columns that the formula takes."""
        return self._terms.needs()

    def probabilities(self, columns: Mapping[str, Column]) -> Array:
        """[n, k]: the differences of the cumulative ones."""
        eta = self._terms.product(columns, self._weights, self._contrasts)
        cumulative = self._distribution(self._limits[None, :] - eta)
        last = len(self._limits) - 1
        differences = [take(cumulative, [0], axis=1)]
        if last:
            differences.append(take(cumulative, range(1, last + 1), axis=1) - take(cumulative, range(last), axis=1))
        return np.concatenate([*differences, 1.0 - take(cumulative, [last], axis=1)], axis=1)


def _logistic(q: Array) -> Array:
    probability: Array = 1.0 / (1.0 + np.exp(-q))
    return probability


def _cauchy(q: Array) -> Array:
    far = np.abs(q) > 1.0
    tail = np.arctan(1.0 / np.where(far, q, 1.0)) / np.pi
    probability: Array = np.where(far, np.where(q > 0.0, 1.0 - tail, -tail), 0.5 + np.arctan(q) / np.pi)
    return probability


_DISTRIBUTIONS: Mapping[str, Callable[[Array], Array]] = {
    "logistic": _logistic,
    "probit": special.ndtr,
    "loglog": lambda q: np.exp(-np.exp(-q)),
    "cloglog": lambda q: 1.0 - np.exp(-np.exp(q)),
    "cauchit": _cauchy,
}
