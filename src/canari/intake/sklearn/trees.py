"""Decision trees and forests: scikit-learn looks at the data in single precision, and compares in double."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from canari.intake.onnx_graph import sum_of_trees
from canari.intake.sklearn.arrays import Table, Values, side_by_side, softmax
from canari.intake.sklearn.linear import with_zero
from canari.intake.sklearn.steps import Decision, classifier, regressor, unsupported
from canari.intake.tree_ensemble import Tree


def single_precision(X: Values) -> Values:
    """X as the trees see it."""
    return X.astype(np.float32).astype(np.float64)


def node_values(tree: Any) -> npt.NDArray[np.float64]:
    """The values of the nodes of a scikit-learn tree with one output, [nodes, 1 or classes]."""
    return np.asarray(tree.value, np.float64)[:, 0, :]


def as_tree(tree: Any, value: npt.NDArray[np.float64]) -> Tree:
    """A scikit-learn tree that answers `value`, [nodes, targets]."""
    missing = getattr(tree, "missing_go_to_left", None)
    return Tree(
        feature=np.asarray(tree.feature, np.int64),
        threshold=np.asarray(tree.threshold, np.float64),
        left=np.asarray(tree.children_left, np.int64),
        right=np.asarray(tree.children_right, np.int64),
        is_leaf=np.asarray(tree.children_left) == -1,
        value=value,
        missing_left=None if missing is None else np.asarray(missing, bool),
    )


def _average(model: Any, trees: list[Any], table: Table) -> Values:
    if model.n_outputs_ != 1:
        raise unsupported(model, "several outputs")
    found = sum_of_trees([as_tree(tree, node_values(tree)) for tree in trees], single_precision(table.numbers))
    return found / float(len(trees))


@regressor(DecisionTreeRegressor, ExtraTreeRegressor)
def _regress_tree(model: Any, table: Table) -> Values:
    return _average(model, [model.tree_], table)


@classifier(DecisionTreeClassifier, ExtraTreeClassifier)
def _classify_tree(model: Any, table: Table) -> Decision:
    found = _average(model, [model.tree_], table)
    return Decision(found, found)


@regressor(RandomForestRegressor, ExtraTreesRegressor)
def _regress_forest(model: Any, table: Table) -> Values:
    return _average(model, [member.tree_ for member in model.estimators_], table)


@classifier(RandomForestClassifier, ExtraTreesClassifier)
def _classify_forest(model: Any, table: Table) -> Decision:
    found = _average(model, [member.tree_ for member in model.estimators_], table)
    return Decision(found, found)


@classifier(AdaBoostClassifier)
def _classify_boosted(model: Any, table: Table) -> Decision:
    """SAMME (Zhu et al., 2009): each tree votes with its weight for one class, against all others."""
    n = len(model.classes_)
    trees = []
    for member, weight in zip(model.estimators_, model.estimator_weights_, strict=False):
        if type(member) not in (DecisionTreeClassifier, ExtraTreeClassifier):
            raise unsupported(model, f"estimator={type(member).__name__}; DecisionTreeClassifier is")
        chosen = np.asarray(model.classes_)[:, None] == np.asarray(member.classes_)[node_values(member.tree_).argmax(axis=1)]
        trees.append(as_tree(member.tree_, np.where(chosen.T, weight, -weight / (n - 1))))
    scores = sum_of_trees(trees, single_precision(table.numbers)) / float(model.estimator_weights_[: len(trees)].sum())
    if n == 2:
        margin = scores @ np.array([[-1.0], [1.0]])
        return Decision(with_zero(margin), softmax(side_by_side([-margin, margin]) / 2.0))
    return Decision(scores, softmax(scores / float(n - 1)))
