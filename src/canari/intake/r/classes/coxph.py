"""Cox's proportional hazards models of package survival: `coxph`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array, take
from canari.intake.r.columns import Column
from canari.intake.r.functions import evaluate
from canari.intake.r.language import deparse, function_name, match_arguments, symbols
from canari.intake.r.model import Request
from canari.intake.r.specials import special, without
from canari.intake.r.terms import Need, Terms
from canari.intake.rds import RObject
from canari.model import Predictions
from canari.signature import Output

CLASSES = (("coxph",),)

_MOST_STRATA = 100_000

Floats = npt.NDArray[np.float64]


class Model:
    """What predict.coxph answers for new rows: the centred linear predictor, the risk, the expected events or survival.

    The file does not hold the baseline hazard of these: as in R, it is made from the times of the training, which it does.
    """

    answers_missing = True

    def __init__(self, model: RObject, request: Request) -> None:
        self._kind = request.choose("a coxph", "link", "risk", "expected", "survival")
        self._of_time = self._kind in ("expected", "survival")
        request.take_only(f"a coxph for {self._kind}", *([] if self._of_time else ["reference"]))
        reference = request.word("reference", "strata", "sample", "zero")
        self.outputs = (Output(name=self._kind, kind="number"),)
        terms = model.require("terms")
        if special(terms, "tt"):
            raise IntakeError("a coxph with tt() depends on the times at which it was fitted, which is not supported")
        coefficients = model.require("coefficients").doubles()
        if self._of_time and np.isnan(coefficients).any():
            raise IntakeError(
                f"a coxph with a coefficient that is NA answers no {self._kind}; fit it without the superfluous term"
            )
        self._coefficients = np.concatenate([[0.0], coefficients])
        self._contrasts = model.get("contrasts")
        self._terms = Terms(
            without(terms, [*special(terms, "strata"), *special(terms, "cluster")], "a coxph"), model.get("xlevels")
        )
        mean = float(np.where(np.isnan(coefficients), 0.0, coefficients) @ model.require("means").doubles())
        strata = _strata_calls(terms)
        by_stratum = bool(strata) and reference == "strata" and not self._of_time
        from_training = self._of_time or by_stratum or (reference == "zero" and model.require("means").doubles().any())
        self._strata = _Strata(model, strata) if strata and from_training else None
        self._offset_mean = _mean_offset(model, terms) if from_training and not self._of_time else 0.0
        self._centre = np.array([0.0 if reference == "zero" and not self._of_time else mean])
        if by_stratum and self._strata is not None:
            self._centre = _stratum_means(model, self._strata, mean)
        if self._of_time:
            self._times = _times(terms)
            self._hazard = _baseline_hazard(model, self._strata)

    def needs(self) -> Mapping[str, Need]:
        """The formula's columns; the times' only where the answer depends on them, the event's never."""
        found = dict(self._terms.needs())
        if self._strata is not None:
            found = self._strata.needs() | found
        if self._of_time:
            found |= {name: Need("number") for time in self._times for name in symbols(time)}
        return found

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions of the rows in `columns`."""
        stratum = self._strata.of(columns) if self._strata is not None else None
        if self._of_time:
            expected = self._expected(columns, stratum)
            return {self._kind: expected if self._kind == "expected" else np.exp(-expected)}
        eta = self._terms.linear_predictor(columns, self._coefficients, self._contrasts) - self._offset_mean
        if stratum is None:
            eta = eta - self._centre[0]
        else:
            centres = self._centre if len(self._centre) > 1 else np.full(stratum.count, self._centre[0])
            eta = eta - take(np.append(centres, np.nan), stratum.codes)
        return {self._kind: eta if self._kind == "link" else np.exp(eta)}

    def _expected(self, columns: Mapping[str, Column], stratum: "_Stratum | None") -> Array:
        """The cumulative baseline hazard up to the row's time (since its start), times its risk."""
        offset = self._terms.offset(columns)
        eta = self._terms.linear_predictor(columns, self._coefficients, self._contrasts)
        # predict.coxph adds the offset to the risk rather than to its logarithm.
        risk = np.exp(eta - self._centre[0]) if offset is None else np.exp(eta - offset - self._centre[0]) + offset
        times = [evaluate(time, columns).numbers(deparse(time)) for time in self._times]
        if len(times) == 2:
            begin, end = times
            begin = np.where(begin >= end, np.nan, begin)
            hazard = self._hazard.at(end, stratum) - self._hazard.at(begin, stratum)
        else:
            hazard = self._hazard.at(times[0], stratum)
        expected = hazard * risk
        # R leaves the rows of a missing stratum at zero.
        return expected if stratum is None else np.where(stratum.codes == stratum.count, 0.0, expected)


