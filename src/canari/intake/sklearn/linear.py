"""Linear models: a matrix product, and the inverse of a link."""

from typing import Any

import numpy as np
from sklearn import linear_model as lm
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.svm import LinearSVC, LinearSVR

from canari.intake.sklearn.arrays import Table, Values, expit, row_sum, side_by_side, softmax, two_columns
from canari.intake.sklearn.steps import Decision, classifier, regress, regressor, unsupported


def linear_scores(model: Any, table: Table) -> Values:
    """X times the coefficients, plus the intercept: [n, rows of the coefficients]."""
    coefficients = np.asarray(model.coef_, np.float64)
    return table.numbers @ coefficients.reshape(-1, coefficients.shape[-1]).T + np.asarray(model.intercept_, np.float64)


@regressor(
    lm.ARDRegression,
    lm.BayesianRidge,
    lm.ElasticNet,
    lm.ElasticNetCV,
    lm.HuberRegressor,
    lm.Lars,
    lm.LarsCV,
    lm.Lasso,
    lm.LassoCV,
    lm.LassoLars,
    lm.LassoLarsCV,
    lm.LassoLarsIC,
    lm.LinearRegression,
    lm.OrthogonalMatchingPursuit,
    lm.OrthogonalMatchingPursuitCV,
    lm.QuantileRegressor,
    lm.Ridge,
    lm.RidgeCV,
    lm.SGDRegressor,
    lm.TheilSenRegressor,
    LinearSVR,
)
def _linear(model: Any, table: Table) -> Values:
    return linear_scores(model, table)


@regressor(lm.RANSACRegressor)
def _of_inliers(model: Any, table: Table) -> Values:
    return regress(model.estimator_, table)


@regressor(lm.GammaRegressor, lm.PoissonRegressor, lm.TweedieRegressor)
def _generalized(model: Any, table: Table) -> Values:
    link = getattr(model, "link", "log")  # the other two have no choice
    if link == "auto":
        link = "identity" if model.power <= 0 else "log"
    scores = linear_scores(model, table)
    return np.exp(scores) if link == "log" else scores


def with_zero(scores: Values) -> Values:
    """Scores of two classes from one that is positive for the second."""
    return side_by_side([scores * 0.0, scores]) if scores.shape[1] == 1 else scores


@classifier(lm.LogisticRegression, lm.LogisticRegressionCV)
def _logistic(model: Any, table: Table) -> Decision:
    scores = linear_scores(model, table)
    one_against_rest = getattr(model, "multi_class", None) == "ovr" or model.solver == "liblinear"
    if scores.shape[1] == 1:
        return Decision(with_zero(scores), two_columns(expit(scores)))
    return Decision(scores, _normalized(expit(scores)) if one_against_rest else softmax(scores))


@classifier(LinearDiscriminantAnalysis)
def _linear_discriminant(model: Any, table: Table) -> Decision:
    scores = linear_scores(model, table)
    return Decision(with_zero(scores), two_columns(expit(scores)) if scores.shape[1] == 1 else softmax(scores))


@classifier(lm.SGDClassifier)
def _stochastic(model: Any, table: Table) -> Decision:
    scores = linear_scores(model, table)
    if model.loss == "modified_huber":
        raise unsupported(model, "loss='modified_huber'")
    if model.loss != "log_loss":
        return Decision(with_zero(scores))
    return Decision(with_zero(scores), two_columns(expit(scores)) if scores.shape[1] == 1 else _normalized(expit(scores)))


@classifier(LinearSVC, lm.Perceptron, lm.RidgeClassifier, lm.RidgeClassifierCV)
def _separating(model: Any, table: Table) -> Decision:
    return Decision(with_zero(linear_scores(model, table)))


def _normalized(probabilities: Values) -> Values:
    total = row_sum(probabilities)
    none = total == 0.0
    n = float(probabilities.shape[1])
    return np.where(none, 1.0, probabilities) / np.where(none, n, total)
