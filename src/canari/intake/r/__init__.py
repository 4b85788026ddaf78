"""Models that were fitted in R: a bundle of `save_model`, or a bare model of a class that is known."""

from collections.abc import Iterator, Mapping, Sized

import numpy as np

from canari.errors import IntakeError
from canari.intake import rds
from canari.intake.onnx_graph import Array, trace
from canari.intake.r.bundle import CLASS, Bundle, RowColumn, read_bundle
from canari.intake.r.classes import SUPPORTED, read_model
from canari.intake.r.columns import Column, from_feed
from canari.intake.r.model import DrawsTies, Request, RModel
from canari.intake.r.terms import Need
from canari.intake.rds import RObject
from canari.intake.translation import Fitted, Translation
from canari.model import Feeds, Predictions
from canari.signature import Input, Source


def read_r(data: bytes, sha256: str, object_name: str | None = None) -> Fitted:
    """Read, translate and describe the model in an `.rds` or `.RData` file; raises `IntakeError` where it cannot.

    Of an `.RData` that is the object of that name; without one the only object, or the only model among them.
    """
    root, r_version = rds.read_object(
        data, object_name, lambda found: CLASS in found.classes or tuple(found.classes) in SUPPORTED
    )
    bundle = read_bundle(root) if CLASS in root.classes else None
    model = bundle.model if bundle else root
    model_class = model.classes[0].removesuffix(".formula") if model.classes else model.type
    try:
        fitted = read_model(
            model, Request(bundle.type, bundle.labels, bundle.arguments, tuple(bundle.rows)) if bundle else Request()
        )
        translation = _translate(fitted, tuple(_inputs(fitted, bundle)), bundle.rows if bundle else {}, tuple(_warnings(model)))
    except RecursionError:
        raise IntakeError("an expression in the model's formula is nested too deep") from None
    except IntakeError:
        raise
    except Exception as error:
        raise IntakeError(
            f"the {model_class} in the file is not as R {r_version} and its packages make it: {error}; if another version of "
            "its package fitted it, fit it again with a newer one"
        ) from error
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


def _translate(
    fitted: RModel, inputs: tuple[Input, ...], rows: Mapping[str, RowColumn], warnings: tuple[str, ...]
) -> Translation:
    def columns(feeds: Feeds) -> dict[str, Column]:
        return {column.name: _column(column, feeds[column.name], rows.get(column.name)) for column in inputs}

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


def _column(column: Input, values: Array, row: RowColumn | None) -> Column:
    """A factor of the rows keeps its own levels: the model's may be those of a text that the formula makes of it."""
    if row is None:
        return from_feed(column, values)
    return from_feed(column, values, row.text, () if row.text == "character" else row.levels)


def _inputs(fitted: RModel, bundle: Bundle | None) -> Iterator[Input]:
    for name, need in fitted.needs().items():
        if need.held and (need.held == 1 if bundle is None else name not in bundle.rows):
            continue  # a constant
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


# Where classes keep the rows that they were fitted to.
_TRAINING_ROWS = ("model", "data", "trainingData")
_FORMULA_BYTES = 1 << 10  # what is worth a word


def _warnings(model: RObject) -> Iterator[str]:
    """An R model often holds the rows that it was fitted to, and what else there was where its formula was written."""
    kept = {part: found for part in _TRAINING_ROWS if (found := model.get(part)) is not None and found.type == "list"}
    rows = max((_rows(column) for found in kept.values() for column in found.value), default=0)
    if rows:
        yield (
            f"the file holds the rows that the model was fitted to ({rows} rows, {max(1, rds.size(*kept.values()) >> 10)} kB, in "
            f"{' and '.join('$' + part for part in kept)}); where these are personal data, so is the file. "
            "What canari stores has the check rows only"
        )
    terms = model.get("terms")
    environment = terms.attributes.get(".Environment") if terms is not None else None
    held = rds.sizes(environment) if environment is not None and environment.type == "environment" else {}
    if (total := sum(held.values())) >= _FORMULA_BYTES:
        largest = ", ".join(f"{name} ({size >> 10} kB)" for name, size in list(held.items())[:3])
        more = f" and {len(held) - 3} more" if len(held) > 3 else ""
        yield (
            f"the file holds the variables of the function in which the model's formula was written ({total >> 10} kB: {largest}"
            f"{more}); where these are personal data, so is the file. Fit the model outside of a function to leave them out"
        )


def _rows(column: RObject) -> int:
    return column.dim[0] if column.dim else len(column.value) if isinstance(column.value, Sized) else 0
