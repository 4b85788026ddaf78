"""Functions of texts, worked out level by level: of a text the model knows all values that it can have."""

from collections.abc import Callable

import numpy as np

from canari.intake.r.columns import Column
from canari.intake.r.functions.calls import Call, Function, evaluate, function, text_constant, texts
from canari.intake.r.functions.conversion import joined, labelled
from canari.intake.r.language import function_name


def _text(call: Call, name: str) -> Column:
    x = labelled(call.column(name))
    if not x.is_text:
        call.refuse("makes texts of a number, of which there is no end; make it a factor with levels= before")
    return x


def _changed(call: Call, change: Callable[[str], str]) -> Column:
    """The text `x` with each level changed; levels that become the same are one."""
    x = _text(call, "x")
    changed = [change(level) for level in x.levels]
    levels = tuple(dict.fromkeys(changed))
    return Column(x.lookup([*map(levels.index, changed), len(levels)]), "character", levels, x.constant)


def _case(change: Callable[[str], str]) -> Function:
    return lambda call: _changed(call, change)


for _name, _change in {"toupper": str.upper, "tolower": str.lower}.items():
    function(_name, "x")(_case(_change))


@function("substr", "x start stop")
def _substr(call: Call) -> Column:
    start, stop = (int(call.stored_number(name, 1)) for name in ("start", "stop"))
    return _changed(call, lambda text: text[max(0, start - 1) : max(0, stop)])


@function("substring", "x first last")
def _substring(call: Call) -> Column:
    first, last = int(call.stored_number("first", 1)), int(call.stored_number("last", 1_000_000))
    return _changed(call, lambda text: text[max(0, first - 1) : max(0, last)])


@function("trimws", "x which")
def _trimws(call: Call) -> Column:
    blanks = " \t\r\n"
    trim = {"both": str.strip, "left": str.lstrip, "right": str.rstrip}
    which = call.stored_texts("which")[0] if "which" in call else "both"
    if which not in trim:
        call.refuse("trims neither both sides nor the left or right one")
    return _changed(call, lambda text: trim[which](text, blanks))


@function("sub gsub", "pattern replacement x ignore.case perl fixed")
def _sub(call: Call) -> Column:
    pattern, replacement = _fixed_pattern(call), call.stored_texts("replacement")[0]
    count = 1 if function_name(call.expression) == "sub" else -1
    return _changed(call, lambda text: text.replace(pattern, replacement, count))


@function("grepl", "pattern x ignore.case perl fixed")
def _grepl(call: Call) -> Column:
    pattern, x = _fixed_pattern(call), _text(call, "x")
    return Column(x.lookup([*(float(pattern in level) for level in x.levels), 0.0]), "logical", constant=x.constant)


def _fixed_pattern(call: Call) -> str:
    pattern = call.stored_texts("pattern")[0]
    if any(name in call and call.stored_number(name, 0) for name in ("ignore.case", "perl")):
        call.refuse("uses ignore.case= or perl=, which are not translated")
    if not pattern or (not call.stored_number("fixed", 0) and any(sign in pattern for sign in ".\\|()[{^$*+?")):
        call.refuse("matches a regular expression, which is not translated; give a plain text, with fixed = TRUE")
    return pattern


@function("startsWith", "x prefix")
def _starts_with(call: Call) -> Column:
    prefix = call.stored_texts("prefix")[0]
    return _of_levels(call, lambda level: level.startswith(prefix), "logical")


@function("endsWith", "x suffix")
def _ends_with(call: Call) -> Column:
    suffix = call.stored_texts("suffix")[0]
    return _of_levels(call, lambda level: level.endswith(suffix), "logical")


@function("nchar", "x")
def _nchar(call: Call) -> Column:
    return _of_levels(call, len, "integer")


def _of_levels(call: Call, compute: Callable[[str], float], kind: str) -> Column:
    x = _text(call, "x")
    values = x.lookup([*(float(compute(level)) for level in x.levels), np.nan])
    return Column(values, "logical" if kind == "logical" else "integer", constant=x.constant)


@function("paste paste0", "... sep collapse")
def _paste(call: Call) -> Column:
    if "collapse" in call:
        call.refuse("joins the texts of all rows")
    sep = "" if function_name(call.expression) == "paste0" else " "
    if "sep" in call:
        sep = call.stored_texts("sep")[0]
    parts = [_pasted(evaluate(argument, call.columns)) for argument in call.rest]
    found = joined(call, parts, sep.join, missing="NA")
    return Column(found.values, "character", found.levels, found.constant)


def _pasted(part: Column) -> Column:
    return text_constant([*texts(part)]) if part.constant else labelled(part)
