"""Constants, factors and conversions from one kind of vector to another."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from canari.intake.onnx_graph import take
from canari.intake.r.columns import Column, Kind
from canari.intake.r.functions.calls import (
    INTEGER_MAX,
    Call,
    check_recycling,
    constant_of,
    evaluate,
    function,
    text_constant,
    texts,
    truth_of,
)
from canari.intake.r.language import deparse, function_name

_MOST_JOINED = 10_000


@function("c", "")
def _combine(call: Call) -> Column:
    parts = [evaluate(argument, call.columns) for _, argument in call.expression.value[1:]]
    if len(parts) == 1:
        return parts[0]
    if not parts or not all(part.constant for part in parts):
        call.refuse("combines columns; only constants may be combined")
    if any(part.is_text for part in parts):
        return text_constant([text for part in parts for text in texts(part)])
    kinds = {part.kind for part in parts}
    return constant_of(np.concatenate([part.values for part in parts], axis=1), kinds.pop() if len(kinds) == 1 else "number")


@function(":", "from to")
def _sequence(call: Call) -> Column:
    start, stop = (call.stored_number(name, np.nan) for name in ("from", "to"))
    if not np.isfinite(stop - start) or abs(stop - start) > 10_000:
        call.refuse("is no sequence of a sensible length")
    step = 1.0 if stop >= start else -1.0
    kind: Kind = "integer" if start == np.rint(start) else "number"
    return constant_of(start + step * np.arange(int(abs(stop - start) + 1e-10) + 1), kind)


@function("seq", "from to by length.out")
def _seq(call: Call) -> Column:
    start, stop = call.stored_number("from", 1), call.stored_number("to", 1)
    if "length.out" in call:
        count = call.stored_number("length.out", 1)
        if not 1 <= count <= 10_000:
            call.refuse("is no sequence of a sensible length")
        return constant_of(np.linspace(start, stop, int(np.ceil(count))), "number")
    by = call.stored_number("by", 1 if stop >= start else -1)
    steps = (stop - start) / by if by else np.nan
    if not 0 <= steps <= 10_000:
        call.refuse("is no sequence of a sensible length")
    return constant_of(start + by * np.arange(int(steps + 1e-10) + 1), "number")


@function("as.numeric as.double as.integer", "x")
def _as_number(call: Call) -> Column:
    x = call.column("x")
    integer = function_name(call.expression) == "as.integer"
    if x.kind == "factor":
        return Column(x.lookup([*range(1, len(x.levels) + 1), np.nan]), "integer", constant=x.constant)
    values = x.lookup([*map(_parsed, x.levels), np.nan]) if x.kind == "character" else call.numbers("x")
    if integer:
        whole = np.where(values < 0.0, np.ceil(values), np.floor(values))
        values = np.where(np.abs(whole) > INTEGER_MAX, np.nan, whole)
    return Column(values, "integer" if integer else "number", constant=x.constant)


def _parsed(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


@function("as.logical", "x")
def _as_logical(call: Call) -> Column:
    x = call.column("x")
    if x.is_text:
        true, false = {"T", "TRUE", "true", "True"}, {"F", "FALSE", "false", "False"}
        return Column(x.lookup([*(1.0 if t in true else 0.0 if t in false else np.nan for t in x.levels), np.nan]), "logical")
    return Column(truth_of(x, call), "logical", constant=x.constant)


@function("as.character", "x")
def _as_character(call: Call) -> Column:
    x = labelled(call.column("x"))
    return Column(x.values, "character" if x.is_text else x.kind, x.levels, x.constant)


@function("factor as.factor ordered as.ordered", "x levels labels exclude ordered")
def _factor(call: Call) -> Column:
    given = call.column("x")
    x = labelled(given)
    name = function_name(call.expression)
    ordered = bool(call.stored_number("ordered", "ordered" in name or (name == "factor" and given.ordered)))
    if "exclude" in call:
        call.refuse("uses exclude=, which is not translated")
    if "levels" in call:
        x = x.coded(tuple(call.stored_texts("levels")), deparse(call.expression))
    if "labels" in call:
        labels = tuple(call.stored_texts("labels"))
        # Without levels=, all of a text's were in the training where there are as many labels.
        if not x.is_text or len(labels) != len(x.levels) or len(set(labels)) != len(labels):
            call.refuse("needs levels= with as many different labels=")
        return Column(x.values, "factor", labels, x.constant, ordered)
    return Column(x.values, "factor" if x.is_text else x.kind, x.levels, x.constant, ordered)


@function("interaction", "... drop sep lex.order")
def _interaction(call: Call) -> Column:
    sep = call.stored_texts("sep")[0] if "sep" in call else "."
    factors = [labelled(evaluate(argument, call.columns)) for argument in call.rest]
    if not call.stored_number("lex.order", 0):
        return joined(call, factors[::-1], lambda parts: sep.join(map(str, parts[::-1])), missing=None)
    return joined(call, factors, lambda parts: sep.join(map(str, parts)), missing=None)


def joined(call: Call, parts: Sequence[Column], join: Callable[[Sequence[str]], str], *, missing: str | None) -> Column:
    """Texts made of several; a missing one counts as the text `missing`, or makes the whole missing where that is None.

    The levels are in the order of the parts', those of the last one varying fastest.
    """
    if not parts or any(not part.is_text for part in parts):
        call.refuse("joins numbers to texts, of which there is no end; make them factors with levels= before")
    if math.prod(len(part.levels) + 1 for part in parts) > _MOST_JOINED:
        call.refuse(f"has more than {_MOST_JOINED} possible values")
    check_recycling(call, *parts)
    position: Any = np.zeros((1, 1), np.int64)
    for part in parts:
        position = position * (len(part.levels) + 1) + part.values
    texts = [
        None if None in found else join([str(text) for text in found])
        for found in itertools.product(*([*part.levels, missing] for part in parts))
    ]
    levels = tuple(dict.fromkeys(text for text in texts if text is not None))
    code = {level: place for place, level in enumerate(levels)}
    table = np.array([len(levels) if text is None else code[text] for text in texts], np.int64)
    return Column(take(table, position), "factor", levels, all(part.constant for part in parts))


@function("findInterval", "x vec rightmost.closed all.inside left.open")
def _find_interval(call: Call) -> Column:
    x, cuts = call.numbers("x"), call.stored_numbers("vec")
    if np.any(np.diff(cuts) < 0.0) or not len(cuts):
        call.refuse("needs breaks that are sorted and not missing")
    after = (x > cuts[None, :]) if call.stored_number("left.open", 0) else (x >= cuts[None, :])
    place = after.astype(np.float64) @ np.ones((len(cuts), 1))
    if call.stored_number("rightmost.closed", 0):
        edge = cuts[0] if call.stored_number("left.open", 0) else cuts[-1]
        place = np.where(x == edge, 1.0 if call.stored_number("left.open", 0) else len(cuts) - 1.0, place)
    if call.stored_number("all.inside", 0):
        place = np.minimum(np.maximum(place, 1.0), len(cuts) - 1.0)
    return Column(np.where(np.isnan(x), np.nan, place), "integer", constant=call.column("x").constant)


def labelled(x: Column) -> Column:
    """With texts for values; those of a number are only known once its levels are."""
    if x.kind == "logical":
        return Column(np.where(np.isnan(x.values), 2.0, x.values).astype(np.int64), "character", ("FALSE", "TRUE"), x.constant)
    return x if x.is_text else Column(x.values, "uncoded", constant=x.constant)


@function("cut", "x breaks labels include.lowest right dig.lab ordered_result")
def _cut(call: Call) -> Column:
    if "breaks" not in call or not (given := call.column("breaks")).constant or given.values.shape[1] < 2:
        call.refuse("chooses its breaks by the rows; give them as numbers, cut(x, c(0, 10, 20))")
    breaks = np.sort(call.stored_numbers("breaks"))
    right = bool(call.stored_number("right", 1))
    lowest = bool(call.stored_number("include.lowest", 0))
    x = call.numbers("x")
    after = (x > breaks[None, :]) if right else (x >= breaks[None, :])
    interval = after.astype(np.float64) @ np.ones((len(breaks), 1)) - 1.0
    last = len(breaks) - 2
    if lowest:
        edge = breaks[0] if right else breaks[-1]
        interval = np.where(x == edge, 0.0 if right else float(last), interval)
    if not (("labels" in call) and call.column("labels").kind == "logical"):
        labels = call.stored_texts("labels") if "labels" in call else _interval_labels(call, breaks, right=right, lowest=lowest)
        if len(labels) != len(breaks) - 1 or len(set(labels)) != len(labels):
            call.refuse(f"has {len(labels)} labels for {len(breaks) - 1} intervals")
        outside = np.isnan(x) | (interval < 0.0) | (interval > float(last))
        ordered = bool(call.stored_number("ordered_result", 0))
        return Column(np.where(outside, float(last + 1), interval).astype(np.int64), "factor", tuple(labels), ordered=ordered)
    outside = np.isnan(x) | (interval < 0.0) | (interval > float(last))
    return Column(np.where(outside, np.nan, interval + 1.0), "integer")


def _interval_labels(call: Call, breaks: Any, *, right: bool, lowest: bool) -> list[str]:
    """R writes the breaks with as few digits (3 or more) as tell them apart."""
    first = int(call.stored_number("dig.lab", 3))
    texts: list[str] = []
    for digits in range(first, max(12, first) + 1):
        texts = [{np.inf: " Inf", -np.inf: "-Inf"}.get(value, f"{value:.{digits}g}") for value in breaks]
        if len(set(texts)) == len(texts):
            break
    labels = [f"({a},{b}]" if right else f"[{a},{b})" for a, b in itertools.pairwise(texts)]
    if lowest:
        labels[0 if right else -1] = "[" + labels[0 if right else -1][1:-1] + "]"
    return labels
