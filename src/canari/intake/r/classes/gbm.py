"""Boosted trees of the package gbm, fitted from a formula or by gbm.fit."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array, sum_of_trees, take
from canari.intake.r.columns import Column
from canari.intake.r.language import symbols
from canari.intake.r.model import NUMBER, Request, class_outputs, class_predictions
from canari.intake.r.terms import Need, Terms
from canari.intake.rds import RObject
from canari.intake.tree_ensemble import Tree
from canari.model import Predictions
from canari.signature import Output

CLASSES = (("gbm",),)

_LINK = (Output(name="link", kind="number"),)
# What a distribution's fits may be asked for, the usual kind first.
_KINDS = {
    "bernoulli": ("probability", "link"),
    "adaboost": ("probability", "link"),
    "pairwise": ("link", "number"),
    "coxph": ("link",),
    **dict.fromkeys(("gaussian", "poisson", "laplace", "tdist", "huberized", "quantile"), ("number", "link")),
}

Doubles = npt.NDArray[np.float64]


class Model:
    """What `predict` answers for new rows: the sum of the first `n.trees` trees, or the response of which it is the link."""

    answers_missing = True

    def __init__(self, model: RObject, request: Request) -> None:
        request.take_only("a gbm", "n.trees")
        self._distribution = str(model.require("distribution").require("name").strings()[0])
        if self._distribution != "multinomial" and self._distribution not in _KINDS:
            raise IntakeError(
                f"a gbm of the distribution {self._distribution!r} is not translated; known are {', '.join(_KINDS)}"
            )
        self._variables = _variables(model)
        self.outputs = self._outputs(model, request)
        trees, fitted = _number_of_trees(model, request), len(model.require("trees").value)
        targets = int(model.require("num.classes").doubles()[0]) if self._distribution == "multinomial" else 1
        if trees * targets > fitted:
            raise IntakeError(f"the gbm is damaged: it has {fitted} trees, expected {trees * targets}")
        # R begins each sum with the initial value.
        start = np.full((1, targets), model.require("initF").doubles()[0])
        self._trees = [_constant(start), *(_tree(model, t, targets) for t in range(trees * targets))]

    def needs(self) -> Mapping[str, Need]:
        """The predictors; R's predictions leave an offset out."""
        return self._variables.needs()

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions of the rows in `columns`."""
        total = sum_of_trees(self._trees, self._variables.features(columns))
        if self._distribution == "multinomial":
            odds = np.exp(total)
            shares = odds / (odds @ np.ones((self._trees[0].value.shape[1], 1)))
            winner = np.argmax(total, axis=1, keepdims=True)
            return class_predictions(self.outputs, shares, winner, np.isnan(take(total, [0], axis=1)))
        if self.outputs == _LINK:
            return {"link": total}
        return {"prediction": self._response(total)}

    def _response(self, link: Array) -> Array:
        match self._distribution:
            case "bernoulli" | "pairwise":
                return 1.0 / (1.0 + np.exp(-link))
            case "adaboost":
                return 1.0 / (1.0 + np.exp(-2.0 * link))
            case "poisson":
                return np.exp(link)
        return link

    def _outputs(self, model: RObject, request: Request) -> tuple[Output, ...]:
        what = f"a gbm of the distribution {self._distribution!r}"
        if self._distribution == "multinomial":
            classes = tuple(map(str, model.require("classes").strings()))
            return class_outputs(request, classes, what)
        kind = request.choose(what, *_KINDS[self._distribution])
        if kind == "probability":
            return (Output(name="prediction", kind="probability", labels=("1",)),)
        return _LINK if kind == "link" else NUMBER


class _Variables:
    """What the trees look at, by position: numbers, and factors by their levels' position from 0."""

    def __init__(self, names: list[str], levels: Mapping[str, tuple[str, ...]], terms: Terms | None) -> None:
        self._names = names
        self._levels = levels
        self._terms = terms

    def needs(self) -> dict[str, Need]:
        if self._terms is not None:
            return self._terms.needs()
        return {name: Need("category", self._levels[name]) if name in self._levels else Need("number") for name in self._names}

    def features(self, columns: Mapping[str, Column]) -> Array:
        """[n, variables], NaN where missing."""
        frame = self._terms.frame(columns) if self._terms is not None else columns
        computed = (
            {} if self._terms is None else {v.name: v.expression for v in self._terms.used if v.expression.type != "symbol"}
        )
        features = []
        for name in self._names:
            values = self._feature(name, frame[name])
            if name in computed and name not in self._levels:
                values = _not_a_number_is_large(
                    values, [columns[symbol] for symbol in symbols(computed[name]) if symbol in columns]
                )
            features.append(values)
        return np.concatenate(features, axis=1)

    def _feature(self, name: str, column: Column) -> Array:
        if name in self._levels:
            levels = self._levels[name]
            return column.coded(levels, name).lookup([*map(float, range(len(levels))), np.nan])
        values = column.numbers(name)
        if values.shape[1] != 1:
            raise IntakeError(f"the predictor {name!r} is a matrix; give its columns as columns of the data")
        return values


