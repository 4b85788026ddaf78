"""Support vector machines of the package e1071, as its libsvm computes them."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array, take
from canari.intake.r.columns import Column
from canari.intake.r.coupling import coupled
from canari.intake.r.model import NUMBER, Request, labelled
from canari.intake.r.predictors import Predictors
from canari.intake.r.terms import Need
from canari.intake.rds import RObject
from canari.model import Predictions
from canari.signature import Output

CLASSES = (("svm",), ("svm.formula", "svm"))

_CLASSIFICATION, _ONE_CLASS = (0, 1), 2
_LINEAR, _POLYNOMIAL, _RADIAL, _SIGMOID = range(4)
# |x - s|^2 = |x|^2 + |s|^2 - 2 x's loses this many units in the last place of the kernel's exponent.
_MOST_LOST = 64.0


class Model:
    """What `predict` answers: a number; or the class that won most votes, with probabilities where it was fitted with them."""

    answers_missing = False  # R leaves such rows out

    def __init__(self, model: RObject, request: Request) -> None:
        request.take_only("an svm")
        if model.require("sparse").doubles()[0]:
            raise IntakeError("the svm was fitted to a sparse matrix, which is not supported; fit it to as.matrix(x)")
        self._type = int(model.require("type").doubles()[0])
        self._kernel = int(model.require("kernel").doubles()[0])
        self._degree, self._gamma, self._coef0 = (
            float(model.require(name).doubles()[0]) for name in ("degree", "gamma", "coef0")
        )
        vectors = model.require("SV")
        self._vectors = vectors.matrix()
        self._rho = model.require("rho").doubles()
        names = vectors.dimnames[1] if len(vectors.dimnames) > 1 else ()
        self._predictors = Predictors(model, request, self._vectors.shape[1], names)
        for variable in self._predictors.terms.used if self._predictors.terms is not None else ():
            if variable.data_class == "character":
                raise IntakeError(
                    f"the predictor {variable.name!r} is a text, which svm codes by the rows at hand; make it a factor"
                )
        self._centre, self._scale = _scaling(model, "x.scale", model.require("scaled").doubles() == 1)
        response = _scaling(model, "y.scale", np.ones(1, bool))
        self._response_centre, self._response_scale = float(response[0][0]), float(response[1][0])
        self._classes: tuple[str, ...] = ()
        self._weights = model.require("coefs").matrix()
        self._platt: tuple[Array, ...] = ()
        if self._type in _CLASSIFICATION:
            self._read_classes(model)
        self.outputs = self._outputs(request)

    def needs(self) -> Mapping[str, Need]:
        """The columns of the formula, or of x."""
        return self._predictors.needs()

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions of the rows in `columns`."""
        decisions = self._decisions(columns)
        if self._type == _ONE_CLASS:
            return {"class": labelled(("FALSE", "TRUE"), np.where(decisions > 0.0, 1, 0))}
        if self._type not in _CLASSIFICATION:
            return {"prediction": decisions * self._response_scale + self._response_centre}
        predictions: Predictions = {}
        for output in self.outputs:
            if output.kind == "class":
                predictions[output.name] = labelled(self._classes, self._winner(decisions))
            else:
                order = [self._classes.index(label) for label in output.labels]
                scores = decisions * self._platt[0][None, :] + self._platt[1][None, :]
                predictions[output.name] = take(coupled(scores, len(self._classes)), order, axis=1)
        return predictions

    def _read_classes(self, model: RObject) -> None:
        """The classes in libsvm's order, in which each pair has a decision value."""
        levels = [str(level) for level in model.require("levels").strings()]
        order = model.require("labels").doubles().astype(int) - 1
        self._classes = tuple(levels[i] for i in order)
        if len(order) < 2:
            raise IntakeError("the svm was fitted to rows of one class, of which it knows no other")
        self._levels = tuple(levels[i] for i in sorted(order))
        ends = np.cumsum(model.require("nSV").doubles().astype(int))
        owner = np.searchsorted(ends, np.arange(len(self._vectors)), side="right")
        coefficients = self._weights
        self._pairs = list(combinations(range(len(order)), 2))
        self._weights = np.stack(
            [np.where(owner == i, coefficients[:, j - 1], np.where(owner == j, coefficients[:, i], 0.0)) for i, j in self._pairs],
            axis=1,
        )
        if model.require("compprob").doubles()[0]:
            self._platt = model.require("probA").doubles(), model.require("probB").doubles()

    def _outputs(self, request: Request) -> tuple[Output, ...]:
        if self._type == _ONE_CLASS:
            request.choose("an svm for one class", "class")
            return (Output(name="class", kind="class", labels=("FALSE", "TRUE")),)
        if self._type not in _CLASSIFICATION:
            request.choose("an svm for regression", "number")
            return NUMBER
        what = f"an svm with {len(self._levels)} classes"
        kinds = ["class"]
        if self._platt and len(self._levels) == 2:
            kinds.append("probability")
        elif request.kind == "probability" and not self._platt:
            raise IntakeError("the svm was fitted without probabilities; fit it with probability = TRUE")
        if request.choose(what, *kinds) == "probability":
            return (Output(name="prediction", kind="probability", labels=self._levels[1:]),)
        winner = Output(name="class", kind="class", labels=self._levels)
        return (winner, Output(name="probabilities", kind="probability", labels=self._levels)) if self._platt else (winner,)

    def _decisions(self, columns: Mapping[str, Column]) -> Array:
        """A decision value for each pair of classes, else one: [n, m]."""
        x = (self._predictors.matrix(columns) - self._centre[None, :]) / self._scale[None, :]
        values: Array = self._kernels(x) @ self._weights - self._rho[None, :]
        return values

    def _kernels(self, x: Array) -> Array:
        """The kernel of each row with each support vector, [n, vectors]."""
        if self._kernel == _RADIAL:
            similarity: Array = np.exp(-self._gamma * self._squared_distances(x))
            return similarity
        products = x @ self._vectors.T
        if self._kernel == _LINEAR:
            return products
        inner = self._gamma * products + self._coef0
        value: Array = np.tanh(inner) if self._kernel == _SIGMOID else inner**self._degree
        return value

    def _squared_distances(self, x: Array) -> Array:
        """By one product of matrices where that is exact enough, else predictor by predictor."""
        centre = self._vectors.mean(axis=0)
        vectors = self._vectors - centre
        norms = (vectors**2).sum(axis=1)
        if self._gamma * norms.max() < _MOST_LOST:
            centred = x - centre[None, :]
            rows = (centred * centred) @ np.ones((len(centre), 1))
            squares: Array = np.maximum(rows + norms[None, :] - centred @ (2.0 * vectors.T), 0.0)
            return squares
        total: Array = np.zeros((1, 1))
        for i in range(len(centre)):
            difference = take(x, [i], axis=1) - self._vectors[None, :, i]
            total = total + difference * difference
        return total

    def _winner(self, decisions: Array) -> Array:
        """The position of the class with most votes, the first one of several, [n, 1]."""
        count = len(self._classes)
        first, second = (np.array([[float(pair[k] == c) for c in range(count)] for pair in self._pairs]) for k in (0, 1))
        # Each pair's vote goes to its first class or, by default, to its second one.
        votes = (decisions > 0.0).astype(np.float64) @ (first - second) + second.sum(axis=0)[None, :]
        winner: Array = np.argmax(votes, axis=1, keepdims=True)
        return winner


def _scaling(model: RObject, name: str, scaled: Array) -> tuple[Array, Array]:
    """Centre and scale of each column, 0 and 1 of those that are not `scaled`."""
    centre, scale = np.zeros(len(scaled)), np.ones(len(scaled))
    found = model.get(name)
    if found is not None and scaled.any():
        centre[scaled] = found.require("scaled:center").doubles()
        scale[scaled] = found.require("scaled:scale").doubles()
    return centre, scale
