"""Quadratic discriminant analysis: `qda` of the package MASS."""

from collections.abc import Mapping

import numpy as np
from scipy.linalg import block_diag
from scipy.special import digamma

from canari.intake.onnx_graph import Array
from canari.intake.r.columns import Column
from canari.intake.r.discriminant import METHODS, posterior, prior_of, shares
from canari.intake.r.max_col import MaxColClassifier
from canari.intake.r.model import Request, class_outputs
from canari.intake.r.predictors import Predictors
from canari.intake.r.terms import Need
from canari.intake.rds import RObject

CLASSES = (("qda",),)


class Model(MaxColClassifier):
    """What `predict` answers for new rows: `class` and `posterior`; arguments are `prior` and `method`."""

    answers_missing = True

    def __init__(self, model: RObject, request: Request) -> None:
        request.take_only("a qda", "prior", "method")
        self._method = request.word("method", *METHODS)
        self._prior, classes = prior_of(model, request)
        self._means = model.require("means").matrix()
        scaling = model.require("scaling")
        self._scaling = scaling.matrix()
        self._log_determinants = model.require("ldet").doubles()
        self._counts = model.require("counts").doubles()
        names = scaling.dimnames[0] if scaling.dimnames else ()
        self._predictors = Predictors(model, request, self._means.shape[1], names)
        self.outputs = class_outputs(request, classes, f"a qda with {len(classes)} classes")

    def needs(self) -> Mapping[str, Need]:
        """The columns of the formula, or of x."""
        return self._predictors.needs()

    def probabilities(self, columns: Mapping[str, Column]) -> Array:
        """[n, k], as predict.qda has them."""
        classes, p = self._means.shape
        squares, counts = self._squares(columns), self._counts
        if self._method == "predictive":
            factor = self._prior * np.exp(-self._log_determinants / 2) * (1 + counts) ** (-p / 2)
            deviations = 1.0 + squares / (counts + 1)[None, :]
            return shares(factor[None, :] * deviations ** (-counts / 2)[None, :])
        constants = 0.5 * self._log_determinants - np.log(self._prior)
        if self._method == "plug-in":
            return posterior(0.5 * squares + constants[None, :])
        # Over the classes, not the predictors, as predict.qda has it.
        bias = p * np.log((counts - 1) / 2) - digamma(0.5 * (counts[:, None] - np.arange(1, classes + 1))).sum(axis=1)
        shrunk = 0.5 * (1 - (p - 1) / (counts - 1))
        return posterior(squares * shrunk[None, :] + (constants + 0.5 * bias - p / (2 * counts))[None, :])

    def _squares(self, columns: Mapping[str, Column]) -> Array:
        """The squared Mahalanobis distance from each class, [n, k]: all classes side by side in one product."""
        classes, p = self._means.shape
        x = self._predictors.matrix(columns)
        deviations = np.concatenate([x] * classes, axis=1) - self._means.reshape(1, -1)
        standardized = deviations @ block_diag(*np.moveaxis(self._scaling, 2, 0))
        squares: Array = (standardized * standardized) @ np.kron(np.eye(classes), np.ones((p, 1)))
        return squares
