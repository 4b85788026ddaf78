"""Transformers that make several columns of one: polynomials, splines, bins."""

from functools import reduce
from typing import Any

import numpy as np
from sklearn.preprocessing import KBinsDiscretizer, PolynomialFeatures, SplineTransformer

from canari.intake.sklearn.arrays import Table, Values, clip, constant, row_sum, side_by_side, take_columns
from canari.intake.sklearn.steps import transformer, unsupported


@transformer(PolynomialFeatures)
def _polynomials(polynomial: Any, table: Table) -> Table:
    """Every product as one factor of each degree, an extra column of ones where it has fewer."""
    powers = polynomial.powers_
    ones = powers.shape[1]
    factors = [np.repeat(np.arange(ones), row).tolist() for row in powers]
    degree = max(1, *map(len, factors))
    X = side_by_side([table.numbers, constant(table.numbers, [1.0])])
    products = [take_columns(X, [row[i] if i < len(row) else ones for row in factors]) for i in range(degree)]
    return Table(matrix=reduce(np.multiply, products))


@transformer(SplineTransformer)
def _splines(splines: Any, table: Table) -> Table:
    if splines.extrapolation != "constant":
        raise unsupported(splines, f"extrapolation={splines.extrapolation!r}; 'constant' is")
    X = table.numbers
    bases = [_b_splines(take_columns(X, [i]), spline.t, spline.k) for i, spline in enumerate(splines.bsplines_)]
    if not splines.include_bias:
        bases = [take_columns(basis, range(basis.shape[1] - 1)) for basis in bases]
    return Table(matrix=side_by_side(bases))


def _b_splines(x: Values, knots: Any, degree: int) -> Values:
    """The basis at x, [n, splines], by the recursion of Cox and de Boor; constant beyond the outer knots."""
    n = len(knots) - degree - 1
    x = clip(x, knots[degree], knots[n])
    inside = np.arange(len(knots) - 1)
    low = np.where((inside >= degree) & (inside < n), knots[:-1], np.inf)
    high = np.where(inside == n - 1, np.inf, knots[1:])
    basis = ((x >= low) & (x < high)).astype(np.float64)
    for d in range(1, degree + 1):
        m = len(knots) - 1 - d
        span = knots[d:] - knots[:-d]
        inverse = np.divide(1.0, span, out=np.zeros_like(span), where=span > 0)
        rising = (x - knots[:m]) * inverse[:m]
        falling = (knots[d + 1 :] - x) * inverse[1 : m + 1]
        basis = rising * take_columns(basis, range(m)) + falling * take_columns(basis, range(1, m + 1))
    return basis


@transformer(KBinsDiscretizer)
def _bins(bins: Any, table: Table) -> Table:
    found = []
    for i, edges in enumerate(bins.bin_edges_):
        x = table.column(i)
        ordinal = row_sum((x >= np.asarray(edges[1:-1], np.float64)).astype(np.float64)) if len(edges) > 2 else constant(x, [0.0])
        numbers = np.arange(len(edges) - 1, dtype=np.float64)
        found.append(ordinal if bins.encode == "ordinal" else (ordinal == numbers).astype(np.float64))
    return Table(matrix=side_by_side(found))
