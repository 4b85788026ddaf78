"""The bundle that `save_model` of the R package writes: a model with rows and R's own predictions on them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from canari.errors import IntakeError
from canari.intake.r.columns import TextKind
from canari.intake.rds import NA_INTEGER, RObject
from canari.model import Checks, Columns, Value
from canari.signature import MISSING, Input, InputKind

CLASS = "canari_model"
FORMAT = 1
# What a model can be asked for; which of them a class answers, it says itself.
TYPES = ("number", "probability", "class", "link", "se", "confidence", "prediction", "risk", "expected", "survival")


@dataclass(frozen=True, kw_only=True)
class RowColumn:
    """A column of the rows."""

    kind: InputKind
    values: list[Value]
    levels: tuple[str, ...]  # of a factor in its own order, of texts those that occur
    text: TextKind = "factor"  # what R had, of a category


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle's content, checked to be whole; raises `IntakeError` naming the field that is not."""

    model: RObject
    rows: dict[str, RowColumn]
    probe: list[bool]
    predictions: Columns
    type: str
    labels: tuple[str, ...]
    arguments: dict[str, RObject]  # for R's predict
    name: str | None
    metrics: dict[str, float]
    units: dict[str, str]
    r_version: str
    packages: dict[str, str]
    created: str | None

    def checks(self, inputs: list[Input] | tuple[Input, ...], predictions: list[str]) -> Checks:
        """The rows with the inputs' columns only, and the predictions of these names."""
        if sorted(self.predictions) != sorted(predictions):
            came = _list(self.predictions)
            raise IntakeError(f"the bundle's 'predictions' has the columns {came}; expected {_list(predictions)}")
        return Checks(
            rows={column.name: self.rows[column.name].values for column in inputs},
            predictions={name: self.predictions[name] for name in predictions},
            probe=self.probe,
        )


def read_bundle(root: RObject) -> Bundle:
    """Check a bundle field by field."""
    version = _field(root, "format")
    if version.type not in ("integer", "double") or len(version.value) != 1 or version.doubles()[0] != FORMAT:
        came = ", ".join(f"{v:g}" for v in version.doubles()) if version.type in ("integer", "double") else version.type
        raise IntakeError(f"the bundle's 'format' is {came}; this canari reads format {FORMAT}")
    if root.get("preprocess") is not None:
        raise IntakeError("the bundle has a 'preprocess' function, which is not translated yet: put it into the formula")
    rows = {name: _column(name, column) for name, column in _data_frame(root, "rows").items()}
    predictions: Columns = {name: _answers(name, column) for name, column in _data_frame(root, "predictions").items()}
    n = len(next(iter(rows.values())).values)
    answered = len(next(iter(predictions.values())))
    if answered != n:
        raise IntakeError(f"the bundle's 'predictions' has {answered} rows, its 'rows' has {n}")
    probe = _field(root, "probe")
    if probe.type != "logical" or len(probe.value) != n or bool((probe.value == NA_INTEGER).any()):
        raise IntakeError(f"the bundle's 'probe' is not TRUE or FALSE for each of its {n} rows")
    kind = _texts(root, "type")
    if len(kind) != 1 or kind[0] not in TYPES:
        raise IntakeError(f"the bundle's 'type' is {_list(kind)}; expected one of {_list(TYPES)}")
    session = root.get("session")
    packages = session.get("packages") if session is not None else None
    created = _texts(root, "created", optional=True)
    name = _texts(root, "name", optional=True)
    return Bundle(
        model=_field(root, "model"),
        rows=rows,
        probe=[bool(value) for value in probe.value],
        predictions=predictions,
        type=kind[0],
        labels=tuple(_texts(root, "labels", optional=True)),
        arguments=_arguments(root.get("arguments")),
        name=name[0] if name else None,
        metrics=_named_numbers(root, "metrics"),
        units=_named_texts(root.get("units"), "units"),
        r_version=(_texts(session, "R", optional=True) or ["unknown"])[0] if session is not None else "unknown",
        packages=_named_texts(packages, "session$packages"),
        created=created[0] if created else None,
    )


def _list(names: Any) -> str:
    return ", ".join(map(repr, names)) or "none"


def _field(root: RObject, name: str) -> RObject:
    found = root.get(name)
    if found is None:
        raise IntakeError(f"the bundle has no {name!r}; save_model() of the R package canari writes it")
    return found


