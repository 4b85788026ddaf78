"""Scalers: each column by itself, by numbers found in training."""

from typing import Any

import numpy as np
from sklearn.preprocessing import (
    Binarizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)

from canari.intake.sklearn.arrays import Table, clip, row_max, row_sum, side_by_side, take_columns
from canari.intake.sklearn.steps import transform, transformer


@transformer(StandardScaler)
def _standardize(scaler: Any, table: Table) -> Table:
    X = table.numbers
    if scaler.with_mean:
        X = X - scaler.mean_
    return Table(matrix=X / scaler.scale_ if scaler.with_std else X)


@transformer(MinMaxScaler)
def _to_range(scaler: Any, table: Table) -> Table:
    X = table.numbers * scaler.scale_ + scaler.min_
    return Table(matrix=clip(X, *map(float, scaler.feature_range)) if scaler.clip else X)


@transformer(MaxAbsScaler)
def _by_largest(scaler: Any, table: Table) -> Table:
    X = table.numbers / scaler.scale_
    return Table(matrix=clip(X, -1.0, 1.0) if getattr(scaler, "clip", False) else X)


@transformer(RobustScaler)
def _by_quantiles(scaler: Any, table: Table) -> Table:
    X = table.numbers
    if scaler.with_centering:
        X = X - scaler.center_
    return Table(matrix=X / scaler.scale_ if scaler.with_scaling else X)


@transformer(Normalizer)
def _to_unit_length(normalizer: Any, table: Table) -> Table:
    X = table.numbers
    if normalizer.norm == "l2":
        norm = np.sqrt(row_sum(X * X))
    else:
        norm = row_sum(np.abs(X)) if normalizer.norm == "l1" else row_max(np.abs(X))
    return Table(matrix=X / np.where(norm == 0.0, 1.0, norm))


@transformer(Binarizer)
def _binarize(binarizer: Any, table: Table) -> Table:
    return Table(matrix=(table.numbers > float(binarizer.threshold)).astype(np.float64))


@transformer(PowerTransformer)
def _to_normal(power: Any, table: Table) -> Table:
    one = _yeo_johnson if power.method == "yeo-johnson" else _box_cox
    X = table.numbers
    found = Table(matrix=side_by_side([one(take_columns(X, [i]), float(lam)) for i, lam in enumerate(power.lambdas_)]))
    return transform(power._scaler, found) if power.standardize else found


def _box_cox(x: Any, lam: float) -> Any:
    return np.log(x) if lam == 0 else np.expm1(lam * np.log(x)) / lam


def _yeo_johnson(x: Any, lam: float) -> Any:
    # Yeo and Johnson (2000); each branch gets an argument that it takes, whichever is chosen.
    positive, negative = np.log1p(np.maximum(x, 0.0)), np.log1p(np.maximum(-x, 0.0))
    above = positive if abs(lam) < np.spacing(1.0) else np.expm1(lam * positive) / lam
    below = -negative if abs(lam - 2) <= np.spacing(1.0) else -np.expm1((2 - lam) * negative) / (2 - lam)
    return np.where(x >= 0.0, above, below)
