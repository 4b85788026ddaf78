"""Gradient boosting over histograms: trees on the data in double precision, with missing values and categories."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from canari.intake.onnx_graph import sum_of_trees
from canari.intake.sklearn.arrays import Table, Values, beside, constant, expit, softmax, two_columns
from canari.intake.sklearn.composing import branches
from canari.intake.sklearn.encoding import ENCODERS
from canari.intake.sklearn.linear import with_zero
from canari.intake.sklearn.steps import Decision, classifier, regressor, transform
from canari.intake.tree_ensemble import Tree

_MAX_CATEGORIES = 256


def _raw(model: Any, table: Table) -> Values:
    X = _preprocessed(model, table).numbers
    width = model.n_trees_per_iteration_
    known, position = model._bin_mapper.make_known_categories_bitsets()
    trees = [
        _tree(predictor, width, target, known, position) for stage in model._predictors for target, predictor in enumerate(stage)
    ]
    return sum_of_trees(trees, X) + constant(X, np.ravel(model._baseline_prediction))


def _preprocessed(model: Any, table: Table) -> Table:
    """Columns of categories come first, as codes; the others follow unchanged."""
    if model._preprocessor is None:
        return table
    (encoder, categorical), *rest = branches(model._preprocessor)
    assert type(encoder) in ENCODERS  # noqa: S101  # how the model builds its preprocessor
    return beside([transform(encoder, table.select(categorical)), *(table.select(indices) for _, indices in rest)])


def _tree(predictor: Any, width: int, target: int, known: Any, position: Any) -> Tree:
    nodes = predictor.nodes
    value = np.zeros((len(nodes), width))
    value[:, target] = nodes["value"]
    is_leaf = nodes["is_leaf"].astype(bool)
    missing_left = nodes["missing_go_to_left"].astype(bool)
    categories = {}
    for node in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~is_leaf).tolist():
        left = _codes(predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]])
        if missing_left[node]:  # a code that training did not see counts as missing
            left |= frozenset(range(_MAX_CATEGORIES)) - _codes(known[position[nodes["feature_idx"][node]]])
        categories[node] = left
    return Tree(
        feature=nodes["feature_idx"].astype(np.int64),
        threshold=nodes["num_threshold"].astype(np.float64),
        left=nodes["left"].astype(np.int64),
        right=nodes["right"].astype(np.int64),
        is_leaf=is_leaf,
        value=value,
        categories=categories,
        missing_left=missing_left,
    )


def _codes(bitset: npt.NDArray[np.uint32]) -> frozenset[int]:
    return frozenset(code for code in range(_MAX_CATEGORIES) if int(bitset[code // 32]) >> (code % 32) & 1)


@regressor(HistGradientBoostingRegressor)
def _regress(model: Any, table: Table) -> Values:
    raw = _raw(model, table)
    return np.exp(raw) if model.loss in ("poisson", "gamma") else raw


@classifier(HistGradientBoostingClassifier)
def _classify(model: Any, table: Table) -> Decision:
    raw = _raw(model, table)
    if len(model.classes_) == 2:
        return Decision(with_zero(raw), two_columns(expit(raw)))
    return Decision(raw, softmax(raw))
