"""The proof that a translation predicts what its source predicted: every check row, in onnxruntime and without it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from canari.errors import InputError, IntakeError
from canari.intake.translation import Translation
from canari.model import Checks, Predictions, Value, number
from canari.runtime.feeds import CellError, to_feeds
from canari.runtime.onnx import OnnxRuntime
from canari.signature import MISSING, TOLERANCE, Output, Proof, Signature

_SHOWN = 5

Differences = npt.NDArray[np.float64]


def prove(signature: Signature, translation: Translation, checks: Checks) -> Proof:
    """Compare the source's own predictions with onnxruntime's and with the independent evaluator's.

    A difference is |source - canari| / max(1, |source|); that of a missing value and one that is not, or of two classes, is
    infinite. Raises `IntakeError`, naming rows, column and both values, where one is above `TOLERANCE`, and where there is
    nothing to compare.
    """
    if not len(checks):
        raise IntakeError("there are no check rows, so nothing can be proved")
    if all(value is None for column in checks.predictions.values() for value in column):
        raise IntakeError("the source answered none of the check rows, so nothing is proved")
    try:
        feeds = to_feeds(translation.inputs, checks.rows)
    except CellError as error:
        raise IntakeError(f"check row {error.row + 1}, {error.reason}") from None
    except InputError as error:
        raise IntakeError(f"the check rows do not fit the model: {error}") from None
    tied = translation.tied(feeds) if translation.tied else None
    comparisons = [
        _Comparison(who, translation.outputs, checks, predict(feeds), tied)
        for who, predict in _evaluators(signature, translation)
    ]
    for comparison in comparisons:
        if disagreeing := comparison.disagreeing():
            raise IntakeError(comparison.report(disagreeing, signature.source.language))
    return Proof(
        rows=len(checks),
        probes=sum(checks.probe),
        tolerance=TOLERANCE,
        worst=comparisons[0].worst,
        worst_evaluator=comparisons[1].worst,
        ties=comparisons[0].ties,
    )


def _evaluators(signature: Signature, translation: Translation) -> Iterator[tuple[str, Callable[[Any], Predictions]]]:
    yield "canari", OnnxRuntime(signature, translation.onnx).predict
    yield "canari's independent evaluator", translation.evaluate


@dataclass(frozen=True)
class _Cell:
    row: int
    column: str
    expected: Value
    found: Value


class _Comparison:
    """The differences of one evaluator's predictions, column by column as in a CSV file."""

    def __init__(
        self,
        who: str,
        outputs: Sequence[Output],
        checks: Checks,
        predictions: Predictions,
        tied: npt.NDArray[np.bool_] | None,
    ) -> None:
        self._who = who
        self._probe = checks.probe
        self._columns: list[tuple[str, list[Value], list[Value], Differences]] = []
        self.ties = 0
        for output in outputs:
            found = predictions[output.name]
            if found.shape != (len(checks), output.width):
                raise IntakeError(f"{who} answers {output.name!r} as {found.shape}, expected {(len(checks), output.width)}")
            for i, column in enumerate(output.columns):
                expected, values = checks.predictions[column], found[:, i].tolist()
                if output.kind == "class":
                    differences = self._class_differences(output, expected, values, tied)
                else:
                    differences = _number_differences(column, expected, found[:, i])
                self._columns.append((column, expected, values, differences))

    @property
    def worst(self) -> float:
        """The largest difference."""
        return max(float(differences.max()) for *_, differences in self._columns)

    def disagreeing(self) -> list[_Cell]:
        """The cells with a difference above the tolerance, by row."""
        cells = [
            _Cell(int(row), column, expected[row], values[row])
            for column, expected, values, differences in self._columns
            for row in np.flatnonzero(~(differences <= TOLERANCE))
        ]
        return sorted(cells, key=lambda cell: cell.row)

    def report(self, cells: list[_Cell], source: str) -> str:
        """Which rows disagree, and how."""
        rows = {cell.row for cell in cells}
        shown = [
            f"row {cell.row + 1} ({'probe' if self._probe[cell.row] else 'given'}), {cell.column!r}: "
            f"{source} says {_shown(cell.expected)}, {self._who} computes {_shown(cell.found)}"
            for cell in cells[:_SHOWN]
        ]
        more = f"; and {len(cells) - _SHOWN} more values" if len(cells) > _SHOWN else ""
        verb = "disagrees" if len(rows) == 1 else "disagree"
        return f"{len(rows)} of {len(self._probe)} check rows {verb}; {'; '.join(shown)}{more}"

    def _class_differences(
        self, output: Output, expected: list[Value], found: list[Value], tied: npt.NDArray[np.bool_] | None
    ) -> Differences:
        differences = np.zeros(len(expected))
        for row, (theirs, ours) in enumerate(zip(expected, found, strict=True)):
            candidates = set() if tied is None else {output.labels[i] for i in np.flatnonzero(tied[row])}
            same = theirs == (None if ours == MISSING else ours)
            drawn = theirs is not None and len(candidates) > 1 and {theirs, ours} <= candidates
            self.ties += drawn
            differences[row] = 0.0 if same or drawn else np.inf
        return differences


def _number_differences(column: str, expected: list[Value], found: npt.NDArray[np.float64]) -> Differences:
    try:
        theirs = np.array([number(value) for value in expected])
    except ValueError:
        raise IntakeError(f"the recorded predictions {column!r} are no numbers") from None
    with np.errstate(invalid="ignore"):
        differences = np.abs(theirs - found) / np.maximum(1.0, np.abs(theirs))
    same = (theirs == found) | (np.isnan(theirs) & np.isnan(found))
    return np.where(same, 0.0, np.where(np.isfinite(theirs) & np.isfinite(found), differences, np.inf))


def _shown(value: Value) -> str:
    if value is None or value == MISSING or (isinstance(value, float) and np.isnan(value)):
        return "missing"
    return repr(value)