@dataclass(frozen=True)
class _Stratum:
    """The stratum of each row, int64 [n, 1]; `count` where it is missing."""

    codes: Array
    count: int


class _Strata:
    """The strata() of a formula, from the columns of the data to the levels of the training."""

    def __init__(self, model: RObject, calls: Mapping[str, RObject]) -> None:
        self.of_training = _training_strata(model, list(calls))
        self.labels = self.of_training.levels
        self._arguments = [argument for call in calls.values() for argument in _strata_arguments(call)]
        parts = [_parts(label, [name for name, _ in self._arguments]) for label in self.labels]
        self._levels = [tuple(dict.fromkeys(values)) for values in zip(*parts, strict=True)]
        if math.prod(map(len, self._levels)) > _MOST_STRATA:
            raise IntakeError(f"the strata() of the coxph have more than {_MOST_STRATA} combinations of levels")
        combinations = list(product(*self._levels))
        position = {part: i for i, part in enumerate(parts)}
        self._table = np.array([*(position.get(combination, len(parts)) for combination in combinations), len(parts)])

    def needs(self) -> dict[str, Need]:
        found = {}
        for (_, expression), levels in zip(self._arguments, self._levels, strict=True):
            for name in symbols(expression):
                found[name] = _stratum_need(levels) if expression.type == "symbol" else Need("number")
        return found

    def of(self, columns: Mapping[str, Column]) -> _Stratum:
        codes: Array = np.zeros((1, 1), np.int64)
        missing: Array = np.zeros((1, 1), bool)
        size = 1
        for (name, expression), levels in zip(reversed(self._arguments), reversed(self._levels), strict=True):
            column = evaluate(expression, columns)
            if column.kind in ("number", "integer"):
                column = Column(column.values, "uncoded")
            column = column.coded(levels, name)
            codes = codes + size * column.values
            missing = missing | column.missing()
            size *= len(levels)
        return _Stratum(take(self._table, np.where(missing, size, codes)), len(self.labels))


@dataclass(frozen=True)
class _Hazard:
    """Cumulative baseline hazards: steps at `times`, with the values after each, [times + 1, strata]."""

    times: Floats
    values: Floats

    def at(self, time: Array, stratum: _Stratum | None) -> Array:
        """[n, 1]; missing where the time is, and where the stratum is."""
        steps = (time >= self.times[None, :]).astype(np.float64) @ np.ones((len(self.times), 1))
        strata = self.values.shape[1]
        place = steps if stratum is None else np.where(stratum.codes == strata, 0.0, steps * float(strata) + stratum.codes)
        return np.where(np.isnan(time), np.nan, take(self.values.ravel(), place))


def _baseline_hazard(model: RObject, strata: _Strata | None) -> _Hazard:
    response = model.get("y")
    if response is None:
        raise IntakeError(
            "the coxph does not hold the times that it was fitted to, of which R makes the baseline hazard; fit it with y = TRUE"
        )
    y = response.matrix()
    risk = np.exp(model.require("linear.predictors").doubles())
    weights = _weights(model, len(y))
    efron = str(model.require("method").strings()[0]) == "efron"
    codes = strata.of_training.doubles() - 1 if strata is not None else np.zeros(len(y))
    hazards = [
        _cumulative_hazard(y[codes == code], weights[codes == code], risk[codes == code], efron=efron)
        for code in range(len(strata.labels) if strata is not None else 1)
    ]
    times = np.unique(np.concatenate([own for own, _ in hazards]))
    values = [np.append(0.0, cumulative)[np.searchsorted(own, np.append(-np.inf, times), "right")] for own, cumulative in hazards]
    return _Hazard(times, np.stack(values, axis=1))


def _cumulative_hazard(y: Floats, weights: Floats, risk: Floats, *, efron: bool) -> tuple[Floats, Floats]:
    """The times of the events and the cumulative hazard at them, as survival's agsurv: Breslow's or Efron's estimate."""
    end, died = y[:, -2], y[:, -1] == 1
    times, place = np.unique(end, return_inverse=True)

    def sums(values: Floats) -> Floats:
        return np.bincount(place, values, len(times)).astype(float)

    def at_risk(values: Floats) -> Floats:
        return np.cumsum(values[::-1])[::-1]

    events, deaths = sums(weights * died), sums(died.astype(float))
    exposed = at_risk(sums(weights * risk))
    if y.shape[1] == 3:
        begins, begun = np.unique(y[:, 0], return_inverse=True)
        later = np.append(at_risk(np.bincount(begun, weights * risk).astype(float)), 0.0)
        exposed = exposed - later[np.searchsorted(begins, times, "left")]
    dying = sums(weights * risk * died)
    hazard = np.zeros(len(times))
    for i in np.flatnonzero(deaths):
        ties = int(deaths[i]) if efron else 1
        hazard[i] = events[i] * np.mean(1.0 / (exposed[i] - dying[i] * np.arange(ties) / ties))
    return times[deaths > 0], np.cumsum(hazard)[deaths > 0]