def _data_frame(root: RObject, name: str) -> dict[str, RObject]:
    frame = _field(root, name)
    if frame.type != "list" or "data.frame" not in frame.classes:
        raise IntakeError(f"the bundle's {name!r} is no data frame")
    columns = dict(frame.items())
    if not columns or len(columns) != len(frame.value) or "" in columns:
        raise IntakeError(f"the bundle's {name!r} has no columns, or some without a name of their own")
    lengths = {len(column.value) if isinstance(column.value, list | np.ndarray) else -1 for column in columns.values()}
    if len(lengths) != 1 or lengths <= {0, -1}:
        raise IntakeError(f"the bundle's {name!r} has columns of different lengths, or no rows")
    return columns


def _column(name: str, column: RObject) -> RowColumn:
    """A column of 'rows' by its R type."""
    if column.type == "integer" and "factor" in column.classes:
        texts = _factor_texts(column, f"column {name!r} of the bundle's 'rows'")
        text: TextKind = "ordered" if "ordered" in column.classes else "factor"
        return RowColumn(kind="category", values=list(texts), levels=_levels(name, column.levels), text=text)
    classes = [c for c in column.classes if c != "AsIs"]
    if classes or column.dim or column.type not in ("double", "integer", "logical", "character"):
        what = f"of class {classes[0]!r}" if classes else "a matrix" if column.dim else f"of type {column.type}"
        raise IntakeError(
            f"column {name!r} of the bundle's 'rows' is {what}; expected numbers, logicals, texts or a factor: convert it before"
        )
    if column.type == "character":
        texts = column.strings()
        levels = sorted({t for t in texts if t is not None})
        return RowColumn(kind="category", values=list(texts), levels=_levels(name, levels), text="character")
    numbers: list[Value] = [None if np.isnan(v) else v for v in column.doubles().tolist()]
    if column.type == "double":
        return RowColumn(kind="number", values=numbers, levels=())
    convert = bool if column.type == "logical" else int
    whole: list[Value] = [None if v is None else convert(v) for v in numbers]
    return RowColumn(kind="boolean" if column.type == "logical" else "integer", values=whole, levels=())


def _factor_texts(column: RObject, where: str) -> list[str | None]:
    codes = column.value
    if bool(((codes != NA_INTEGER) & ((codes < 1) | (codes > len(column.levels)))).any()):
        raise IntakeError(f"{where} is a damaged factor: a code beyond its {len(column.levels)} levels")
    return column.strings()


def _levels(name: str, levels: list[str]) -> tuple[str, ...]:
    if MISSING in levels:
        raise IntakeError(f"column {name!r} has the level {MISSING!r}, which stands for a missing value")
    return tuple(levels)


def _answers(name: str, column: RObject) -> list[Value]:
    """Predictions as `canari.model.Checks` keeps them."""
    if column.type == "character":
        return list(column.strings())
    if column.type == "integer" and "factor" in column.classes:
        return list(_factor_texts(column, f"column {name!r} of the bundle's 'predictions'"))
    if column.type in ("double", "integer"):
        return [None if np.isnan(v) else v if np.isfinite(v) else "Inf" if v > 0 else "-Inf" for v in column.doubles().tolist()]
    if column.type == "logical" and bool((column.value == NA_INTEGER).all()):  # all missing
        return [None] * len(column.value)
    raise IntakeError(f"column {name!r} of the bundle's 'predictions' is of type {column.type}; expected numbers or texts")


def _texts(root: RObject, name: str, *, optional: bool = False) -> list[str]:
    found = root.get(name)
    if found is None and optional:
        return []
    if found is None or found.type != "character" or any(text is None for text in found.value):
        raise IntakeError(f"the bundle's {name!r} is no text")
    return [str(text) for text in found.value]


def _arguments(found: RObject | None) -> dict[str, RObject]:
    if found is None:
        return {}
    arguments = dict(found.items())
    if found.type != "list" or "" in arguments or len(arguments) != len(found.value):
        raise IntakeError("the bundle's 'arguments' is no list with a name for each")
    return arguments


def _named_texts(found: RObject | None, name: str) -> dict[str, str]:
    if found is None:
        return {}
    values = found.value
    if found.type == "list":
        values = [item.value[0] if item.type == "character" and len(item.value) == 1 else None for item in found.value]
    elif found.type != "character":
        values = [None]
    if any(value is None for value in values) or len(found.names) != len(values):
        raise IntakeError(f"the bundle's {name!r} is no list of texts with names")
    return dict(zip(found.names, map(str, values), strict=True))


def _named_numbers(root: RObject, name: str) -> dict[str, float]:
    found = root.get(name)
    if found is None:
        return {}
    parts = found.value if found.type == "list" else [found]
    values = [float(v) for part in parts for v in (part.doubles() if part.type in ("double", "integer") else [np.nan])]
    if not np.isfinite(values).all() or len(found.names) != len(values):
        raise IntakeError(f"the bundle's {name!r} is no list of numbers with names")
    return dict(zip(found.names, values, strict=True))
