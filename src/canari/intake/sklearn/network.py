"""Multilayer perceptrons."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor

from canari.intake.sklearn.arrays import Table, Values, expit, softmax, two_columns
from canari.intake.sklearn.linear import with_zero
from canari.intake.sklearn.steps import Decision, classifier, regressor, unsupported

_ACTIVATIONS: dict[str, Callable[[Values], Values]] = {
    "identity": lambda x: x,
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "softmax": softmax,
}


def _forward(network: Any, table: Table) -> Values:
    if network.out_activation_ not in _ACTIVATIONS:
        raise unsupported(network, f"the output activation {network.out_activation_!r}")
    X = table.numbers
    last = len(network.coefs_) - 1
    for i, (weights, bias) in enumerate(zip(network.coefs_, network.intercepts_, strict=True)):
        X = _ACTIVATIONS[network.out_activation_ if i == last else network.activation](X @ weights + bias)
    return X


@regressor(MLPRegressor)
def _regress(network: Any, table: Table) -> Values:
    return _forward(network, table)


@classifier(MLPClassifier)
def _classify(network: Any, table: Table) -> Decision:
    found = _forward(network, table)
    if len(network.classes_) == 2:
        return Decision(with_zero(found - 0.5), two_columns(found))
    return Decision(found, found)
