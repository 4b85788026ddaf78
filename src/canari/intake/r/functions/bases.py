"""Scaling, polynomials and splines, with what the fit has stored of the training's rows."""

from typing import Any

import numpy as np

from canari.intake.onnx_graph import Array
from canari.intake.r import basis
from canari.intake.r.columns import Column
from canari.intake.r.functions.calls import Call, evaluate, function
from canari.intake.r.language import deparse

_INSIDE = ": R stores that for a variable of the formula, not for a part of one"


@function("scale", "x center scale")
def _scale(call: Call) -> Column:
    values = call.numbers("x")
    for name, apply in (("center", np.subtract), ("scale", np.divide)):
        if name not in call or ((stored := call.stored(name)).kind == "logical" and bool(stored.values.all())):
            call.refuse(f"does not hold the {name} that it had in training{_INSIDE}")
        if stored.kind != "logical":
            values = apply(values, stored.values)
    return Column(values, "number")


@function("poly", "x ... degree coefs raw simple")
def _poly(call: Call) -> Column:
    raw = bool(call.stored_number("raw", 0))
    variables, degree = _poly_variables(call)
    if raw:
        bases = [x ** np.arange(1.0, degree + 1.0)[None, :] for x in variables]
    elif "coefs" not in call:
        call.refuse(f"does not hold the coefficients that it had in training{_INSIDE}")
    else:
        coefs = call.arguments["coefs"]
        stored = [coefs] if len(variables) == 1 else coefs.value
        bases = [
            basis.orthogonal_polynomial(x, degree, c.require("alpha").doubles(), c.require("norm2").doubles())
            for x, c in zip(variables, stored, strict=True)
        ]
    return Column(bases[0] if len(bases) == 1 else basis.products_of_powers(bases, degree), "number")


def _poly_variables(call: Call) -> tuple[list[Array], int]:
    """In poly(x, y, degree = 2) every unnamed argument is a variable, in poly(x, 2) the second one is the degree."""
    rest = [evaluate(argument, call.columns) for argument in call.rest]
    degree = call.stored_number("degree", 1)
    if "degree" not in call and len(rest) == 1 and rest[0].constant:
        degree = float(rest.pop().values.ravel()[0])
    if degree not in range(1, 51):
        call.refuse("has a degree that is no whole number between 1 and 50")
    return [column.numbers(deparse(call.expression)) for column in [call.column("x"), *rest]], int(degree)


@function("ns", "x df knots intercept Boundary.knots")
def _ns(call: Call) -> Column:
    knots, boundary = _knots(call)
    spline = basis.natural_splines(knots, boundary, intercept=bool(call.stored_number("intercept", 0)))
    return Column(spline(call.numbers("x")), "number")


@function("bs", "x df knots degree intercept Boundary.knots")
def _bs(call: Call) -> Column:
    knots, boundary = _knots(call)
    degree = int(call.stored_number("degree", 3))
    spline = basis.b_splines(knots, boundary, degree, intercept=bool(call.stored_number("intercept", 0)))
    return Column(spline(call.numbers("x")), "number")


def _knots(call: Call) -> Any:
    if "Boundary.knots" not in call or ("knots" not in call and "df" in call):
        call.refuse(f"does not hold the knots that it had in training{_INSIDE}")
    knots = np.sort(call.stored_numbers("knots")) if "knots" in call else np.zeros(0)
    return knots, np.sort(call.stored_numbers("Boundary.knots"))
