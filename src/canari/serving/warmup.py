"""Before the first caller: the model must repeat, on this machine, what its proof says."""

import math
from collections.abc import Iterable
from itertools import islice
from time import perf_counter
from typing import Any

from canari.errors import CanariError
from canari.model import Checks, Model, number
from canari.runtime import Runtime
from canari.runtime.feeds import to_feeds
from canari.runtime.onnx import OnnxRuntime
from canari.signature import TOLERANCE, Signature

# So many check rows are predicted alone as well.
_ONE_BY_ONE = 100


def warm(model: Model) -> Runtime:
    """The model, ready to predict; raises `CanariError` where it does not repeat the source's own predictions.

    Every number of every check row must be within the proof's tolerance, predicted with all others at once, and for some of them
    alone, too. A class may differ on as many rows as the source drew at random. A model imported unproved has nothing to repeat.
    """
    runtime = OnnxRuntime(model.signature, model.onnx)
    if model.checks is not None:
        predictions = runtime.predict(to_feeds(runtime.signature.inputs, model.checks.rows))
        _repeat_proof(
            runtime.signature, model.checks, zip(*(predictions[o.name].tolist() for o in runtime.signature.outputs), strict=True)
        )
        _repeat_proof(runtime.signature, model.checks, _one_by_one(runtime, model.checks))
    return runtime


def _one_by_one(runtime: Runtime, checks: Checks) -> Iterable[list[list[Any]]]:
    """The predictions of the first rows, one request each; and how long the quickest took."""
    rows = zip(*(checks.rows[column.name] for column in runtime.signature.inputs), strict=True)
    quickest = math.inf
    for values in islice(rows, _ONE_BY_ONE):
        begun = perf_counter()
        found = runtime.predict_row(values)
        quickest = min(quickest, perf_counter() - begun)
        yield [value if isinstance(value, list) else [value] for value in found]
    runtime.row_seconds = quickest


def _repeat_proof(signature: Signature, checks: Checks, predictions: Iterable[Iterable[list[Any]]]) -> None:
    """Compare the rows' predictions, one list an output, with what the source predicted."""
    tolerance = signature.proof.tolerance if signature.proof else TOLERANCE
    draws = signature.proof.ties if signature.proof else 0
    for row, found in enumerate(predictions):
        for output, ours_all in zip(signature.outputs, found, strict=True):
            for name, ours in zip(output.columns, ours_all, strict=True):
                theirs = checks.predictions[name][row]
                if output.kind == "class":
                    agree = ours == theirs or (draws := draws - 1) >= 0
                else:
                    agree = _agree(ours, number(theirs), tolerance)
                if not agree:
                    raise CanariError(
                        f"{signature.tag} does not repeat its proof: check row {row}, {name!r}: expected {theirs}, came {ours}"
                    )


def _agree(ours: float, theirs: float, tolerance: float) -> bool:
    if math.isnan(theirs) or math.isinf(theirs):
        return math.isnan(ours) if math.isnan(theirs) else ours == theirs
    return abs(ours - theirs) <= tolerance * max(1.0, abs(theirs))
