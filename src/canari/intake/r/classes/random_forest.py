"""Random forests of the package randomForest: regression and classification, from a formula or from x and y."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array, sum_of_trees
from canari.intake.r.columns import Column
from canari.intake.r.level_sets import levels_in
from canari.intake.r.model import NUMBER, Request, class_outputs, class_predictions
from canari.intake.r.terms import Need, Terms
from canari.intake.rds import RObject
from canari.intake.tree_ensemble import Tree
from canari.model import Predictions

CLASSES = (("randomForest",), ("randomForest.formula", "randomForest"))


class Model:
    """What `predict` answers for new rows: the mean of the trees, or their votes."""

    def __init__(self, model: RObject, request: Request) -> None:
        kind = model.require("type").strings()[0]
        if kind not in ("regression", "classification"):
            raise IntakeError(f"a randomForest of type {kind!r} predicts nothing; fit it with a response")
        request.take_only(f"a randomForest for {kind}", *(["cutoff"] if kind == "classification" else []))
        forest = model.get("forest")
        if forest is None:
            raise IntakeError("this randomForest was fitted without keeping its trees; fit it with keep.forest = TRUE")
        terms = model.get("terms")
        self._predictors = model.require("importance").dimnames[0]
        levels = {name: found for name, found in forest.require("xlevels").items() if found.type == "character"}
        categories = dict(zip(self._predictors, forest.require("ncat").doubles(), strict=True))
        self._levels = {name: tuple(map(str, found.strings())) for name, found in levels.items()}
        self._categorical = {name for name, count in categories.items() if count > 1}
        self._classes = tuple(map(str, model.require("classes").strings())) if kind == "classification" else ()
        self._cutoff = _cutoff(forest, self._classes, request)
        self._terms = Terms(terms, _as_list(levels)) if terms is not None else None
        coefs = model.get("coefs")
        self._bias_correction = coefs.doubles() if coefs is not None else None
        self._trees = _trees(forest, self._predictors, self._categorical, len(self._classes))
        # From x and y, R refuses rows with a missing value.
        self.answers_missing = terms is not None
        self.outputs = NUMBER
        if self._classes:
            self.outputs = class_outputs(request, self._classes, f"a randomForest with {len(self._classes)} classes")
        else:
            request.choose("a randomForest for regression", "number")

    def needs(self) -> Mapping[str, Need]:
        """The predictors."""
        if self._terms is None:
            return {name: self._need(name) for name in self._predictors}
        for variable in self._terms.used:
            if variable.data_class == "character":
                raise IntakeError(
                    f"the predictor {variable.name!r} is a text, which randomForest codes by the rows at hand; make it a factor"
                )
        return self._terms.needs()

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions of the rows in `columns`; missing where a predictor is."""
        missing, mean = self._mean_of_trees(columns)
        if not self._classes:
            if self._bias_correction is not None:
                mean = self._bias_correction[0] + self._bias_correction[1] * mean
            return {"prediction": np.where(missing, np.nan, mean)}
        winner = np.argmax(mean / self._cutoff[None, :], axis=1, keepdims=True)
        return class_predictions(self.outputs, mean, winner, missing)

    def tied(self, columns: Mapping[str, Column]) -> Array:
        """Among which classes R draws at random: those with the most votes per cutoff, [n, classes]."""
        _, mean = self._mean_of_trees(columns)
        votes = mean / self._cutoff[None, :]
        ties: Array = votes == votes.max(axis=1, keepdims=True)
        return ties

    def _need(self, name: str) -> Need:
        return Need("category", self._levels[name]) if name in self._levels else Need("number")

    def _mean_of_trees(self, columns: Mapping[str, Column]) -> tuple[Array, Array]:
        """Which rows lack a predictor, [n, 1], and the mean over all trees, [n, 1] or the share of votes [n, classes]."""
        variables = self._terms.frame(columns) if self._terms is not None else columns
        features = np.concatenate([self._feature(name, variables[name]) for name in self._predictors], axis=1)
        missing = np.isnan(features).astype(np.float64) @ np.ones((len(self._predictors), 1)) > 0.0
        return missing, sum_of_trees(self._trees, features) / float(len(self._trees))

    def _feature(self, name: str, column: Column) -> Array:
        """A number as it is, a factor by the position of its level, from 1."""
        if not column.is_text:
            if name in self._levels:
                raise IntakeError(f"the predictor {name!r} was a factor when the forest was fitted, but is no text in the rows")
            return column.numbers(name)
        if self._terms is None and name not in self._levels:
            raise IntakeError(f"the predictor {name!r} is a text, which randomForest codes by the rows at hand; make it a factor")
        coded = column.coded(self._levels[name], name) if name in self._levels else column
        return coded.lookup([*map(float, range(1, len(coded.levels) + 1)), np.nan])


