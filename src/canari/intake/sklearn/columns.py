"""A model's inputs: their names, kinds and levels, as the fitted model and rows of data tell them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline

from canari.errors import IntakeError
from canari.intake.sklearn.composing import SEARCHES, branches
from canari.intake.sklearn.encoding import ENCODERS, text_levels
from canari.model import Columns, Value
from canari.signature import MISSING, Input, InputKind


def input_names(model: Any) -> list[str]:
    """The names of the columns that the model was fitted on; x0, x1, ... where it was fitted on an array."""
    first = _first_step(model)
    if fitted_on_names(model):
        return [str(name) for name in first.feature_names_in_]
    if (n := getattr(first, "n_features_in_", None)) is None:
        raise IntakeError(f"the {type(model).__name__} does not say how many columns it takes: is it fitted?")
    return [f"x{i}" for i in range(n)]


def fitted_on_names(model: Any) -> bool:
    """Whether the model was fitted on a data frame, whose names it expects again."""
    return hasattr(_first_step(model), "feature_names_in_")


def _first_step(model: Any) -> Any:
    """What sees the rows first: a pipeline may begin with steps that do nothing, and then does not know its columns."""
    while isinstance(model, Pipeline):
        model = next((step for _, step in model.steps if step is not None and not isinstance(step, str)), None)
    return model


def encoded_levels(step: Any, positions: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """The levels of the columns of text that encoders in a step were fitted on, by position in the model's input."""
    if isinstance(step, ENCODERS):
        found = zip(positions, map(text_levels, step.categories_), strict=False)
        return {position: levels for position, levels in found if levels is not None}
    if isinstance(step, Pipeline):
        return _of_pipeline(step, positions)
    if isinstance(step, ColumnTransformer):
        parts = [(part, [positions[i] for i in indices]) for part, indices in branches(step)]
    elif isinstance(step, FeatureUnion):
        parts = [(part, list(positions)) for _, part in step.transformer_list]
    elif isinstance(step, SEARCHES):
        parts = [(step.best_estimator_, list(positions))]
    elif isinstance(step, TransformedTargetRegressor):
        parts = [(step.regressor_, list(positions))]
    elif (preprocessor := getattr(step, "_preprocessor", None)) is not None:
        parts = [(preprocessor, list(positions))]
    else:
        members = getattr(step, "estimators_", None)
        parts = [(member, list(positions)) for member in members] if isinstance(members, list) else []
    return {position: levels for part, chosen in parts for position, levels in encoded_levels(part, chosen).items()}


def _of_pipeline(pipeline: Any, positions: Sequence[int]) -> dict[int, tuple[str, ...]]:
    for _, step in pipeline.steps:
        if isinstance(step, SimpleImputer) and not any(map(pd.isna, step.statistics_)):
            continue  # the columns stay what and where they are
        if step is None or isinstance(step, str):
            continue
        return encoded_levels(step, positions)
    return {}


def inputs_of_model(model: Any) -> tuple[Input, ...]:
    """The inputs where there are no rows: text where an encoder was fitted on it, else numbers; never missing."""
    names = input_names(model)
    levels = encoded_levels(model, range(len(names)))
    return tuple(
        Input(name=name, kind="category", levels=levels[i]) if i in levels else Input(name=name, kind="number")
        for i, name in enumerate(names)
    )


def as_values(name: str, kind: InputKind, column: pd.Series) -> list[Value]:
    """The values of a column of a data frame, None where missing; raises `IntakeError` for an infinite number."""
    values: list[Value] = []
    for row, value in enumerate(column.tolist()):
        if pd.isna(value):
            values.append(None)
        elif kind == "category":
            values.append(str(value))
        elif not np.isfinite(value):
            raise IntakeError(f"rows: column {name!r}, row {row}: expected a finite number, found {value}")
        else:
            values.append({"number": float, "integer": int, "boolean": bool}[kind](value))
    return values


def kind_of(name: str, column: pd.Series) -> InputKind:
    """The kind of a column of a data frame; raises `IntakeError` for dates, lists and the like."""
    present = column.dropna()
    if isinstance(column.dtype, pd.CategoricalDtype):
        present = present.astype(column.dtype.categories.dtype)
    if pd.api.types.is_bool_dtype(present):
        return "boolean"
    if pd.api.types.is_integer_dtype(present):
        return "integer"
    if pd.api.types.is_float_dtype(present):
        return "number"
    wrong = next((value for value in present.tolist() if not isinstance(value, str)), None)
    if wrong is None and len(present):
        if MISSING in set(present):
            raise IntakeError(f"rows: column {name!r} has the level {MISSING!r}, which stands for a missing value")
        return "category"
    if present.map(lambda value: isinstance(value, bool)).all() and len(present):
        return "boolean"
    came = f"{type(wrong).__name__} values" if wrong is not None else "only missing values"
    raise IntakeError(f"rows: column {name!r}: expected numbers, booleans or text, found {came}")


def describe(model: Any, rows: pd.DataFrame, units: Mapping[str, str]) -> tuple[Input, ...]:
    """The inputs as rows of data show them; `rows` has the model's columns, in its order."""
    known = encoded_levels(model, range(rows.shape[1]))
    found = []
    for i, name in enumerate(rows.columns):
        column = rows[name]
        kind = kind_of(name, column)
        unit = units.get(name)
        if kind == "category":
            levels = _levels(column, known.get(i, ()))
            counts = column.value_counts()
            total = max(1, int(counts.sum()))
            shares = tuple(float(counts.get(level, 0)) / total for level in levels)
            found.append(Input(name=name, kind=kind, unit=unit, levels=levels, shares=shares, missing=bool(column.isna().any())))
        else:
            low, high = float(column.min()), float(column.max())
            found.append(Input(name=name, kind=kind, unit=unit, range=(low, high), missing=bool(column.isna().any())))
    return tuple(found)


def _levels(column: pd.Series, encoded: tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        seen = column.cat.categories.tolist()
    else:
        seen = sorted(set(column.dropna().tolist()))
    return encoded + tuple(level for level in seen if level not in encoded)


def as_columns(inputs: Sequence[Input], rows: pd.DataFrame) -> Columns:
    """Rows as one list of plain values a column."""
    return {column.name: as_values(column.name, column.kind, rows[column.name]) for column in inputs}
