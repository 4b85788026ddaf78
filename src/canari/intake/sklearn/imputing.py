"""SimpleImputer: a missing value becomes one number or text a column."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer

from canari.intake.onnx_graph import level_codes
from canari.intake.sklearn.arrays import Table, Values, beside, is_text
from canari.intake.sklearn.steps import transformer
from canari.signature import MISSING


@transformer(SimpleImputer)
def _impute(imputer: Any, table: Table) -> Table:
    filled = imputer.statistics_
    kept = [
        i for i in range(len(table)) if imputer.strategy == "constant" or imputer.keep_empty_features or not pd.isna(filled[i])
    ]
    if any(is_text(table.column(i)) for i in range(len(table))):
        found = Table([_fill(imputer, table.column(i), filled[i]) for i in kept])
    else:
        statistics = np.asarray([filled[i] for i in kept], np.float64)
        found = Table(matrix=_fill(imputer, table.select(kept).numbers, statistics))
    if imputer.add_indicator:
        flags = [_missing(imputer, table.column(int(i))).astype(np.float64) for i in imputer.indicator_.features_]
        found = beside([found, *(Table([flag]) for flag in flags)])
    return found


def _fill(imputer: Any, values: Values, fill: Any) -> Values:
    if is_text(values):
        return np.where(_missing(imputer, values), np.array([[str(fill)]], object), values)
    return np.where(_missing(imputer, values), fill, values)


def _missing(imputer: Any, values: Values) -> Values:
    marker = imputer.missing_values
    if is_text(values):
        return level_codes(values, [MISSING if pd.isna(marker) else str(marker)]) == 0
    return np.isnan(values) if pd.isna(marker) else values == float(marker)
