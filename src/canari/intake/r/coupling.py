"""libsvm's probabilities of several classes from decisions between pairs of them.

Wu, Lin and Weng, "Probability Estimates for Multi-class Classification by Pairwise Coupling", JMLR 5 (2004), second method.
libsvm stops its iteration early, so that its probabilities are those of that step and not the limit.
"""

from itertools import combinations

import numpy as np

from canari.intake.onnx_graph import Array, iterate, take

_LEAST = 1e-7
_ROUNDS = 100


def coupled(exponents: Array, classes: int) -> Array:
    """The probabilities [n, classes], where each pair's first class has 1 / (1 + exp(exponent)), [n, pairs]."""
    shares = np.minimum(np.maximum(_logistic(exponents), _LEAST), 1.0 - _LEAST)
    first = np.concatenate([shares, 1.0 - shares], axis=1)
    if classes == 2:
        return first
    column = {pair: i for i, pair in enumerate(combinations(range(classes), 2))}

    def win(i: int, j: int) -> int:
        """The column of the probability that i wins over j."""
        return column[i, j] if i < j else len(column) + column[j, i]

    entries = []
    for i in range(classes):
        for j in range(classes):
            if i == j:
                against = take(first, [win(k, i) for k in range(classes) if k != i], axis=1)
                entries.append((against * against) @ np.ones((classes - 1, 1)))
            else:
                entries.append(-(take(first, [win(j, i)], axis=1) * take(first, [win(i, j)], axis=1)))
    quadratic = np.concatenate(entries, axis=1)
    start = take(quadratic, [0] * classes, axis=1) * 0.0 + 1.0 / classes
    going = take(quadratic, [0], axis=1) > -1.0
    found: Array = iterate(lambda *state: _round(classes, *state), (quadratic, start, going), _ROUNDS)[1]
    return found


def _round(classes: int, quadratic: Array, p: Array, going: Array) -> tuple[Array, Array, Array]:
    """One round of libsvm's multiclass_probability over all classes; rows that have converged stay as they are."""
    matrix = np.reshape(quadratic, (-1, classes, classes))
    gradient = np.reshape(matrix @ np.reshape(p, (-1, classes, 1)), (-1, classes))
    value = (p * gradient) @ np.ones((classes, 1))
    error = np.max(np.abs(gradient - value), axis=1, keepdims=True)
    going = going & (error >= 0.005 / classes)
    new = p
    for t in range(classes):
        row = take(quadratic, range(t * classes, (t + 1) * classes), axis=1)
        diagonal, slope = take(row, [t], axis=1), take(gradient, [t], axis=1)
        step = (value - slope) / diagonal
        value = (value + step * (step * diagonal + 2.0 * slope)) / (1.0 + step) / (1.0 + step)
        gradient = (gradient + step * row) / (1.0 + step)
        new = (new + step * np.eye(classes)[t][None, :]) / (1.0 + step)
    return quadratic, np.where(going, new, p), going


def _logistic(exponents: Array) -> Array:
    """The sigmoid_predict of libsvm."""
    power = np.exp(-np.abs(exponents))
    probability: Array = np.where(exponents >= 0.0, power, 1.0) / (1.0 + power)
    return probability
