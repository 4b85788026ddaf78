"""Support vector machines with a kernel."""

from itertools import combinations
from typing import Any

import numpy as np
from sklearn.svm import SVC, SVR, NuSVC, NuSVR

from canari.intake.sklearn.arrays import Table, Values, squared_distances
from canari.intake.sklearn.linear import with_zero
from canari.intake.sklearn.steps import Decision, classifier, regressor, unsupported


def _kernel(machine: Any, X: Values) -> Values:
    vectors = np.asarray(machine.support_vectors_, np.float64)
    if machine.kernel == "rbf":
        return np.exp(squared_distances(X, vectors) * -machine._gamma)
    products = X @ vectors.T
    if machine.kernel == "linear":
        return products
    if machine.kernel == "poly":
        return np.power(products * machine._gamma + float(machine.coef0), float(machine.degree))
    if machine.kernel == "sigmoid":
        return np.tanh(products * machine._gamma + float(machine.coef0))
    raise unsupported(machine, f"kernel={machine.kernel!r}")


@regressor(SVR, NuSVR)
def _regress(machine: Any, table: Table) -> Values:
    return _kernel(machine, table.numbers) @ np.asarray(machine.dual_coef_).T + machine.intercept_


@classifier(SVC, NuSVC)
def _classify(machine: Any, table: Table) -> Decision:
    if machine.probability not in (False, "deprecated"):
        raise unsupported(machine, "probability=True, whose probabilities come from an iteration; CalibratedClassifierCV is")
    if machine.break_ties:
        raise unsupported(machine, "break_ties=True")
    kernel = _kernel(machine, table.numbers)
    dual = np.asarray(machine.dual_coef_)
    n = len(machine.classes_)
    if n == 2:
        return Decision(with_zero(kernel @ dual.T + machine.intercept_))
    # One machine a pair of classes; the class with most votes, the first of equals (libsvm's svm_predict_values).
    ends = np.concatenate([[0], np.cumsum(machine.n_support_)])
    pairs = list(combinations(range(n), 2))
    weights = np.zeros((dual.shape[1], len(pairs)))
    first, second = np.zeros((len(pairs), n)), np.zeros((len(pairs), n))
    for p, (i, j) in enumerate(pairs):
        of_i, of_j = slice(ends[i], ends[i + 1]), slice(ends[j], ends[j + 1])
        weights[of_i, p] = dual[j - 1, of_i]
        weights[of_j, p] = dual[i, of_j]
        first[p, i] = second[p, j] = 1.0
    wins = (kernel @ weights + machine.intercept_ > 0.0).astype(np.float64)
    return Decision(wins @ first + (1.0 - wins) @ second)
