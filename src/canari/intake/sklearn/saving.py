"""For people who fit models in Python: one file with the model and the rows that prove its translation."""

import datetime
import importlib.metadata
import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED

import msgspec
import numpy as np
import pandas as pd
import skops.io

from canari.errors import IntakeError
from canari.intake.sklearn.bundle import FORMAT, Content
from canari.intake.sklearn.columns import as_columns, describe, fitted_on_names, input_names
from canari.intake.sklearn.composing import SEARCHES
from canari.intake.sklearn.probes import make_probes
from canari.intake.sklearn.translate import CLASS, PREDICTION, PROBABILITIES, class_name, outputs_of, translate
from canari.model import Columns, Value
from canari.signature import Output, check_tag_part

_PACKAGES = ("numpy", "pandas", "scikit-learn", "scipy", "skops")


def save_model(
    model: Any,
    rows: pd.DataFrame,
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    metrics: Mapping[str, float] | None = None,
    units: Mapping[str, str] | None = None,
) -> None:
    """Write a fitted scikit-learn model to `path`, with the predictions that `canari import` must find again.

    Args:
        model: A fitted classifier or regressor, most often a Pipeline that starts from raw columns.
        rows: Raw inputs like those that the model will be asked about, one column an input; their predictions are recorded,
            and those of probes made from them: each level, missing values, the ends of each range and beyond.
        path: The file, most often with the ending `.skops`; it is written whole or not at all.
        name: What the model is to be called.
        metrics: What training measured, by name.
        units: Units of columns, by name.

    Raises:
        IntakeError: Where the model has a step that cannot be translated, or the rows are not the model's.
        UsageError: Where `name` may not be a model's name.
    """
    if name is not None:
        check_tag_part("name", name)
    if isinstance(model, SEARCHES):
        model = model.best_estimator_
    outputs = outputs_of(model)
    rows = _of_model(model, rows)
    unknown = sorted(set(units or {}) - set(rows.columns))
    if unknown:
        raise IntakeError(f"units: the rows have no column {unknown[0]!r}")
    inputs = describe(model, rows, units or {})
    checked = as_columns(inputs, rows)
    predictions = _predict(model, rows, outputs)
    n_given = len(rows)
    for group in make_probes(rows, inputs):
        try:
            found = _predict(model, group, outputs)
        except Exception:  # noqa: BLE001, S112  # the model refuses such rows, each class in its own way
            continue
        for column in inputs:
            checked[column.name] += as_columns([column], group)[column.name]
        for column_name, values in found.items():
            predictions[column_name] += values
    inputs = tuple(msgspec.structs.replace(column, missing=None in checked[column.name]) for column in inputs)
    translate(model, inputs)  # says now, not at import, what cannot be translated
    n_rows = len(checked[inputs[0].name])
    content = Content(
        inputs=inputs,
        rows=checked,
        predictions=predictions,
        probe=[False] * n_given + [True] * (n_rows - n_given),
        name=name,
        metrics={key: float(value) for key, value in (metrics or {}).items()},
        versions={package: importlib.metadata.version(package) for package in _PACKAGES},
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    bundle = {"format": FORMAT, "model": model, "content": msgspec.json.encode(content).decode()}
    _write(Path(path), skops.io.dumps(bundle, compression=ZIP_DEFLATED))


def _of_model(model: Any, rows: pd.DataFrame) -> pd.DataFrame:
    if not isinstance(rows, pd.DataFrame) or not len(rows):
        raise IntakeError("rows: expected a pandas data frame with at least one row")
    names = input_names(model)
    if not fitted_on_names(model):
        if rows.shape[1] != len(names):
            raise IntakeError(f"rows: expected {len(names)} columns, found {rows.shape[1]}")
        names = [str(name) for name in rows.columns]
        rows = rows.set_axis(names, axis=1)
    if len(set(names)) != len(names):
        raise IntakeError("rows: two columns have the same name")
    if absent := [name for name in names if name not in rows.columns]:
        raise IntakeError(f"rows: the model was fitted on a column {absent[0]!r}, which they do not have")
    return rows[names].reset_index(drop=True)


def _predict(model: Any, rows: pd.DataFrame, outputs: tuple[Output, ...]) -> Columns:
    """The model's own predictions, one list for each CSV column of its outputs."""
    X = rows if fitted_on_names(model) else rows.to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        predicted = np.asarray(model.predict(X))
        if predicted.ndim != 1 and predicted.shape[1:] != (1,):
            raise IntakeError(f"the {class_name(model)} predicts several columns at once: save one model a column")
        predicted = predicted.reshape(-1)
        found: Columns = {}
        for output in outputs:
            if output.name == CLASS:
                found[CLASS] = [str(label) for label in predicted.tolist()]
            elif output.name == PREDICTION:
                found[PREDICTION] = [_number(value) for value in predicted.tolist()]
            elif output.name == PROBABILITIES:
                columns = np.asarray(model.predict_proba(X)).T.tolist()
                found |= {label: list(map(_number, column)) for label, column in zip(output.columns, columns, strict=True)}
    return found


def _number(value: float) -> Value:
    if math.isnan(value):
        return None
    return float(value) if math.isfinite(value) else "Inf" if value > 0 else "-Inf"


def _write(path: Path, data: bytes) -> None:
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise IntakeError(f"{path} cannot be written: {error.strerror}") from None
