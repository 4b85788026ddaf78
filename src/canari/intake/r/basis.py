"""The bases that R's formulas expand a number into: orthogonal polynomials, B-splines and natural splines."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.interpolate import BSpline

from canari.intake.onnx_graph import Array, take

Floats = npt.NDArray[np.float64]


def orthogonal_polynomial(x: Array, degree: int, alpha: Floats, norm2: Floats) -> Array:
    """`poly(x, degree)` with the coefficients of the fit, [n, degree]: the three-term recurrence of R's `poly`."""
    before, current = 0.0, x - alpha[0]
    columns = [current]
    for i in range(1, degree):
        before, current = current, (x - alpha[i]) * current - (norm2[i + 1] / norm2[i]) * (before if i > 1 else 1.0)
        columns.append(current)
    return np.concatenate(columns, axis=1) / np.sqrt(norm2[2 : degree + 2])[None, :]


def products_of_powers(bases: Sequence[Array], degree: int) -> Array:
    """`poly(x, y, degree = )`: all products with a total degree of at most `degree`; `bases` are each variable's [n, degree]."""
    columns = []
    for powers in itertools.product(range(degree + 1), repeat=len(bases)):
        if 1 <= sum(powers) <= degree:
            # The first variable's degree varies fastest.
            factors = [take(basis, [p - 1], axis=1) for basis, p in zip(bases, reversed(powers), strict=True) if p]
            product = factors[0]
            for factor in factors[1:]:
                product = product * factor
            columns.append(product)
    return np.concatenate(columns, axis=1)


class PiecewisePolynomial:
    """Functions of a number that are polynomials between `cuts`: coefficients [pieces, degree + 1, functions] about `origins`."""

    def __init__(self, cuts: Floats, origins: Floats, coefficients: Floats) -> None:
        self.cuts = cuts
        self.origins = origins
        self.coefficients = coefficients

    def __call__(self, x: Array) -> Array:
        """[n, 1] to [n, functions]."""
        order, functions = self.coefficients.shape[1:]
        piece = np.zeros((1, 1))
        if len(self.cuts):
            piece = (x >= self.cuts[None, :]).astype(np.float64) @ np.ones((len(self.cuts), 1))
        offset = x - take(self.origins, piece)
        powers = [offset]
        for _ in range(order - 2):
            powers.append(powers[-1] * offset)
        table = np.reshape(take(self.coefficients.reshape(len(self.origins), -1), piece), (-1, order, functions))
        higher = np.reshape(np.concatenate(powers, axis=1), (-1, 1, order - 1))
        value = take(table, [0], axis=1) + higher @ take(table, range(1, order), axis=1)
        reshaped: Array = np.reshape(value, (-1, functions))
        return reshaped

    def combined(self, weights: Floats) -> "PiecewisePolynomial":
        """Linear combinations of the functions, with weights [functions, m]."""
        return PiecewisePolynomial(self.cuts, self.origins, self.coefficients @ weights)


def b_splines(knots: Floats, boundary: Floats, degree: int, *, intercept: bool) -> PiecewisePolynomial:
    """`splines::bs`: beyond the boundary the outermost polynomials go on."""
    basis = _pieces(knots, boundary, degree)
    return basis if intercept else basis.combined(np.eye(basis.coefficients.shape[2])[:, 1:])


def natural_splines(knots: Floats, boundary: Floats, *, intercept: bool) -> PiecewisePolynomial:
    """`splines::ns`: cubic, with a second derivative of zero at the boundary, and linear beyond it."""
    basis = _pieces(knots, boundary, 3)
    last = boundary[1] - basis.origins[-1]
    first_piece, last_piece = basis.coefficients[0], basis.coefficients[-1]
    second_derivatives = np.stack([2 * first_piece[2], 2 * last_piece[2] + 6 * last * last_piece[3]])
    # All but three are zero. As rounding errors, their signs would decide the signs of what follows.
    second_derivatives[0, 3:] = second_derivatives[1, :-3] = 0.0
    if not intercept:
        second_derivatives = second_derivatives[:, 1:]
    null_space = np.linalg.qr(second_derivatives.T, mode="complete")[0][:, 2:]
    if not intercept:
        null_space = np.vstack([np.zeros(null_space.shape[1]), null_space])
    return _linear_beyond(basis, boundary).combined(null_space)


def b_splines_on(knots: Floats, degree: int) -> PiecewisePolynomial:
    """All B-splines of a degree on all of these knots: complete between the inner ones, and linear beyond them."""
    boundary = knots[[degree, len(knots) - degree - 1]]
    splines = _linear_beyond(_taylor(knots, degree, np.unique(knots[degree : len(knots) - degree])[:-1]), boundary)
    if degree == 1:
        splines.coefficients[-1, 1] = 0.0  # at the upper end R's splineDesign has a slope of zero
    return splines


def cubic_spline(knots: Floats, values: Floats, curvatures: Floats) -> PiecewisePolynomial:
    """Cubic splines by their values and second derivatives at the knots, both [knots, functions]; linear beyond them."""
    width = np.diff(knots)[:, None]
    taylor = [
        values[:-1],
        np.diff(values, axis=0) / width - width / 6.0 * (2.0 * curvatures[:-1] + curvatures[1:]),
        curvatures[:-1] / 2.0,
        np.diff(curvatures, axis=0) / (6.0 * width),
    ]
    return _linear_beyond(PiecewisePolynomial(knots[1:-1], knots[:-1], np.stack(taylor, axis=1)), knots[[0, -1]])


def hermite_spline(knots: Floats, values: Floats, slopes: Floats) -> PiecewisePolynomial:
    """Cubics by their values and slopes at the knots, both [knots, functions]; the outermost ones go on beyond."""
    width = np.diff(knots)[:, None]
    rise = np.diff(values, axis=0) / width
    taylor = [
        values[:-1],
        slopes[:-1],
        (3.0 * rise - 2.0 * slopes[:-1] - slopes[1:]) / width,
        (slopes[:-1] + slopes[1:] - 2.0 * rise) / width**2,
    ]
    return PiecewisePolynomial(knots[1:-1], knots[:-1], np.stack(taylor, axis=1))


def _pieces(knots: Floats, boundary: Floats, degree: int) -> PiecewisePolynomial:
    """All B-splines of a degree on these knots."""
    sequence = np.sort(np.concatenate([np.repeat(boundary, degree + 1), knots]))
    return _taylor(sequence, degree, np.unique(sequence)[:-1])


def _taylor(sequence: Floats, degree: int, origins: Floats) -> PiecewisePolynomial:
    splines = BSpline(sequence, np.eye(len(sequence) - degree - 1), degree)
    taylor = [splines(origins, nu=power) / math.factorial(power) for power in range(degree + 1)]
    return PiecewisePolynomial(origins[1:], origins, np.stack(taylor, axis=1))


def _linear_beyond(basis: PiecewisePolynomial, boundary: Floats) -> PiecewisePolynomial:
    """The tangents at the boundary in the place of the outermost polynomials."""
    first, last = basis.coefficients[0], basis.coefficients[-1]
    powers = np.arange(len(last))
    length = boundary[1] - basis.origins[-1]
    low, high = np.zeros_like(first), np.zeros_like(last)
    low[:2] = first[:2]
    high[0] = length**powers @ last
    high[1] = (powers[1:] * length ** powers[:-1]) @ last[1:]
    return PiecewisePolynomial(
        np.concatenate([boundary[:1], basis.cuts, boundary[1:]]),
        np.concatenate([boundary[:1], basis.origins, boundary[1:]]),
        np.concatenate([low[None], basis.coefficients, high[None]]),
    )
