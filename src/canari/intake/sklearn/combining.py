"""Models made of several models: voting, stacking, bagging, calibration."""

from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.svm import SVC, NuSVC

from canari.errors import IntakeError
from canari.intake.sklearn.arrays import Table, Values, beside, expit, row_sum, side_by_side, take_columns, two_columns
from canari.intake.sklearn.steps import Decision, classifier, classify, regress, regressor, unsupported


def _mean(parts: list[Values], weights: Any = None) -> Values:
    weights = np.ones(len(parts)) if weights is None else np.asarray(weights, np.float64)
    total = parts[0] * float(weights[0])
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        total = total + part * float(weight)
    return total / float(weights.sum())


def _probabilities(model: Any, table: Table) -> Values:
    found = classify(model, table).probabilities
    if found is None:
        raise IntakeError(f"{type(model).__name__} has no probabilities, so a model that averages them cannot be translated")
    return found


@regressor(VotingRegressor)
def _vote_numbers(model: Any, table: Table) -> Values:
    return _mean([regress(member, table) for member in model.estimators_], model._weights_not_none)


@classifier(VotingClassifier)
def _vote(model: Any, table: Table) -> Decision:
    weights = model._weights_not_none
    if model.voting == "soft":
        found = _mean([_probabilities(member, table) for member in model.estimators_], weights)
        return Decision(found, found)
    labels = np.arange(len(model.classes_), dtype=np.int64)
    votes = []
    for member in model.estimators_:
        chosen = np.argmax(classify(member, table).scores, axis=1, keepdims=True)
        votes.append((chosen == labels).astype(np.float64))
    return Decision(_mean(votes, weights))


@regressor(BaggingRegressor)
def _bag_numbers(model: Any, table: Table) -> Values:
    bags = zip(model.estimators_, model.estimators_features_, strict=True)
    return _mean([regress(member, table.select(list(features))) for member, features in bags])


@classifier(BaggingClassifier)
def _bag(model: Any, table: Table) -> Decision:
    bags = list(zip(model.estimators_, model.estimators_features_, strict=True))
    if any(len(member.classes_) != len(model.classes_) for member, _ in bags):
        raise unsupported(model, "a member that has not seen every class")
    found = _mean([_probabilities(member, table.select(list(features))) for member, features in bags])
    return Decision(found, found)


def _stack(model: Any, table: Table) -> Table:
    parts = []
    for member, method in zip(model.estimators_, model.stack_method_, strict=True):
        if method == "predict_proba":
            found = _probabilities(member, table)
            parts.append(take_columns(found, [1]) if len(model.classes_) == 2 else found)
        elif method == "predict" and not hasattr(model, "classes_"):
            parts.append(regress(member, table))
        else:
            raise unsupported(model, f"the stack method {method!r}")
    stacked = Table(matrix=side_by_side(parts))
    return beside([stacked, table]) if model.passthrough else stacked


@regressor(StackingRegressor)
def _stack_numbers(model: Any, table: Table) -> Values:
    return regress(model.final_estimator_, _stack(model, table))


@classifier(StackingClassifier)
def _stack_classes(model: Any, table: Table) -> Decision:
    return classify(model.final_estimator_, _stack(model, table))


@classifier(CalibratedClassifierCV)
def _calibrate(model: Any, table: Table) -> Decision:
    found = _mean([_calibrated(model, member, table) for member in model.calibrated_classifiers_])
    return Decision(found, found)


def _calibrated(model: Any, member: Any, table: Table) -> Values:
    """Platt's sigmoid for each class, then over their sum."""
    if member.method != "sigmoid":
        raise unsupported(model, f"method={member.method!r}; 'sigmoid' is")
    if len(member.estimator.classes_) != len(member.classes):
        raise unsupported(model, "a member that has not seen every class")
    two = len(member.classes) == 2
    if hasattr(member.estimator, "decision_function"):
        if not two and isinstance(member.estimator, SVC | NuSVC):
            raise unsupported(model, f"estimator={type(member.estimator).__name__} and more than two classes")
        scores = classify(member.estimator, table).scores
        scores = take_columns(scores, [1]) - take_columns(scores, [0]) if two else scores
    else:
        scores = _probabilities(member.estimator, table)
        scores = take_columns(scores, [1]) if two else scores
    slopes = np.array([calibrator.a_ for calibrator in member.calibrators])
    found = expit(-(scores * slopes + np.array([calibrator.b_ for calibrator in member.calibrators])))
    if two:
        return two_columns(found)
    total = row_sum(found)
    return np.where(total == 0.0, 1.0 / len(member.classes), found / np.where(total == 0.0, 1.0, total))