def _stratum_means(model: RObject, strata: _Strata, mean: float) -> Floats:
    """The weighted mean of the linear predictor in each stratum of the training, not centred."""
    eta = model.require("linear.predictors").doubles() + mean
    offset = model.get("offset")
    if offset is not None:
        eta = eta - offset.doubles()
    weights = _weights(model, len(eta))
    codes = strata.of_training.doubles()
    if not ((codes >= 1) & (codes <= len(strata.labels))).all():
        raise IntakeError("the coxph is damaged: a row of the training is in no stratum")
    places = codes.astype(int) - 1
    return np.bincount(places, weights * eta) / np.bincount(places, weights)


def _weights(model: RObject, rows: int) -> Floats:
    """The training's case weights."""
    found = model.get("weights")
    if found is None and "weights" in model.require("call").names:
        raise IntakeError("the coxph was fitted with weights, but does not hold them")
    return np.ones(rows) if found is None else found.doubles()


def _mean_offset(model: RObject, terms: RObject) -> float:
    """The mean of the training's offset, which predict.coxph takes off."""
    places = terms.attributes.get("offset")
    if places is None:
        return 0.0
    frame = model.get("model")
    if frame is None:
        raise IntakeError(
            "the coxph does not hold the offset of the rows that it was fitted to, of which R takes the mean; "
            "fit it with model = TRUE"
        )
    names = terms.attributes["dataClasses"].names
    return float(np.mean(np.sum([frame.require(names[int(i) - 1]).doubles() for i in places.doubles()], axis=0)))


def _training_strata(model: RObject, variables: Sequence[str]) -> RObject:
    found = model.get("strata")
    frame = model.get("model")
    if found is None and frame is not None and len(variables) == 1:
        found = frame.get(variables[0])
    if found is None or "factor" not in found.classes:
        raise IntakeError(
            "the coxph does not hold the stratum of each row that it was fitted to, on which R's answer depends; fit it with "
            'x = TRUE, or save it with the argument reference = "sample"'
        )
    return found


def _strata_calls(terms: RObject) -> dict[str, RObject]:
    variables = [value for _, value in terms.attributes["variables"].value[1:]]
    names = terms.attributes["dataClasses"].names
    return {names[i]: variables[i] for i in special(terms, "strata")}


def _strata_arguments(call: RObject) -> list[tuple[str, RObject]]:
    """Each argument with the name that strata() writes into its labels."""
    for tag, _ in call.value[1:]:
        if tag in ("na.group", "shortlabel", "sep"):
            raise IntakeError(f"`{deparse(call)}`: strata() with {tag}= is not supported")
    return [(tag or deparse(value), value) for tag, value in call.value[1:]]


def _parts(label: str, names: Sequence[str]) -> tuple[str, ...]:
    """The values in a label such as "sex=1, ward=a" or "a, b", which strata() pads with blanks to one width."""
    values = [value.rstrip() for value in label.split(", ")] if len(names) > 1 else [label]
    if len(values) != len(names):
        raise IntakeError(f"the stratum {label!r} is not {len(names)} values separated by commas")
    named = all(value.startswith(f"{name}=") for name, value in zip(names, values, strict=True))
    return tuple(value.removeprefix(f"{name}=") if named else value for name, value in zip(names, values, strict=True))


def _stratum_need(levels: tuple[str, ...]) -> Need:
    if set(levels) <= {"TRUE", "FALSE"}:
        return Need("boolean")
    try:
        [float(level) for level in levels]
    except ValueError:
        return Need("category", levels)
    return Need("number")


def _times(terms: RObject) -> list[RObject]:
    """The expressions of the time, or of the start and the end, in Surv()."""
    call = terms.attributes["variables"].value[int(terms.attributes["response"].doubles()[0])][1]
    if call.type != "language" or function_name(call) not in ("Surv", "survival::Surv"):
        raise IntakeError(f"the response `{deparse(call)}` of the coxph is not written as Surv(...), so its times are unknown")
    arguments, _ = match_arguments(call, ("time", "time2", "event", "type", "origin"))
    if "origin" in arguments:
        raise IntakeError(f"`{deparse(call)}`: Surv() with origin= is not supported")
    counting = {"time", "time2", "event"} <= arguments.keys()
    return [arguments["time"], arguments["time2"]] if counting else [arguments["time"]]