def _cutoff(forest: RObject, classes: Sequence[str], request: Request) -> npt.NDArray[np.float64]:
    """By what each class's votes are divided before they are compared, as R's predict takes it from its argument."""
    given = request.arguments.get("cutoff")
    if given is None or not classes:
        return forest.require("cutoff").doubles() if classes else np.ones(1)
    values = given.doubles() if given.type in ("double", "integer") else np.zeros(0)
    if len(values) != len(classes) or not (values > 0).all() or values.sum() > 1:
        raise IntakeError(f"the argument 'cutoff' is expected to be {len(classes)} numbers above 0 with a sum of at most 1")
    if not given.names:
        return values
    if sorted(given.names) != sorted(classes):
        raise IntakeError(f"the argument 'cutoff' has names other than the classes {', '.join(map(repr, classes))}")
    return values[[given.names.index(name) for name in classes]]


def _as_list(elements: Mapping[str, RObject]) -> RObject:
    return RObject("list", list(elements.values()), {"names": RObject("character", list(elements))})


def _trees(forest: RObject, predictors: Sequence[str], categorical: set[str], classes: int) -> list[Tree]:
    """The forest's trees; in R's arrays each has a column, node by node."""
    count = int(forest.require("ntree").doubles()[0])
    sizes = forest.require("ndbigtree").doubles().astype(int)
    nodes = int(forest.require("nrnodes").doubles()[0])
    if len(sizes) != count or count < 1 or sizes.min() < 1 or sizes.max() > nodes:
        raise IntakeError(f"the forest is damaged: {count} trees, but sizes of {len(sizes)}")
    split_on, split_at, status, answer = (
        _by_tree(forest, name, (nodes, count)) for name in ("bestvar", "xbestsplit", "nodestatus", "nodepred")
    )
    if forest.get("treemap") is not None:
        left, right = np.moveaxis(_by_tree(forest, "treemap", (nodes, 2, count)), 1, 0)
    else:
        left, right = (_by_tree(forest, name, (nodes, count)) for name in ("leftDaughter", "rightDaughter"))
    is_categorical = np.array([name in categorical for name in predictors])
    trees = []
    for t, size in enumerate(sizes):
        leaf = status[:size, t] == -1
        feature = np.where(leaf, 0, split_on[:size, t] - 1).astype(np.int64)
        if feature.min() < 0 or feature.max() >= len(predictors):
            raise IntakeError(f"the forest is damaged: tree {t + 1} splits on a predictor that is not there")
        by_set = np.flatnonzero(~leaf & is_categorical[feature])
        trees.append(
            Tree(
                feature=feature,
                threshold=split_at[:size, t],
                left=np.where(leaf, 0, left[:size, t] - 1).astype(np.int64),
                right=np.where(leaf, 0, right[:size, t] - 1).astype(np.int64),
                is_leaf=leaf,
                value=_votes(answer[:size, t], leaf, classes) if classes else answer[:size, t, None],
                categories={int(node): levels_in(split_at[node, t]) for node in by_set},
            )
        )
    return trees


def _by_tree(forest: RObject, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    values = forest.require(name).doubles()
    if len(values) != int(np.prod(shape)):
        raise IntakeError(f"the forest is damaged: {name!r} has {len(values)} numbers, expected {int(np.prod(shape))}")
    return values.reshape(shape, order="F")


def _votes(answer: npt.NDArray[np.float64], leaf: npt.NDArray[np.bool_], classes: int) -> npt.NDArray[np.float64]:
    wrong = answer[leaf][(answer[leaf] < 1) | (answer[leaf] > classes)]
    if len(wrong):
        raise IntakeError(f"the forest is damaged: a leaf answers class {wrong[0]:.0f} of {classes}")
    codes = np.where(leaf, answer - 1, 0).astype(int)
    return np.asarray(np.eye(classes)[codes] * leaf[:, None])
