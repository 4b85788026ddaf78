"""The same rows to both versions: how far do the predictions differ, and on which rows most?

Predictions of unlike models are made comparable: a number with a number; one probability with the probability of the same
label among several; a class with a class. Differences of probabilities are taken as they are, those of numbers are divided by
the standard deviation of the baseline's predictions.
"""

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from canari.errors import CanariError
from canari.gate import answers
from canari.gate.http import NoAnswerError, call
from canari.gate.judging import judge_share
from canari.gate.rows import records
from canari.gate.rules import PREDICTION_RULES, Rules
from canari.gate.statistics import Levels, Risks, at_most, distance_interval, mean_interval
from canari.gate.verdict import Outcome, RuleResult, undecided
from canari.gate.words import share, shares
from canari.model import Columns, Value
from canari.signature import Output, Signature

FEWEST_ROWS = 20
SHOWN_ROWS = 10

_BATCH = 100
_ATTEMPTS = 3
_PAUSE_SECONDS = 0.3
_CLIENT_ERROR, _SERVER_ERROR = 400, 500
_TOO_MANY = 429


class Quantity(msgspec.Struct, frozen=True, kw_only=True):
    """One comparable output on n rows: numbers (None where missing), or classes."""

    name: str  # the output, with the label where it is a probability
    kind: Literal["number", "probability", "class"]
    baseline: list[Value]
    candidate: list[Value]

    @property
    def numeric(self) -> bool:
        """Whether differences are numbers."""
        return self.kind != "class"

    def pairs(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Baseline and candidate as doubles [n], NaN where missing."""
        baseline, candidate = (np.array([_double(v) for v in side], np.float64) for side in (self.baseline, self.candidate))
        return baseline, candidate

    def differences(self) -> npt.NDArray[np.float64]:
        """Candidate minus baseline [n] in the unit of `RuleResult`, NaN where one of them is missing or infinite."""
        baseline, candidate = self.pairs()
        known = np.isfinite(baseline) & np.isfinite(candidate)
        difference = np.full(len(baseline), np.nan)
        difference[known] = candidate[known] - baseline[known]
        if self.kind == "number":
            spread = float(np.std(baseline[np.isfinite(baseline)])) if np.isfinite(baseline).any() else 0.0
            difference /= spread if spread > 0 else 1.0
        return difference

    def mismatched(self) -> npt.NDArray[np.bool_]:
        """Where one of the two is missing and the other is not, or one is infinite and the other is something else [n]."""
        if not self.numeric:
            return np.array([(b is None) != (c is None) for b, c in zip(self.baseline, self.candidate, strict=True)], np.bool_)
        baseline, candidate = self.pairs()
        same = (baseline == candidate) | (np.isnan(baseline) & np.isnan(candidate))
        mismatched: npt.NDArray[np.bool_] = ~same & ~(np.isfinite(baseline) & np.isfinite(candidate))
        return mismatched


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One row on which the two differ, for display."""

    row: int  # from 1
    values: dict[str, Value]
    output: str
    baseline: Value
    candidate: Value


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What both versions said about the same rows."""

    rows: int
    quantities: tuple[Quantity, ...] = ()
    largest: tuple[Difference, ...] = ()  # the rows that differ most, the most different first
    failure: str | None = None  # why there is nothing to compare
    refused: bool = False  # whether that is the candidate's own fault: it refuses the rows or answers something else


def compare(
    baseline_url: str,
    candidate_url: str,
    columns: Columns,
    baseline: Signature,
    candidate: Signature,
    *,
    timeout: float = 10.0,
) -> Comparison:
    """Send `columns` to both servers, in batches, and align what they answer.

    A batch that fails is sent again a few times: how often requests fail is judged elsewhere. Raises `CanariError` where the
    baseline does not answer; what goes wrong with the candidate is told in `Comparison.failure`.
    """
    rows = records(columns)
    try:
        matches = _matches(baseline.outputs, candidate.outputs)
        predicted = _predict(baseline_url, rows, timeout)
        ours = [_column(predicted, one.baseline) for one in matches]
    except _RefusedError as error:
        raise CanariError(f"the baseline does not predict the rows: {error}") from None
    try:
        if not matches:
            raise _RefusedError(
                f"it answers {_words(candidate.outputs)}, the baseline {_words(baseline.outputs)}: nothing can be compared"
            )
        predicted = _predict(candidate_url, rows, timeout)
        quantities = tuple(
            Quantity(name=one.name, kind=one.kind, baseline=values, candidate=_column(predicted, one.candidate))
            for one, values in zip(matches, ours, strict=True)
        )
    except _RefusedError as error:
        return Comparison(rows=len(rows), failure=str(error), refused=True)
    except NoAnswerError as error:
        return Comparison(rows=len(rows), failure=str(error))
    return Comparison(rows=len(rows), quantities=quantities, largest=_largest(rows, quantities))


def judge_predictions(comparison: Comparison, rules: Rules, seed: int = 0) -> list[RuleResult]:
    """Judge the prediction rules of `rules`; each takes its worst quantity. A rule without a quantity gives no result."""
    results = []
    for name in PREDICTION_RULES:
        if name not in rules.limits:
            continue
        limits = rules.limits[name]
        if comparison.failure is not None:
            results.append(_not_compared(name, limits["max"], comparison))
            continue
        judged = [result for one in comparison.quantities if (result := _judge(name, one, limits, rules.risks(), seed))]
        if judged:
            results.append(max(judged, key=lambda r: (_SEVERITY[r.outcome], r.value or 0.0)))
    return results


_SEVERITY: dict[Outcome, int] = {"pass": 0, "inconclusive": 1, "fail": 2}


def _judge(name: str, quantity: Quantity, limits: dict[str, float], risks: Risks, seed: int) -> RuleResult | None:
    limit = limits["max"]
    n = len(quantity.baseline)
    if name == "missing_mismatch":
        count, what = int(np.count_nonzero(quantity.mismatched())), "rows are predicted by only one of the two"
        return _enough(judge_share(name, count, n, limit, risks, what=what), n)
    if name == "class_disagreement":
        if quantity.numeric:
            return None
        known = [(b, c) for b, c in zip(quantity.baseline, quantity.candidate, strict=True) if b is not None and c is not None]
        count, what = sum(b != c for b, c in known), "rows get another class"
        return _enough(judge_share(name, count, len(known), limit, risks, what=what), len(known))
    if not quantity.numeric:
        return None
    if quantity.kind == "number":
        limit = limits.get("max_sd", limit)
    if name == "prediction_distribution":
        return _judge_distribution(name, quantity, limit, risks, seed)
    if name == "prediction_changes":
        return _judge_changes(name, quantity, limits, risks)
    return _judge_mean(name, quantity, limit, risks, seed)


def _judge_changes(name: str, quantity: Quantity, limits: dict[str, float], risks: Risks) -> RuleResult:
    tolerance = limits["tolerance"] if quantity.kind == "probability" else limits.get("tolerance_sd", limits["tolerance"])
    differences = quantity.differences()
    known = differences[np.isfinite(differences)]
    count = int(np.count_nonzero(np.abs(known) > tolerance))
    what = f"rows get another {quantity.name}, by more than {tolerance:g} ({_unit(quantity)})"
    return _enough(judge_share(name, count, len(known), limits["max"], risks, what=what), len(known))


def _judge_distribution(name: str, quantity: Quantity, limit: float, risks: Risks, seed: int) -> RuleResult:
    baseline, candidate = quantity.pairs()
    known = np.isfinite(baseline) & np.isfinite(candidate)
    if np.count_nonzero(known) < FEWEST_ROWS:
        n = int(np.count_nonzero(known))
        return undecided(name, limit, _too_few(n), unit=_unit(quantity), samples=n)
    value, interval = distance_interval(baseline[known], candidate[known], risks.of_most, seed)
    return RuleResult(
        name=name,
        outcome=at_most(interval, limit),
        value=value,
        unit="share",
        interval=interval,
        limit=limit,
        samples=int(np.count_nonzero(known)),
        why=f"the distribution of {quantity.name} moved by {share(value)} of the rows {shares(interval)} "
        f"(Kolmogorov and Smirnov's distance), at most {share(limit)}",
    )


def _judge_mean(name: str, quantity: Quantity, limit: float, risks: Risks, seed: int) -> RuleResult:
    differences = quantity.differences()
    known = differences[np.isfinite(differences)]
    unit = _unit(quantity)
    if len(known) < FEWEST_ROWS:
        return undecided(name, limit, _too_few(len(known)), unit=unit, samples=len(known))
    if name == "prediction_shift":
        value = abs(float(known.mean()))
        # It may move either way, so each end has both of its risks.
        near, far = (mean_interval(known, Levels(risk, risk).shared(2), seed) for risk in risks)
        interval = (0.0 if near[0] <= 0 <= near[1] else min(map(abs, near)), max(map(abs, far)))
        what = f"the mean of {quantity.name} moved by"
    else:
        value = float(np.abs(known).mean())
        interval = mean_interval(np.abs(known), risks.of_most, seed)
        what = f"{quantity.name} differs on average by"
    return RuleResult(
        name=name,
        outcome=at_most(interval, limit),
        value=value,
        unit=unit,
        interval=interval,
        limit=limit,
        samples=len(known),
        why=f"{what} {value:.3g} [{interval[0]:.3g}, {interval[1]:.3g}] ({unit}), at most {limit:g}",
    )


def _unit(quantity: Quantity) -> str:
    return "probability" if quantity.kind == "probability" else "standard deviations of the baseline"


def _enough(result: RuleResult, n: int) -> RuleResult:
    if n >= FEWEST_ROWS:
        return result
    return msgspec.structs.replace(result, outcome="inconclusive", why=_too_few(n))


def _too_few(n: int) -> str:
    return f"{n} rows with predictions of both are too few, at least {FEWEST_ROWS}"


def _not_compared(name: str, limit: float, comparison: Comparison) -> RuleResult:
    result = undecided(name, limit, f"the candidate's predictions could not be compared: {comparison.failure}")
    return msgspec.structs.replace(result, outcome="fail") if comparison.refused else result


class _RefusedError(Exception):
    """A server that answers, but not with predictions on these rows."""


def _predict(url: str, rows: Sequence[dict[str, Value]], timeout: float) -> list[dict[str, Any]]:
    return [record for start in range(0, len(rows), _BATCH) for record in _batch(url, rows[start : start + _BATCH], timeout)]


def _batch(url: str, rows: Sequence[dict[str, Value]], timeout: float) -> list[dict[str, Any]]:
    body = msgspec.json.encode(rows)
    problem: Exception = NoAnswerError(url)
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_SECONDS)
        try:
            answer = call(f"{url.rstrip('/')}/predict", body=body, timeout=timeout, headers={"X-Canari-Synthetic": "1"})
        except NoAnswerError as error:
            problem = error
            continue
        if _CLIENT_ERROR <= answer.status < _SERVER_ERROR and answer.status != _TOO_MANY:
            raise _RefusedError(f"HTTP {answer.status}: {_message(answer.body)}")
        if answer.status >= _CLIENT_ERROR:
            problem = NoAnswerError(f"{url}: HTTP {answer.status} in each of {_ATTEMPTS} attempts")
            continue
        try:
            return answers.predictions(answer.body, len(rows))
        except ValueError as error:
            problem = _RefusedError(str(error))
    raise problem


def _message(body: bytes) -> str:
    """A server's own sentence, where it gives one as `{"error": ...}`."""
    try:
        text = str(msgspec.json.decode(body, type=dict[str, Any]).get("error", ""))
    except (msgspec.MsgspecError, RecursionError):
        text = body.decode("utf-8", "replace")
    return " ".join(text.split())[:300]


class _Match(msgspec.Struct, frozen=True, kw_only=True):
    """Where each side has the same quantity: the output, and the label among its probabilities where there are several."""

    name: str
    kind: Literal["number", "probability", "class"]
    baseline: tuple[str, str | None]
    candidate: tuple[str, str | None]


def _matches(baseline: Sequence[Output], candidate: Sequence[Output]) -> list[_Match]:
    found = []
    for ours, theirs in _alike(baseline, candidate):
        if ours.kind != "probability":
            found.append(_Match(name=ours.name, kind=ours.kind, baseline=(ours.name, None), candidate=(theirs.name, None)))
            continue
        for label, our_key, their_key in _same_labels(ours, theirs):
            name = f"{ours.name} of {label}" if label else ours.name
            found.append(_Match(name=name, kind="probability", baseline=(ours.name, our_key), candidate=(theirs.name, their_key)))
    return found


def _alike(baseline: Sequence[Output], candidate: Sequence[Output]) -> Iterator[tuple[Output, Output]]:
    """Pairs of outputs of one kind: by name, or the only one of the kind on each side."""
    for ours in baseline:
        same_kind = [theirs for theirs in candidate if theirs.kind == ours.kind]
        named = [theirs for theirs in same_kind if theirs.name == ours.name]
        if named:
            yield ours, named[0]
        elif len(same_kind) == 1 and sum(one.kind == ours.kind for one in baseline) == 1:
            yield ours, same_kind[0]


def _same_labels(ours: Output, theirs: Output) -> Iterator[tuple[str | None, str | None, str | None]]:
    """Label, key in our record and key in theirs (None where the record holds one number) of the same probability."""
    our_labels, their_labels = _labels(ours, theirs), _labels(theirs, ours)
    for label, our_key in our_labels.items():
        if label in their_labels:
            yield label, our_key, their_labels[label]


def _labels(output: Output, other: Output) -> dict[str | None, str | None]:
    if output.width > 1:
        # Of two labels one is enough: the other's probability is what is left.
        shown = output.labels[-1:] if output.width == 2 and other.width == 2 else output.labels
        return {label: label for label in shown}
    if output.labels:
        return {output.labels[0]: None}
    if other.width == 2 or other.labels:
        return {other.labels[-1]: None}
    return {None: None}


def _column(predictions: Sequence[dict[str, Any]], where: tuple[str, str | None]) -> list[Value]:
    name, label = where
    values = []
    for row, record in enumerate(predictions, start=1):
        value = record.get(name, _ABSENT)
        if label is not None and isinstance(value, dict):
            value = value.get(label, _ABSENT)
        if value is _ABSENT or isinstance(value, dict | list):
            what = repr(name) if label is None else f"{name!r} of {label!r}"
            raise _RefusedError(f"row {row}: the answer has no {what}")
        values.append(value)
    return values


_ABSENT = object()


def _words(outputs: Sequence[Output]) -> str:
    return " and ".join(f"{one.kind} {one.name!r}" + (f" of {', '.join(one.labels)}" if one.labels else "") for one in outputs)


def _double(value: Value) -> float:
    try:
        return math.nan if value is None else float(value)
    except ValueError:
        return math.nan


def _largest(rows: Sequence[dict[str, Value]], quantities: Sequence[Quantity]) -> tuple[Difference, ...]:
    """The rows with the largest difference in any quantity; a mismatch is larger than any number, another class is 1."""
    if not quantities:
        return ()
    sizes = []
    for one in quantities:
        if one.numeric:
            size = np.nan_to_num(np.abs(one.differences()))
        else:
            size = np.array([float(b != c) for b, c in zip(one.baseline, one.candidate, strict=True)])
        sizes.append(np.where(one.mismatched(), math.inf, size))
    table = np.array(sizes)  # [quantities, rows]
    worst = table.max(axis=0)
    return tuple(
        Difference(
            row=int(row) + 1,
            values=rows[row],
            output=(one := quantities[int(table[:, row].argmax())]).name,
            baseline=one.baseline[row],
            candidate=one.candidate[row],
        )
        for row in np.argsort(-worst, kind="stable")[:SHOWN_ROWS]
        if worst[row] > 0
    )
