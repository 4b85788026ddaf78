"""Encoders of categories, as a table with one row a level that the fitted encoder itself fills."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

from canari.errors import IntakeError
from canari.intake.onnx_graph import level_codes, take
from canari.intake.sklearn.arrays import Table, Values, is_text, side_by_side
from canari.intake.sklearn.steps import transformer
from canari.signature import MISSING

ENCODERS = (OneHotEncoder, OrdinalEncoder, TargetEncoder)
_TOLERANT = ("ignore", "infrequent_if_exist", "use_encoded_value", "warn")
_UNKNOWN = "\x00 no level"


@transformer(*ENCODERS)
def _encode(encoder: Any, table: Table) -> Table:
    return Table(matrix=side_by_side([_encode_column(encoder, i, table.column(i)) for i in range(len(encoder.categories_))]))


def text_levels(categories: Any) -> tuple[str, ...] | None:
    """The levels among an encoder's categories, without the missing one; None where they are no text."""
    levels = [category for category in np.asarray(categories, object).tolist() if not pd.isna(category)]
    return tuple(levels) if levels and all(isinstance(level, str) for level in levels) else None


def _encode_column(encoder: Any, index: int, values: Values) -> Values:
    categories = encoder.categories_[index]
    codes = _text_codes(values, categories) if is_text(values) else _number_codes(values, categories)
    return take(_rows(encoder, index), np.reshape(codes, (-1,)))


def _text_codes(values: Values, categories: Any) -> Values:
    if text_levels(categories) is None:
        raise IntakeError("an encoder's categories are no text, but its column is")
    return level_codes(values, [MISSING if pd.isna(category) else str(category) for category in categories])


def _number_codes(values: Values, categories: Any) -> Values:
    numbers = np.asarray(categories)
    if numbers.dtype.kind not in "biuf":
        raise IntakeError("an encoder's categories are text, but its column is not")
    numbers = numbers.astype(np.float64)
    n = len(numbers)
    position = (values == numbers).astype(np.float64) @ (np.arange(n, dtype=np.float64) - n).reshape(-1, 1) + float(n)
    if np.isnan(numbers).any():
        position = np.where(np.isnan(values), float(np.flatnonzero(np.isnan(numbers))[0]), position)
    return position.astype(np.int64)


def _rows(encoder: Any, index: int) -> npt.NDArray[np.float64]:
    """What the encoder makes of each category of a column, and last of a value that is none of them."""
    widths = _widths(encoder)
    categories = encoder.categories_[index]
    others = [np.repeat(known[:1], len(categories)) for known in encoder.categories_]
    rows = _transform(encoder, [*others[:index], categories, *others[index + 1 :]])
    if isinstance(encoder, TargetEncoder) or encoder.handle_unknown in _TOLERANT:
        unknown = _transform(encoder, [_unknown(c) if i == index else c[:1] for i, c in enumerate(encoder.categories_)])
    else:
        unknown = np.full((1, rows.shape[1]), np.nan)
    start = sum(widths[:index])
    return np.concatenate([rows, unknown])[:, start : start + widths[index]]


def _widths(encoder: Any) -> list[int]:
    if isinstance(encoder, OneHotEncoder):
        return [int(n) for n in encoder._n_features_outs]
    n_classes = len(encoder.classes_) if isinstance(encoder, TargetEncoder) and encoder.target_type_ == "multiclass" else 1
    return [n_classes] * len(encoder.categories_)


def _unknown(categories: Any) -> npt.NDArray[Any]:
    if np.asarray(categories).dtype.kind in "biuf":
        return np.array([np.nanmax(np.append(np.asarray(categories, np.float64), 0.0)) + 1.0])
    return np.array([_UNKNOWN], object)


def _transform(encoder: Any, columns: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    names = getattr(encoder, "feature_names_in_", range(len(columns)))
    frame = pd.DataFrame({name: pd.Series(column, dtype=column.dtype) for name, column in zip(names, columns, strict=True)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about unknown categories, which are meant
        found = encoder.transform(frame if hasattr(encoder, "feature_names_in_") else frame.to_numpy())
    return np.asarray(found.toarray() if hasattr(found, "toarray") else found, np.float64)
