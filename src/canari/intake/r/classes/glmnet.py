"""Elastic nets of the package glmnet, at one value of the penalty lambda."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array, take
from canari.intake.r.columns import Column
from canari.intake.r.links import link_of
from canari.intake.r.max_col import any_missing
from canari.intake.r.model import NUMBER, Request, class_outputs, class_predictions
from canari.intake.r.terms import Need
from canari.intake.rds import RObject
from canari.model import Predictions
from canari.signature import Output

_FAMILIES = ("elnet", "lognet", "multnet", "fishnet", "mrelnet", "coxnet", "glmnetfit")
CLASSES = (*((family, "glmnet") for family in _FAMILIES), *(("relaxed", family, "glmnet") for family in _FAMILIES))

Floats: TypeAlias = npt.NDArray[np.float64]
Kind: TypeAlias = Literal["number", "probability", "class", "link", "risk"]

# What each kind of fit answers, the usual kind first; of glmnetfit, the family decides.
_KINDS: Mapping[str, Sequence[Kind]] = {
    "elnet": ("number",),
    "lognet": ("probability", "class", "link"),
    "multnet": ("class",),
    "fishnet": ("number", "link"),
    "mrelnet": ("number",),
    "coxnet": ("risk", "link"),
}
_FEW = 1e-5  # the least gamma of blend.relaxed


class Model:
    """What `predict` answers at the lambda `s`: between two lambdas of the fit, R interpolates the coefficients.

    Of a relaxed fit, `gamma` blends the penalized coefficients (1, as usual) with the unpenalized ones (0).
    """

    answers_missing = True

    def __init__(self, model: RObject, request: Request) -> None:
        relaxed = model.classes[0] == "relaxed"
        self._family = model.classes[-2]
        request.take_only("a glmnet", "s", *(["gamma"] if relaxed else []))
        if model.require("offset").doubles()[0]:
            raise IntakeError(
                "the glmnet was fitted with an offset, which R's predict takes apart from the rows as newoffset; fit it without"
            )
        self._link = link_of(model).inverse if self._family == "glmnetfit" else _INVERSE_LINKS[self._family]
        self.outputs = self._outputs(model, request)
        gamma = request.number("gamma", 1.0)
        if not 0 <= gamma <= 1:
            raise IntakeError(f"the argument 'gamma' is {gamma:g}; expected 0 to 1")
        path = _Path(model) if gamma == 1 else _blended(_Path(model), _Path(model.require("relaxed")), max(gamma, _FEW))
        self._coefficients, self._intercepts = path.at(_penalty(request, path.lambdas))
        self._names = path.names

    def needs(self) -> Mapping[str, Need]:
        """The columns of x, also those with coefficients of zero."""
        return {name: Need("number") for name in self._names}

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions of the rows in `columns`."""
        eta = self._linear_predictor(columns)
        if self._family == "mrelnet":
            return {output.name: take(eta, [i], axis=1) for i, output in enumerate(self.outputs)}
        if self.outputs[0].kind != "class":
            output = self.outputs[0]
            return {output.name: eta if output.name == "link" else self._link(eta)}
        mean = self._link(eta)
        if self._family == "lognet":
            both = np.concatenate([1.0 - mean, mean], axis=1)
            return class_predictions(self.outputs, both, np.where(eta > 0.0, 1, 0), np.isnan(eta))
        return class_predictions(self.outputs, mean, np.argmax(eta, axis=1, keepdims=True), any_missing(eta))

    def _linear_predictor(self, columns: Mapping[str, Column]) -> Array:
        """[n, k]; a missing value matters only where a coefficient is not zero, as in R's sparse product."""
        active = np.flatnonzero(self._coefficients.any(axis=1))
        if not len(active):  # the same for all rows
            return self._intercepts[None, :]
        numbers = [columns[name].numbers(name) for name in self._names]
        design = np.concatenate([numbers[i] for i in active], axis=1)
        coefficients = self._coefficients[active]
        eta: Array
        if coefficients.all():
            eta = design @ coefficients + self._intercepts[None, :]
        else:  # a predictor may lack in the linear predictors of some classes alone
            lacking = np.isnan(design)
            unknown = lacking.astype(np.float64) @ (coefficients != 0.0).astype(np.float64) > 0.0
            eta = np.where(unknown, np.nan, np.where(lacking, 0.0, design) @ coefficients + self._intercepts[None, :])
        return eta

    def _outputs(self, model: RObject, request: Request) -> tuple[Output, ...]:
        kinds = _KINDS.get(self._family) or _kinds_of_family(str(model.require("family").require("family").strings()[0]))
        kind = request.choose(f"a glmnet of class {self._family!r}", *kinds)
        if self._family == "mrelnet":
            return tuple(Output(name=name, kind="number") for name in model.require("beta").names)
        if kind == "number":
            return NUMBER
        if kind in ("link", "risk"):
            return (Output(name=kind, kind="number"),)
        if self._family == "glmnetfit":
            return (Output(name="prediction", kind="probability", labels=request.labels[-1:]),)
        found = model.get("classnames") if kind == "probability" else model.require("classnames")
        classes = tuple(map(str, found.strings())) if found is not None else ()
        if kind == "probability":
            return (Output(name="prediction", kind="probability", labels=classes[1:]),)
        return class_outputs(request, classes, "a glmnet")


