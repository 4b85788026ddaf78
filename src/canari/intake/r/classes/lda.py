"""Linear discriminant analysis: `lda` of the package MASS."""

from collections.abc import Mapping

import numpy as np

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array, take
from canari.intake.r.columns import Column
from canari.intake.r.discriminant import METHODS, posterior, prior_of, shares
from canari.intake.r.max_col import MaxColClassifier
from canari.intake.r.model import Request, class_outputs
from canari.intake.r.predictors import Predictors
from canari.intake.r.terms import Need
from canari.intake.rds import RObject

CLASSES = (("lda",),)


class Model(MaxColClassifier):
    """What `predict` answers for new rows: `class` and `posterior`; arguments are `prior`, `dimen` and `method`."""

    answers_missing = True

    def __init__(self, model: RObject, request: Request) -> None:
        request.take_only("an lda", "prior", "dimen", "method")
        self._method = request.word("method", *METHODS)
        self._prior, classes = prior_of(model, request)
        means, scaling = model.require("means").matrix(), model.require("scaling")
        axes = len(model.require("svd").doubles())
        dimensions = request.number("dimen", axes)
        if dimensions < 1:
            raise IntakeError(f"the argument 'dimen' is {dimensions:g}; expected 1 to {axes}")
        self._dimensions = min(int(dimensions), axes)
        self._counts = model.require("counts").doubles()
        self._rows = float(model.require("N").doubles()[0])
        self._centre = self._prior @ means
        self._scaling = scaling.matrix()
        self._means = (means - self._centre) @ self._scaling
        names = scaling.dimnames[0] if scaling.dimnames else ()
        self._predictors = Predictors(model, request, means.shape[1], names)
        self.outputs = class_outputs(request, classes, f"an lda with {len(classes)} classes")

    def needs(self) -> Mapping[str, Need]:
        """The columns of the formula, or of x."""
        return self._predictors.needs()

    def probabilities(self, columns: Mapping[str, Column]) -> Array:
        """[n, k], as predict.lda has them."""
        x = (self._predictors.matrix(columns) - self._centre[None, :]) @ self._scaling
        if self._method == "predictive":
            return self._predictive(x)
        means = self._means[:, : self._dimensions]
        distances = 0.5 * (means**2).sum(axis=1)[None, :] - take(x, range(self._dimensions), axis=1) @ means.T
        prior = np.log(self._prior)
        if self._method == "debiased":
            freedom = self._rows - len(self._prior)
            distances = (freedom - self._dimensions - 1) / freedom * distances
            prior = prior - self._dimensions / self._counts
        return posterior(distances - prior[None, :])

    def _predictive(self, x: Array) -> Array:
        classes, predictors = len(self._prior), self._centre.shape[0]
        freedom = self._rows - classes
        scaled = x * np.sqrt(self._rows / freedom)
        ones = np.ones((self._means.shape[1], 1))
        squares = [(scaled - mean[None, :]) ** 2.0 @ ones for mean in self._means]
        weight = self._counts / (self._rows * (self._counts + 1))
        deviations = 1.0 + np.concatenate(squares, axis=1) * weight[None, :]
        factor = self._prior * (self._counts / (self._counts + 1)) ** (predictors / 2)
        return shares(factor[None, :] * deviations ** (-(freedom + 1) / 2))
