"""Random forests of the package ranger: regression, classification and probability forests."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array, sum_of_trees, take
from canari.intake.r.columns import Column
from canari.intake.r.level_sets import MOST_LEVELS, levels_in
from canari.intake.r.model import NUMBER, Request, class_outputs, class_predictions, labelled
from canari.intake.r.terms import Need
from canari.intake.rds import RObject
from canari.intake.tree_ensemble import Tree
from canari.model import Predictions
from canari.signature import Output

CLASSES = (("ranger",),)

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_REGRESSION, _CLASSIFICATION, _PROBABILITY = "Regression", "Classification", "Probability estimation"


class Model:
    """What `predict` answers for new rows: the mean of the trees, the class with most votes, or the mean of the shares."""

    answers_missing = False

    def __init__(self, model: RObject, request: Request) -> None:
        request.take_only("a ranger", "num.trees")
        forest = model.get("forest")
        if forest is None:
            raise IntakeError("this ranger was fitted without keeping its trees; fit it with write.forest = TRUE")
        if forest.get("dependent.varID") is not None:
            raise IntakeError("this ranger was fitted by a version before 0.11.5, which stored its trees otherwise; fit it anew")
        self._kind = str(forest.require("treetype").strings()[0])
        if self._kind not in (_REGRESSION, _CLASSIFICATION, _PROBABILITY):
            raise IntakeError(
                f"a ranger of type {self._kind!r} is not translated; known are regression, classification, probability"
            )
        self._predictors = [str(name) for name in forest.require("independent.variable.names").strings()]
        self._unordered = [not value for value in forest.require("is.ordered").doubles()]
        levels = forest.get("covariate.levels")
        self._levels = {
            name: tuple(map(str, found.strings())) for name, found in (levels.items() if levels else ()) if not found.is_null
        }
        self._classes, values = _classes(forest) if self._kind != _REGRESSION else ((), np.zeros(0))
        self.outputs = self._outputs(request)
        count = request.number("num.trees", float(forest.require("num.trees").doubles()[0]))
        kept = len(forest.require("child.nodeIDs").value)
        if not 1 <= count <= kept:
            raise IntakeError(f"the argument 'num.trees' is {count:g}; the forest has {kept} trees")
        ordered = ~np.array(self._unordered)
        self._trees = [_tree(forest, t, ordered, self._answers(forest, t, values)) for t in range(int(count))]

    def needs(self) -> Mapping[str, Need]:
        """The predictors; a factor that is split by its levels' order at hand looks like a number here."""
        return {
            name: Need("category", self._levels.get(name, ())) if name in self._levels or unordered else Need("number")
            for name, unordered in zip(self._predictors, self._unordered, strict=True)
        }

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions of the rows in `columns`."""
        total = self._sum_of_trees(columns)
        if self._kind == _REGRESSION:
            return {"prediction": total / float(len(self._trees))}
        winner = np.argmax(total, axis=1, keepdims=True)
        if self._kind == _CLASSIFICATION:
            return {"class": labelled(self._classes, winner)}
        shares = total / float(len(self._trees))
        return class_predictions(self.outputs, shares, winner, np.isnan(take(shares, [0], axis=1)))

    def tied(self, columns: Mapping[str, Column]) -> Array:
        """Among which classes R draws at random: those with the most votes, [n, classes]."""
        votes = self._sum_of_trees(columns)
        ties: Array = votes == votes.max(axis=1, keepdims=True)
        return ties if self._kind == _CLASSIFICATION else np.zeros(votes.shape, bool)

    def _outputs(self, request: Request) -> tuple[Output, ...]:
        if self._kind == _REGRESSION:
            request.choose("a ranger for regression", "number")
            return NUMBER
        if self._kind == _PROBABILITY:
            return class_outputs(request, self._classes, f"a ranger with {len(self._classes)} classes")
        request.choose("a ranger for classification (fit it with probability = TRUE to have probabilities)", "class")
        return (Output(name="class", kind="class", labels=self._classes),)

    def _sum_of_trees(self, columns: Mapping[str, Column]) -> Array:
        features = [
            self._feature(name, columns[name], unordered=unordered)
            for name, unordered in zip(self._predictors, self._unordered, strict=True)
        ]
        return sum_of_trees(self._trees, np.concatenate(features, axis=1))

    def _feature(self, name: str, column: Column, *, unordered: bool) -> Array:
        """A number as it is; of a factor the position of the level, from 1, in the forest's own order where it has one."""
        if name in self._levels:
            column = column.coded(self._levels[name], name)
        if not column.is_text:
            if unordered:
                raise IntakeError(f"the predictor {name!r} was a factor when the forest was fitted, but is a number in the rows")
            return column.numbers(name)
        if column.kind == "character":
            raise IntakeError(f"the predictor {name!r} is a text, which ranger codes by the rows at hand; make it a factor")
        if unordered and len(column.levels) > MOST_LEVELS:
            raise IntakeError(f"the predictor {name!r} has {len(column.levels)} levels; the forest tells {MOST_LEVELS} apart")
        return column.lookup([*map(float, range(1, len(column.levels) + 1)), np.nan])

    def _answers(self, forest: RObject, tree: int, values: Doubles) -> Doubles:
        """What each node of a tree answers if it is a leaf, [nodes, targets]."""
        splits: Doubles = forest.require("split.values").value[tree].doubles()
        if self._kind == _REGRESSION:
            return splits[:, None]
        if self._kind == _CLASSIFICATION:
            return np.asarray(splits[:, None] == values[None, :], np.float64)
        shares = np.zeros((len(splits), len(values)))
        own = forest.require("class.values").doubles()
        order = [own.tolist().index(value) for value in values]
        for node, share in enumerate(forest.require("terminal.class.counts").value[tree].value):
            if len(share.value):
                shares[node] = share.doubles()[order]
        return shares


def _classes(forest: RObject) -> tuple[tuple[str, ...], Doubles]:
    """The classes' labels, in R's order, and the numbers that stand for them in the trees."""
    values, levels = forest.require("class.values").doubles(), forest.get("levels")
    if levels is None:  # the response was no factor
        return tuple(f"{value:.15g}" for value in values), values
    values, labels = np.sort(values), levels.strings()
    return tuple(str(labels[int(value) - 1]) for value in values), values


def _tree(forest: RObject, t: int, ordered: Flags, value: Doubles) -> Tree:
    children = forest.require("child.nodeIDs").value[t].value
    left, right = (child.doubles().astype(np.int64) for child in children)
    feature = forest.require("split.varIDs").value[t].doubles().astype(np.int64)
    split = forest.require("split.values").value[t].doubles()
    is_leaf = (left == 0) & (right == 0)
    if feature.min() < 0 or feature.max() >= len(ordered):
        raise IntakeError(
            f"tree {t + 1} of the forest splits on a predictor that is not there, as after importance = "
            '"impurity_corrected"; grow one without it for predictions'
        )
    by_set = np.flatnonzero(~is_leaf & ~ordered[feature])
    # The levels in the set go right.
    left[by_set], right[by_set] = right[by_set], left[by_set]
    categories = {int(node): levels_in(split[node]) for node in by_set}
    return Tree(feature=feature, threshold=split, left=left, right=right, is_leaf=is_leaf, value=value, categories=categories)
