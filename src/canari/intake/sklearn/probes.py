"""Rows that canari makes up, since a person's own rows show little of what a model can be asked."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from canari.signature import Input

_MIXTURES = 25
_SEED = 20


def make_probes(rows: pd.DataFrame, inputs: Sequence[Input]) -> list[pd.DataFrame]:
    """Groups of rows: each level, both truths, the ends of each range and beyond, mixtures of rows; and a missing value a column.

    A group may be one that the model refuses, so each is to be tried by itself.
    """
    complete = rows.dropna()
    base = (complete if len(complete) else rows).iloc[[0]]
    groups = [_variants(base, column, _values(column)) for column in inputs]
    random = np.random.default_rng(_SEED)
    mixtures = {name: rows[name].iloc[random.integers(len(rows), size=_MIXTURES)].reset_index(drop=True) for name in rows.columns}
    groups.append(pd.DataFrame(mixtures))
    groups += [_with_missing(base, column) for column in inputs]
    return groups


def _values(column: Input) -> list[Any]:
    if column.kind == "category":
        return list(column.levels)
    if column.kind == "boolean":
        return [False, True]
    low, high = column.range or (0.0, 0.0)
    beyond = high - low or 1.0
    values = [low, high, low - beyond, high + beyond]
    return [int(value) for value in values] if column.kind == "integer" else values


def _variants(base: pd.DataFrame, column: Input, values: list[Any]) -> pd.DataFrame:
    frame = base.iloc[[0] * len(values)].reset_index(drop=True)
    frame[column.name] = pd.Series(values).astype(base[column.name].dtype)
    return frame


def _with_missing(base: pd.DataFrame, column: Input) -> pd.DataFrame:
    frame = base.reset_index(drop=True)
    if column.kind in ("integer", "boolean"):
        dtype = np.float64 if column.kind == "integer" else object
        frame = frame.astype({column.name: dtype})
    frame.loc[0, column.name] = np.nan
    return frame
