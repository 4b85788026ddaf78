"""Pipelines, column transformers and feature unions: steps made of steps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  # two of the searches below
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, HalvingRandomSearchCV, RandomizedSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline

from canari.intake.sklearn.arrays import Table, Values, beside
from canari.intake.sklearn.mathematics import apply_function
from canari.intake.sklearn.steps import Decision, classifier, classify, regress, regressor, transform, transformer, unsupported


def _before_last(pipeline: Any, table: Table) -> Table:
    for _, step in pipeline.steps[:-1]:
        table = transform(step, table)
    return table


@transformer(Pipeline)
def _transform_pipeline(pipeline: Any, table: Table) -> Table:
    return transform(pipeline.steps[-1][1], _before_last(pipeline, table))


@regressor(Pipeline)
def _regress_pipeline(pipeline: Any, table: Table) -> Values:
    return regress(pipeline.steps[-1][1], _before_last(pipeline, table))


@classifier(Pipeline)
def _classify_pipeline(pipeline: Any, table: Table) -> Decision:
    return classify(pipeline.steps[-1][1], _before_last(pipeline, table))


SEARCHES = (GridSearchCV, HalvingGridSearchCV, HalvingRandomSearchCV, RandomizedSearchCV)


@transformer(*SEARCHES)
def _transform_best(search: Any, table: Table) -> Table:
    return transform(search.best_estimator_, table)


@regressor(*SEARCHES)
def _regress_best(search: Any, table: Table) -> Values:
    return regress(search.best_estimator_, table)


@classifier(*SEARCHES)
def _classify_best(search: Any, table: Table) -> Decision:
    return classify(search.best_estimator_, table)


@transformer(FeatureUnion)
def _unite(union: Any, table: Table) -> Table:
    _refuse_weights(union)
    return beside([transform(step, table) for _, step in union.transformer_list if not _dropped(step)])


@transformer(ColumnTransformer)
def _transform_columns(columns: Any, table: Table) -> Table:
    _refuse_weights(columns)
    return beside([transform(step, table.select(indices)) for step, indices in branches(columns)])


@regressor(TransformedTargetRegressor)
def _regress_transformed(model: Any, table: Table) -> Values:
    prediction = regress(model.regressor_, table)
    if model.transformer is not None:
        raise unsupported(model, "transformer=; func= and inverse_func= are")
    return apply_function(model, model.inverse_func, prediction)


def branches(columns: Any) -> list[tuple[Any, list[int]]]:
    """The steps of a fitted ColumnTransformer, each with the positions of its columns."""
    names = [str(name) for name in getattr(columns, "feature_names_in_", ())]
    found = [
        (step, _positions(selection, names, columns.n_features_in_))
        for _, step, selection in columns.transformers_
        if not _dropped(step)
    ]
    return [(step, indices) for step, indices in found if indices]


def _dropped(step: Any) -> bool:
    return isinstance(step, str) and step == "drop"


def _refuse_weights(step: Any) -> None:
    if step.transformer_weights:
        raise unsupported(step, "transformer_weights=")


def _positions(selection: Any, names: Sequence[str], n: int) -> list[int]:
    if isinstance(selection, slice):
        if isinstance(selection.start, str) or isinstance(selection.stop, str):
            start = names.index(selection.start) if selection.start is not None else 0
            stop = names.index(selection.stop) + 1 if selection.stop is not None else n
            return list(range(n))[start : stop : selection.step]
        return list(range(n))[selection]
    entries: list[Any] = [selection] if np.isscalar(selection) else list(selection)
    if len(entries) == n and all(isinstance(entry, bool | np.bool_) for entry in entries):
        return [i for i, chosen in enumerate(entries) if chosen]
    return [names.index(entry) if isinstance(entry, str) else range(n)[entry] for entry in entries]
