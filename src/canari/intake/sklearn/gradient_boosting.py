"""Gradient boosting over scikit-learn's own trees."""

from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from canari.intake.onnx_graph import sum_of_trees
from canari.intake.sklearn.arrays import (
    Table,
    Values,
    clip,
    constant,
    expit,
    row_sum,
    softmax,
    take_columns,
    two_columns,
)
from canari.intake.sklearn.linear import with_zero
from canari.intake.sklearn.steps import Decision, classifier, classify, regress, regressor, unsupported
from canari.intake.sklearn.trees import as_tree, node_values, single_precision

# An initial estimator is given the data in single precision; of those below the predictions are in double all the same.
_DOUBLE_PRECISION = (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)


def _raw(model: Any, table: Table) -> Values:
    X = single_precision(table.numbers)
    stages, width = model.estimators_.shape
    trees = []
    for stage in range(stages):
        for target in range(width):
            tree = model.estimators_[stage, target].tree_
            value = np.zeros((tree.node_count, width))
            value[:, target] = model.learning_rate * node_values(tree)[:, 0]
            trees.append(as_tree(tree, value))
    return _start(model, X) + sum_of_trees(trees, X)


def _start(model: Any, X: Values) -> Values:
    """What the stages are added to: nothing, a constant, or the prediction of another model through the link."""
    if isinstance(model.init_, str | DummyClassifier | DummyRegressor):
        return constant(X, model._raw_predict_init(np.zeros((1, model.n_features_in_), np.float32)))
    if type(model.init_) not in _DOUBLE_PRECISION:
        raise unsupported(
            model, f"init={type(model.init_).__name__}, which predicts in single precision here; a tree or forest is"
        )
    if isinstance(model, GradientBoostingRegressor):
        return regress(model.init_, Table(matrix=X))
    probabilities = classify(model.init_, Table(matrix=X)).probabilities
    epsilon = np.finfo(np.float64).eps
    probabilities = clip(probabilities, epsilon, 1.0 - epsilon)
    if len(model.classes_) == 2:
        second = take_columns(probabilities, [1])
        logit = np.log(second / (1.0 - second))
        return logit * 0.5 if model.loss == "exponential" else logit
    logarithms = np.log(probabilities)
    return logarithms - row_sum(logarithms) / float(len(model.classes_))


@regressor(GradientBoostingRegressor)
def _regress(model: Any, table: Table) -> Values:
    return _raw(model, table)


@classifier(GradientBoostingClassifier)
def _classify(model: Any, table: Table) -> Decision:
    raw = _raw(model, table)
    if len(model.classes_) == 2:
        return Decision(with_zero(raw), two_columns(expit(raw * 2.0 if model.loss == "exponential" else raw)))
    return Decision(raw, softmax(raw))