def _not_a_number_is_large(values: Array, sources: list[Column]) -> Array:
    """R tells NaN, as of log(-1), from a missing value: it is below no split, like an infinite number."""
    missing = sources[0].missing()
    for source in sources[1:]:
        missing = missing | source.missing()
    return np.where(np.isnan(values) & np.logical_not(missing), np.inf, values)


def _variables(model: RObject) -> _Variables:
    names = [str(name) for name in model.require("var.names").strings()]
    terms = model.get("Terms")
    parsed = None
    if terms is not None:
        names = _variables_of_terms(terms)
    found = model.require("var.levels").value
    if len(found) != len(names):
        raise IntakeError(f"the gbm is damaged: it has levels of {len(found)} variables, expected {len(names)}")
    levels = {
        name: tuple(map(str, values.strings())) for name, values in zip(names, found, strict=True) if values.type == "character"
    }
    if terms is not None:
        # R evaluates the expressions as they were written: nothing that depended on the rows of the fit is kept.
        attributes = {name: value for name, value in terms.attributes.items() if name not in ("predvars", "offset")}
        xlevels = RObject(
            "list", [RObject("character", list(v)) for v in levels.values()], {"names": RObject("character", list(levels))}
        )
        parsed = Terms(RObject(terms.type, terms.value, attributes), xlevels)
    return _Variables(names, levels, parsed)


def _variables_of_terms(terms: RObject) -> list[str]:
    """As they occur in the terms, one term after the other."""
    variables = terms.attributes["dataClasses"].names
    factors = terms.attributes["factors"].matrix()
    occurring = [variables[row] for term in factors.T for row in np.flatnonzero(term)]
    return list(dict.fromkeys(occurring))


def _number_of_trees(model: RObject, request: Request) -> int:
    """As many as were asked for and are there; else where gbm's own estimate of the error is least, else all."""
    fitted = int(model.require("n.trees").doubles()[0])
    if "n.trees" in request.arguments:
        asked = request.number("n.trees", 0.0)
        if asked < 1:
            raise IntakeError(f"the argument 'n.trees' is {asked:g}; expected 1 to {fitted}")
        return int(min(asked, fitted))
    if model.require("train.fraction").doubles()[0] < 1.0:
        error = model.require("valid.error")
    else:
        found = model.get("cv.error")
        if found is None:
            return min(len(model.require("train.error").doubles()), fitted)
        error = found
    return min(1 + int(np.nanargmin(error.doubles())), fitted)


def _constant(value: Doubles) -> Tree:
    zero = np.zeros(1, np.int64)
    return Tree(feature=zero, threshold=np.zeros(1), left=zero, right=zero, is_leaf=np.ones(1, bool), value=value)


def _tree(model: RObject, t: int, targets: int) -> Tree:
    """A branch leads to three nodes: left below the split, right, and a third for a missing value.

    So beside each branch stands one more, that finds out what has not gone left: of a number whether it is missing, of a level
    whether it goes right.
    """
    columns = model.require("trees").value[t].value
    variable, left, right, missing = (columns[i].doubles().astype(np.int64) for i in (0, 2, 3, 4))
    code = columns[1].doubles()
    n = len(variable)
    is_leaf = variable == -1
    branches = np.flatnonzero(~is_leaf)
    extra = n + np.arange(len(branches))
    types = model.require("var.type").doubles()
    if variable.max() >= len(types):
        raise IntakeError(f"the gbm is damaged: tree {t + 1} splits on a variable that is not there")
    by_level = types[variable[branches]] > 0
    sets = model.require("c.splits").value
    categories = {}
    for branch, second in zip(branches[by_level].tolist(), extra[by_level].tolist(), strict=True):
        side = sets[int(code[branch])].doubles()
        categories[branch] = frozenset(np.flatnonzero(side == -1).tolist())
        categories[second] = frozenset(np.flatnonzero(side == 1).tolist())
    value = np.zeros((n + len(branches), targets))
    value[:n, t % targets] = np.where(is_leaf, code, 0.0)
    return Tree(
        feature=np.concatenate([np.where(is_leaf, 0, variable), variable[branches]]),
        # Nothing is below -Inf, so that only a missing value goes left there.
        threshold=np.concatenate([np.where(is_leaf, 0.0, code), np.full(len(branches), -np.inf)]),
        left=np.concatenate([left, np.where(by_level, right[branches], missing[branches])]),
        right=np.concatenate([_placed(n, branches, extra), np.where(by_level, missing[branches], right[branches])]),
        is_leaf=np.concatenate([is_leaf, np.zeros(len(branches), bool)]),
        value=value,
        mode="<",
        categories=categories,
        missing_left=np.concatenate([np.zeros(n, bool), ~by_level]),
    )


def _placed(n: int, positions: npt.NDArray[np.int64], values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    placed = np.zeros(n, np.int64)
    placed[positions] = values
    return placed
