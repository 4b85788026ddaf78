"""Models that were fitted in R: a bundle of `save_model`, or a bare model of a class that is known."""

from collections.abc import Iterator, Sized

import numpy as np

from canari.errors import IntakeError
from canari.intake import rds
from canari.intake.onnx_graph import trace
from canari.intake.r.bundle import CLASS, Bundle, RowColumn, read_bundle
from canari.intake.r.classes import read_model
from canari.intake.r.columns import Column, from_feed
from canari.intake.r.model import DrawsTies, Request, RModel
from canari.intake.r.terms import Need
from canari.intake.rds import RObject
from canari.intake.translation import Fitted, Translation
from canari.model import Feeds, Predictions
from canari.signature import Input, Source


def read_r(data: bytes, sha256: str) -> Fitted:
    """Read, translate and describe the model in an `.rds` file; raises `IntakeError` where it cannot."""
    root, r_version = rds.read_with_version(data)
    bundle = read_bundle(root) if CLASS in root.classes else None
    model = bundle.model if bundle else root
    model_class = model.classes[0].removesuffix(".formula") if model.classes else model.type
    try:
        fitted = read_model(model, Request(bundle.type, bundle.labels, bundle.arguments) if bundle else Request())
        translation = _translate(fitted, tuple(_inputs(fitted, bundle)), tuple(_warnings(model)))
    except RecursionError:
        raise IntakeError("an expression in the model's formula is nested too deep") from None
    except (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError) as error:
        raise IntakeError(f"the {model_class} in the file is not as R makes it: {error}") from error
    columns = [name for output in translation.outputs for name in output.columns]
    return Fitted(
        translation=translation,
        source=Source(
            language="R",
            version=bundle.r_version if bundle else r_version,
            model_class=model_class,
            sha256=sha256,
            created=bundle.created if bundle else None,
            packages=bundle.packages if bundle else {},
            metrics=bundle.metrics if bundle else {},
        ),
        checks=bundle.checks(translation.inputs, columns) if bundle else None,
        name=bundle.name if bundle else None,
    )


def _translate(fitted: RModel, inputs: tuple[Input, ...], warnings: tuple[str, ...]) -> Translation:
    def columns(feeds: Feeds) -> dict[str, Column]:
        return {column.name: from_feed(column, feeds[column.name]) for column in inputs}

    def evaluate(feeds: Feeds) -> Predictions:
        with np.errstate(all="ignore"):
            return fitted.predict(columns(feeds))

    draws_ties = isinstance(fitted, DrawsTies) and any(output.kind == "class" for output in fitted.outputs)
    return Translation(
        inputs=inputs,
        outputs=fitted.outputs,
        onnx=trace(evaluate, inputs, fitted.outputs),
        evaluate=evaluate,
        tied=(lambda feeds: fitted.tied(columns(feeds))) if draws_ties else None,  # type: ignore[attr-defined]
        warnings=warnings,
    )


def _inputs(fitted: RModel, bundle: Bundle | None) -> Iterator[Input]:
    for name, need in fitted.needs().items():
        if bundle is None:
            if need.kind == "category" and not need.levels:
                raise IntakeError(f"the model does not hold the levels of {name!r}; save it with save_model() and rows")
            yield Input(name=name, kind=need.kind, levels=need.levels, missing=fitted.answers_missing)
        elif name not in bundle.rows:
            raise IntakeError(
                f"the model uses {name!r}, which is no column of the bundle's 'rows'; if it is a constant of R's environment, "
                "write its value into the formula"
            )
        else:
            yield _described(name, need, bundle.rows[name], bundle, fitted.answers_missing)


def _described(name: str, need: Need, column: RowColumn, bundle: Bundle, answers_missing: bool) -> Input:
    """An input with what the rows tell of it."""
    own = [v for v, probe in zip(column.values, bundle.probe, strict=True) if not probe and v is not None]
    levels = need.levels if column.kind == "category" and need.levels else column.levels
    numbers = [float(v) for v in own if not isinstance(v, str | bool)]
    counts = [own.count(level) for level in levels]
    return Input(
        name=name,
        kind=column.kind,
        unit=bundle.units.get(name),
        levels=levels,
        missing=None in column.values if any(bundle.probe) else answers_missing,
        range=(min(numbers), max(numbers)) if numbers else None,
        shares=tuple(count / len(own) for count in counts) if own and levels else (),
    )


def _warnings(model: RObject) -> Iterator[str]:
    """An R model often holds the rows that it was fitted to."""
    kept = {part: found for part in ("model", "data") if (found := model.get(part)) is not None and found.type == "list"}
    size = sum(map(_size, kept.values()))
    rows = max((_rows(column) for found in kept.values() for column in found.value), default=0)
    if size:
        yield (
            f"the file holds the rows that the model was fitted to ({rows} rows, {max(1, size >> 10)} kB, in "
            f"{' and '.join('$' + part for part in kept)}); where these are personal data, so is the file. "
            "What canari stores has the check rows only"
        )


def _rows(column: RObject) -> int:
    return column.dim[0] if column.dim else len(column.value) if isinstance(column.value, Sized) else 0


def _size(value: RObject) -> int:
    """Bytes of the vectors in an R object."""
    if isinstance(value.value, np.ndarray):
        return value.value.nbytes
    if value.type == "character":
        return sum(len(text or "") + 8 for text in value.value)
    if value.type == "list":
        return sum(map(_size, value.value))
    return 0
