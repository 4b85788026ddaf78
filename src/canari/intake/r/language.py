"""R's expressions: reading calls and writing them for messages."""

import math
from collections.abc import Iterator, Sequence

from canari.errors import IntakeError
from canari.intake.rds import RObject

_INFIX = {"+", "-", "*", "/", "^", ":", "%%", "%/%", "%in%", "==", "!=", "<", "<=", ">", ">=", "&", "|", "&&", "||", "~", "$"}
_TIGHT = {"^", ":", "$"}
_KNOWN_PACKAGES = {"base", "stats", "splines", "dplyr"}


def function_name(call: RObject) -> str:
    """The name of the function that is called, of the known packages without `package::`; else as it is written."""
    function = call.value[0][1]
    if function.type == "symbol":
        return str(function.value)
    if function.type == "language" and function.value[0][1].value in ("::", ":::"):
        package, name = (part.value for _, part in function.value[1:3])
        return str(name) if package in _KNOWN_PACKAGES else f"{package}::{name}"
    return deparse(function)


def match_arguments(call: RObject, formals: Sequence[str]) -> tuple[dict[str, RObject], list[RObject]]:
    """R's matching: by exact name, by the beginning of a name, by position; what is left over goes to `...`.

    Formals after "..." are matched by their exact names alone.
    """
    before = list(formals[: formals.index("...")] if "..." in formals else formals)
    matched: dict[str, RObject] = {}
    positional: list[RObject] = []
    for tag, argument in call.value[1:]:
        if not tag:
            positional.append(argument)
            continue
        candidates = [name for name in before if name.startswith(tag)]
        name = tag if tag in formals else candidates[0] if len(candidates) == 1 else None
        if name is None:
            raise IntakeError(f"`{deparse(call)}`: the argument {tag!r} is not translated")
        matched[name] = argument
    free = [name for name in before if name not in matched]
    matched.update(zip(free, positional, strict=False))
    return matched, positional[len(free) :]


def symbols(expression: RObject) -> Iterator[str]:
    """The names of variables in an expression, in order, as R's `all.vars`; without the contrasts that C() names."""
    if expression.type == "symbol":
        yield expression.value
    elif expression.type == "language":
        if expression.value[0][1].type == "language" and function_name(expression).partition("(")[0] == "function":
            return
        arguments = expression.value[1:]
        for _, argument in arguments[:1] if expression.value[0][1].value == "C" else arguments:
            yield from symbols(argument)


def deparse(expression: RObject) -> str:
    """An expression as a person would write it in R; long vectors are cut."""
    match expression.type:
        case "symbol":
            return str(expression.value)
        case "language":
            return _deparse_call(expression)
        case "character":
            return _vector(["NA" if text is None else f'"{text}"' for text in expression.value])
        case "double" | "integer" | "logical":
            return _vector([_number(value, expression.type) for value in expression.doubles().tolist()])
        case "NULL":
            return "NULL"
        case kind:
            return f"<{kind}>"


def _deparse_call(call: RObject) -> str:
    function, arguments = call.value[0][1], call.value[1:]
    name = str(function.value) if function.type == "symbol" else deparse(function)
    texts = [f"{tag} = {deparse(value)}" if tag else deparse(value) for tag, value in arguments]
    if name == "(" and len(texts) == 1:
        return f"({texts[0]})"
    if name in ("::", ":::"):
        return name.join(texts)
    if name in ("-", "+", "!", "~") and len(texts) == 1:
        return name + texts[0]
    if name in _INFIX and len(texts) == 2:
        return (name if name in _TIGHT else f" {name} ").join(texts)
    return f"{name}({', '.join(texts)})"


def _vector(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"c({', '.join(texts[:4])}{', ...' if len(texts) > 4 else ''})"


def _number(value: float, kind: str) -> str:
    if math.isnan(value):
        return "NA"
    return str(bool(value)).upper() if kind == "logical" else f"{value:.6g}{'L' if kind == 'integer' else ''}"


def number_as_text(value: float) -> str:
    """`as.character` of a double: up to 15 significant digits, whichever of fixed and scientific notation is shorter."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Inf" if value > 0 else "-Inf"
    rounded = float(f"{value:.14e}")
    digits = next(n for n in range(1, 16) if float(f"{value:.{n - 1}e}") == rounded)
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    scientific = f"{mantissa}e{exponent}"
    fixed = f"{value:.{max(0, digits - 1 - int(exponent))}f}"
    return fixed if len(fixed) <= len(scientific) else scientific
