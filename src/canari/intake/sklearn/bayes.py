"""Naive Bayes and quadratic discriminants: the log posterior of each class."""

from typing import Any

import numpy as np
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB

from canari.intake.sklearn.arrays import Table, Values, row_sum, side_by_side, softmax
from canari.intake.sklearn.steps import Decision, classifier


def _posterior(joint: Values) -> Decision:
    return Decision(joint, softmax(joint))


@classifier(GaussianNB)
def _gaussian(model: Any, table: Table) -> Decision:
    difference = np.reshape(table.numbers, (-1, 1, model.theta_.shape[1])) - model.theta_
    weighted = row_sum(difference * difference / model.var_, axis=2)
    return _posterior(np.log(model.class_prior_) - 0.5 * np.log(2.0 * np.pi * model.var_).sum(axis=1) - 0.5 * weighted)


@classifier(BernoulliNB)
def _bernoulli(model: Any, table: Table) -> Decision:
    X = table.numbers
    if model.binarize is not None:
        X = (float(model.binarize) < X).astype(np.float64)
    absent = np.log(1 - np.exp(model.feature_log_prob_))
    return _posterior(X @ (model.feature_log_prob_ - absent).T + (model.class_log_prior_ + absent.sum(axis=1)))


@classifier(MultinomialNB)
def _multinomial(model: Any, table: Table) -> Decision:
    return _posterior(table.numbers @ model.feature_log_prob_.T + model.class_log_prior_)


@classifier(QuadraticDiscriminantAnalysis)
def _quadratic_discriminant(model: Any, table: Table) -> Decision:
    X = table.numbers
    norms = []
    for mean, rotation, scaling in zip(model.means_, model.rotations_, model.scalings_, strict=True):
        projected = (X - mean) @ (rotation * scaling**-0.5)
        norms.append(row_sum(projected * projected))
    volumes = np.array([np.log(scaling).sum() for scaling in model.scalings_])
    return _posterior((side_by_side(norms) + volumes) * -0.5 + np.log(model.priors_))