class _Path:
    """The coefficients along the path of lambdas: [lambdas, p, k], and the intercepts [lambdas, k]."""

    def __init__(self, model: RObject) -> None:
        beta = model.require("beta")
        matrices = beta.value if beta.type == "list" else [beta]
        self.names = _row_names(matrices[0])
        self.coefficients = np.stack([_dense(matrix) for matrix in matrices], axis=-1).swapaxes(0, 1)
        intercepts = model.get("a0")
        if intercepts is None:  # of a Cox model
            self.intercepts = np.zeros((self.coefficients.shape[0], 1))
        else:
            self.intercepts = intercepts.matrix().T if intercepts.dim else intercepts.doubles()[:, None]
        self.lambdas = model.require("lambda").doubles()
        if not len(self.lambdas) == len(self.coefficients) == len(self.intercepts):
            raise IntakeError(f"the glmnet is damaged: {len(self.lambdas)} lambdas for {len(self.coefficients)} fits")

    def at(self, penalty: float) -> tuple[Floats, Floats]:
        """The coefficients [p, k] and the intercepts [k] at a lambda."""
        left, right, share = _interpolation(self.lambdas, penalty)
        coefficients = self.coefficients[left] * share + self.coefficients[right] * (1 - share)
        return coefficients, self.intercepts[left] * share + self.intercepts[right] * (1 - share)


def _blended(penalized: _Path, relaxed: _Path, gamma: float) -> _Path:
    """The blend.relaxed of glmnet: where a lambda was not fitted again, the last one that was stands in for it."""
    position = {value: index for index, value in enumerate(relaxed.lambdas.tolist())}
    found = [position.get(value, -1) for value in penalized.lambdas.tolist()]
    which = [max(found) if index < 0 else index for index in found]
    penalized.coefficients = gamma * penalized.coefficients + (1 - gamma) * relaxed.coefficients[which]
    penalized.intercepts = gamma * penalized.intercepts + (1 - gamma) * relaxed.intercepts[which]
    return penalized


def _penalty(request: Request, lambdas: Floats) -> float:
    """The argument `s`, without which R answers for each lambda."""
    if "s" not in request.arguments and len(lambdas) > 1:
        raise IntakeError(
            f"the glmnet holds a path of {len(lambdas)} lambdas; say which one is to predict: "
            "save_model(..., arguments = list(s = 0.01)), or save the cv.glmnet"
        )
    return request.number("s", float(lambdas[0]))


def _interpolation(lambdas: Floats, penalty: float) -> tuple[int, int, float]:
    """The lambda.interp of glmnet: the positions on the left and on the right, and the weight of the left one."""
    if len(lambdas) == 1:
        return 0, 0, 1.0
    length = lambdas[0] - lambdas[-1]
    scaled = (lambdas[0] - lambdas) / length
    wanted = min(max((lambdas[0] - penalty) / length, scaled.min()), scaled.max())
    if len(exact := np.flatnonzero(scaled == wanted)):
        return int(exact[0]), int(exact[0]), 1.0
    right = int(np.searchsorted(scaled, wanted))
    left = right - 1
    return left, right, float((wanted - scaled[right]) / (scaled[left] - scaled[right]))


def _dense(matrix: RObject) -> Floats:
    """[rows, columns] of a dgCMatrix, R's compressed sparse columns."""
    slots = matrix.attributes
    if matrix.type != "S4" or "dgCMatrix" not in matrix.classes:
        raise IntakeError(f"the coefficients of the glmnet are of class {'/'.join(matrix.classes)!r}, not 'dgCMatrix'")
    rows, columns = slots["Dim"].doubles().astype(int)
    starts, positions = slots["p"].doubles().astype(int), slots["i"].doubles().astype(int)
    dense = np.zeros((rows, columns))
    dense[positions, np.repeat(np.arange(columns), np.diff(starts))] = slots["x"].doubles()
    return dense


def _row_names(matrix: RObject) -> list[str]:
    names = matrix.attributes["Dimnames"].value[0]
    return [str(name) for name in names.strings()]


def _kinds_of_family(family: str) -> Sequence[Kind]:
    return ("probability", "number", "link") if family in ("binomial", "quasibinomial") else ("number", "link")


def _logistic(eta: Array) -> Array:
    probability: Array = 1.0 / (1.0 + np.exp(-eta))
    return probability


def _softmax(eta: Array) -> Array:
    """As glmnet has it: with no largest one subtracted, a linear predictor above 709 is too large."""
    powers = np.exp(eta)
    shares: Array = powers / (powers @ np.ones((powers.shape[1], 1)))
    return shares


_INVERSE_LINKS: Mapping[str, Callable[[Array], Array]] = {
    "elnet": lambda eta: eta,
    "mrelnet": lambda eta: eta,
    "lognet": _logistic,
    "multnet": _softmax,
    "fishnet": np.exp,
    "coxnet": np.exp,
}
