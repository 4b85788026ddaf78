"""Generalized additive models of package mgcv: `gam`, `bam` and the `$gam` of `gamm`."""

from collections.abc import Mapping

import numpy as np

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array
from canari.intake.r.columns import Column
from canari.intake.r.functions import evaluate
from canari.intake.r.linear import SE
from canari.intake.r.links import link_of
from canari.intake.r.model import NUMBER, Request
from canari.intake.r.smooths import Smooth, terms_of
from canari.intake.r.terms import Need, Terms
from canari.intake.rds import RObject
from canari.model import Predictions
from canari.signature import Output

CLASSES = (("gam", "glm", "lm"), ("bam", "gam", "glm", "lm"), ("gam",))


class Model:
    """What predict.gam answers for new rows; an offset= that is no part of the formula is ignored, as it does."""

    answers_missing = True

    def __init__(self, model: RObject, request: Request) -> None:
        request.take_only("a gam")
        family = model.require("family")
        name = str(family.require("family").strings()[0])
        if model.require("formula").type == "list":
            raise IntakeError(f"a gam with several linear predictors (family {name!r}) is not supported")
        if family.get("predict") is not None:
            raise IntakeError(f"a gam of family {name!r} predicts by a function of the family's own, which is not supported")
        if model.require("nsdf").attributes.get("drop.ind") is not None or model.get("Xcentre") is not None:
            raise IntakeError("the gam's model matrix was changed after it was made, in a way that is not supported")
        self._link = link_of(model)
        self._coefficients = model.require("coefficients").doubles()
        self._parameters = int(model.require("nsdf").doubles()[0])
        self._parametric = Terms(model.require("pterms"), model.get("xlevels"))
        self._contrasts = _used_contrasts(model)
        self._levels = {
            name: tuple(found.levels) for name, found in model.require("var.summary").items() if "factor" in found.classes
        }
        self._inputs = {name: self._need(name, found) for name, found in model.require("var.summary").items()}
        smooths = model.require("smooth").value
        self._expressions = _expressions(model, [term for smooth in smooths for term in terms_of(smooth)])
        self._smooths = [Smooth(smooth, self._levels) for smooth in smooths]
        self._kind = request.choose("a gam", *_usual(name), "link", "se")
        self._covariance = model.require("Vp").matrix() if self._kind == "se" else np.zeros((0, 0))
        self.outputs = _outputs(self._kind, request)

    def needs(self) -> Mapping[str, Need]:
        """The variables of the parametric terms and of the smooths."""
        return self._inputs | self._parametric.needs()

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions of the rows in `columns`; missing where any variable is."""
        columns = {n: column.coded(self._levels[n], n) if n in self._levels else column for n, column in columns.items()}
        missing = np.zeros((1, 1), bool)
        for name in self.needs():
            missing = missing | columns[name].missing()
        variables = {name: evaluate(expression, columns) for name, expression in self._expressions.items()}
        eta = self._parametric.linear_predictor(columns, self._coefficients[: self._parameters], self._contrasts)
        for smooth in self._smooths:
            eta = eta + smooth.times(variables, self._coefficients[smooth.first : smooth.last, None])
        eta = np.where(missing, np.nan, eta)
        if self._kind == "link":
            return {"link": eta}
        mean = self._link.inverse(eta)
        if self._kind != "se":
            return {"prediction": mean}
        error = self._standard_error(columns, variables)
        return {"prediction": mean, "se": np.where(missing, np.nan, error * np.abs(self._link.slope(eta)))}

    def _standard_error(self, columns: Mapping[str, Column], variables: Mapping[str, Column]) -> Array:
        """Of the linear predictor, [n, 1]: the root of the diagonal of X Vp X'."""
        blocks = [self._parametric.model_matrix(columns, self._contrasts, self._parameters)] if self._parameters else []
        blocks += [smooth.times(variables, np.eye(smooth.last - smooth.first)) for smooth in self._smooths]
        rows = next(iter(columns.values())).missing()
        blocks = [np.where(rows, block, block) if block.shape[0] == 1 else block for block in blocks]
        matrix = np.concatenate(blocks, axis=1)
        variance = ((matrix @ self._covariance) * matrix) @ np.ones((len(self._covariance), 1))
        error: Array = np.sqrt(np.maximum(variance, 0.0))
        return error

    def _need(self, name: str, summary: RObject) -> Need:
        if summary.dim and summary.dim[-1] > 1:
            raise IntakeError(f"the column {name!r} of the gam is a matrix, over which it sums; this is not supported")
        return Need("category", self._levels[name]) if name in self._levels else Need("number")


def _usual(family: str) -> tuple[str, str]:
    return ("probability", "number") if family in ("binomial", "quasibinomial") else ("number", "probability")


def _outputs(kind: str, request: Request) -> tuple[Output, ...]:
    if kind == "probability":  # of two levels, the second one's
        return (Output(name="prediction", kind="probability", labels=request.labels[-1:]),)
    if kind == "link":
        return (Output(name="link", kind="number"),)
    return SE if kind == "se" else NUMBER


def _expressions(model: RObject, written: list[str]) -> dict[str, RObject]:
    """What the smooths' variables stand for: mgcv keeps them as text, and evaluates it in the new rows as it is."""
    terms = model.require("terms").attributes
    variables = (value for _, value in terms["variables"].value[1:])
    known = dict(zip(terms["dataClasses"].names, variables, strict=False))
    for text in written:
        if text not in known:
            raise IntakeError(f"the smooths' variable {text!r} is none of the model's terms")
    return {text: known[text] for text in written}


def _used_contrasts(model: RObject) -> RObject | None:
    """predict.gam takes the contrasts only of factors that are terms by themselves."""
    contrasts = model.get("contrasts")
    if contrasts is None:
        return None
    labels = model.require("pterms").attributes["term.labels"].strings()
    kept = {name: value for name, value in contrasts.items() if name in labels}
    return RObject("list", list(kept.values()), {"names": RObject("character", list(kept))})
