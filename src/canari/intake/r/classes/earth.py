"""Multivariate adaptive regression splines of package earth, also with a `glm` on top."""

from collections.abc import Mapping
from functools import reduce

import numpy as np
import numpy.typing as npt

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array, take
from canari.intake.r.columns import Column
from canari.intake.r.links import Link, link_of
from canari.intake.r.model import NUMBER, Request, labelled
from canari.intake.r.predictors import Predictors
from canari.intake.r.terms import Need
from canari.intake.rds import RObject
from canari.model import Predictions
from canari.signature import Output

CLASSES = (("earth",),)

Floats = npt.NDArray[np.float64]
_LINEAR = 2.0  # in `dirs`: the predictor itself rather than a hinge


class Model:
    """Products of hinge functions times coefficients; of a `glm` on top, its inverse link. The class is where it is above 0.5."""

    def __init__(self, model: RObject, request: Request) -> None:
        directions, cuts = model.require("dirs").matrix(), model.require("cuts").matrix()
        selected = model.require("selected.terms").doubles().astype(int) - 1
        self._hinges = _Hinges(directions[selected], cuts[selected])
        self._predictors = Predictors(model, request, directions.shape[1], model.require("dirs").dimnames[1])
        if model.get("terms") is None and self._predictors.names != tuple(map(str, model.require("namesx").strings())):
            raise IntakeError("an earth that was fitted to x with factors in it is not supported; fit it by a formula")
        if self._predictors.terms is not None and self._predictors.terms.has_offset:
            raise IntakeError("an earth with an offset is not supported; fit it without, or add it to the answer")
        coefficients = model.require("coefficients")
        self._responses = coefficients.dimnames[1]
        models = model.get("glm.list")
        layers = models.value if models is not None else []
        estimated = [layer.require("coefficients").doubles() for layer in layers]
        self._coefficients = np.column_stack(estimated) if layers else coefficients.matrix()
        self._coefficients = np.where(np.isnan(self._coefficients), 0.0, self._coefficients)
        self._links = [link_of(layer) for layer in layers]
        binomial = bool(layers) and layers[0].require("family").require("family").strings()[0] in ("binomial", "quasibinomial")
        levels = model.get("levels")
        self._levels = tuple(map(str, levels.strings())) if levels is not None and levels.type == "character" else ()
        self._kind = self._choose(request, binomial=binomial)
        request.take_only("an earth")
        self.outputs = self._outputs(request)
        self.answers_missing = self._kind != "class"

    def needs(self) -> Mapping[str, Need]:
        """The predictors."""
        return self._predictors.needs()

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions of the rows in `columns`; missing where a predictor is that the terms use."""
        fit = self._hinges(self._predictors.matrix(columns)) @ self._coefficients
        if self._links and self._kind != "link":
            fit = _means(fit, self._links)
        if self._kind == "class":
            missing = np.isnan(take(fit, [0], axis=1))
            single = fit.shape[1] == 1
            winner = (fit > 0.5).astype(np.int64) if single else np.argmax(fit, axis=1, keepdims=True)
            return {"class": labelled(self._levels, np.where(missing, len(self._levels), winner))}
        return {output.name: take(fit, [i], axis=1) for i, output in enumerate(self.outputs)}

    def _choose(self, request: Request, *, binomial: bool) -> str:
        several = len(self._responses) > 1
        usual = ["probability", "number"] if binomial and not several else ["number"]
        if self._levels:
            usual.append("class")
        return request.choose("this earth", *usual, *([] if several else ["link"]))

    def _outputs(self, request: Request) -> tuple[Output, ...]:
        if self._kind == "class":
            return (Output(name="class", kind="class", labels=self._levels),)
        if self._kind == "probability":  # of two levels, the second one's
            return (Output(name="prediction", kind="probability", labels=request.labels[-1:]),)
        if self._kind == "link":
            return (Output(name="link", kind="number"),)
        if len(self._responses) == 1:
            return NUMBER
        return tuple(Output(name=name, kind="number") for name in self._responses)


class _Hinges:
    """The products of the terms, each of as many factors as the longest one; a factor of 1 fills up the others."""

    def __init__(self, directions: Floats, cuts: Floats) -> None:
        terms, predictors = directions.shape
        degree = max(1, int((directions != 0).sum(axis=1).max()))
        shape = (degree, terms)
        self._places = np.full(shape, predictors)  # of the column of ones
        self._cuts, self._signs, self._is_hinge = np.zeros(shape), np.ones(shape), np.zeros(shape, bool)
        for term, used in enumerate(map(np.flatnonzero, directions)):
            self._places[: len(used), term] = used
            for i, predictor in enumerate(used):
                if directions[term, predictor] != _LINEAR:
                    self._is_hinge[i, term] = True
                    self._signs[i, term] = directions[term, predictor]
                    self._cuts[i, term] = cuts[term, predictor]

    def __call__(self, x: Array) -> Array:
        """[n, predictors] to [n, terms]."""
        ones = np.where(np.isnan(take(x, [0], axis=1)), 1.0, 1.0)
        filled = np.concatenate([x, ones], axis=1)
        factors = []
        for places, cuts, signs, is_hinge in zip(self._places, self._cuts, self._signs, self._is_hinge, strict=True):
            value = signs[None, :] * (take(filled, places, axis=1) - cuts[None, :])
            factors.append(np.where(is_hinge[None, :], np.maximum(value, 0.0), value))
        product: Array = reduce(np.multiply, factors)
        return product


def _means(fit: Array, links: list[Link]) -> Array:
    columns = [link.inverse(take(fit, [i], axis=1)) for i, link in enumerate(links)]
    return columns[0] if len(columns) == 1 else np.concatenate(columns, axis=1)
