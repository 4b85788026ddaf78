"""The smooth terms of package mgcv: bases as its `Predict.matrix` methods make them, constraints as its `PredictMat`.

All that follows a basis is linear in it. So a `Basis` is asked for its product with weights, and never made larger than that
takes: a spline of one variable becomes one polynomial a piece.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import factorial, gamma, pi
from typing import Protocol

import numpy as np
import numpy.typing as npt

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array
from canari.intake.r.basis import PiecewisePolynomial, b_splines_on, cubic_spline
from canari.intake.r.columns import Column
from canari.intake.rds import RObject

Floats = npt.NDArray[np.float64]
Variables = Mapping[str, Column]  # the values of a formula's variables, such as `x` and `log(z)`, by how they are written
Levels = Mapping[str, tuple[str, ...]]  # of those that are factors


class Basis(Protocol):
    """A smooth's columns before its constraints."""

    @property
    def width(self) -> int:
        """Their number."""
        ...

    def times(self, variables: Variables, weights: Floats) -> Array:
        """The columns, [n, width], times weights, [width, m]."""
        ...


class Smooth:
    """A smooth term: where its coefficients are among the model's, and its columns of the model matrix."""

    def __init__(self, smooth: RObject, levels: Levels) -> None:
        self.first = int(_number(smooth, "first.para")) - 1
        self.last = int(_number(smooth, "last.para"))
        self._by = _texts(smooth, "by")[0]
        by_level = smooth.get("by.level")
        self._by_level = str(by_level.strings()[0]) if by_level is not None else None
        self._basis = _basis(smooth, levels)
        self._absorption, self._shift = _constraints(smooth, self._basis.width)
        if self._absorption.shape[1] != self.last - self.first:
            raise IntakeError(
                f"the smooth {_label(smooth)} has {self.last - self.first} coefficients, but {self._absorption.shape[1]} columns"
            )

    def times(self, variables: Variables, weights: Floats) -> Array:
        """Its columns of the model matrix, [n, last - first], times weights."""
        product = self._basis.times(variables, self._absorption @ weights)
        if self._shift.any():
            product = product + self._shift @ weights
        if self._by == "NA":
            return product
        by = variables[self._by]
        if self._by_level is None:
            return product * by.numbers(self._by)
        return product * by.lookup([*(float(level == self._by_level) for level in by.levels), np.nan])


def terms_of(smooth: RObject) -> list[str]:
    """The names of the variables of a smooth, as they are written in the formula."""
    by = _texts(smooth, "by")
    return _texts(smooth, "term") + ([] if by == ["NA"] else by)


@dataclass(frozen=True)
class Spline:
    """Splines of one number, that go on beyond their knots or begin anew at a period's end."""

    term: str
    pieces: PiecewisePolynomial
    period: tuple[float, float] | None = None

    @property
    def width(self) -> int:
        """The number of splines."""
        return int(self.pieces.coefficients.shape[2])

    def times(self, variables: Variables, weights: Floats) -> Array:
        """See `Basis`."""
        x = variables[self.term].numbers(self.term)
        if self.period is not None:
            lower, upper = self.period
            below, above = upper - _remainder(lower - x, upper - lower), lower + _remainder(x - upper, upper - lower)
            x = np.where(x < lower, below, np.where(x > upper, above, x))
        return self.pieces.combined(weights)(x)


@dataclass(frozen=True)
class Radial:
    """Functions of the distances from knots, then powers of the variables (thin plate and Duchon splines, Gaussian processes)."""

    terms: Sequence[str]
    centre: Floats  # [d]
    knots: Floats  # [knots, d], centred
    function: Callable[[Array], Array]  # of squared distances [n, knots]
    powers: npt.NDArray[np.int_]  # [polynomials, d]
    combination: Floats  # [knots + polynomials, width]
    means: Floats  # [width], taken off the columns

    @property
    def width(self) -> int:
        """The number of columns."""
        return int(self.combination.shape[1])

    def times(self, variables: Variables, weights: Floats) -> Array:
        """See `Basis`."""
        x = [variables[term].numbers(term) - centre for term, centre in zip(self.terms, self.centre, strict=True)]
        squares = [(x_i - knots_i[None, :]) * (x_i - knots_i[None, :]) for x_i, knots_i in zip(x, self.knots.T, strict=True)]
        combined = self.combination @ weights
        total: Array = self.function(reduce(np.add, squares)) @ combined[: len(self.knots)] - (self.means @ weights)[None, :]
        for powers, row in zip(self.powers, combined[len(self.knots) :], strict=True):
            factors = [x_i for x_i, power in zip(x, powers, strict=True) for _ in range(power)]
            total = total + (reduce(np.multiply, factors) * row[None, :] if factors else row[None, :])
        return total


@dataclass(frozen=True)
class Groups:
    """One column for each combination of the levels of factors, the first one's varying fastest, times any numbers."""

    factors: Sequence[str]
    numbers: Sequence[str]
    levels: Levels

    @property
    def width(self) -> int:
        """The number of combinations."""
        return int(np.prod([len(self.levels[factor]) for factor in self.factors], dtype=int))

    def times(self, variables: Variables, weights: Floats) -> Array:
        """See `Basis`."""
        values = [variables[name].numbers(name) for name in self.numbers]
        if not self.factors:
            product: Array = reduce(np.multiply, values) @ weights
            return product
        found = _at_level(weights, _combination([variables[f].coded(self.levels[f], f) for f in self.factors]))
        return reduce(np.multiply, values, found)


@dataclass(frozen=True)
class PerLevel:
    """The columns of a basis once for each level of a factor, zero in the others' rows (`bs = "fs"`)."""

    basis: Basis
    combination: Floats
    factor: str
    levels: tuple[str, ...]

    @property
    def width(self) -> int:
        """The number of columns for all levels."""
        return int(self.combination.shape[1]) * len(self.levels)

    def times(self, variables: Variables, weights: Floats) -> Array:
        """See `Basis`."""
        own, m = self.combination.shape[1], weights.shape[1]
        columns = self.basis.times(variables, self.combination)
        found = _at_level(weights.reshape(len(self.levels), own * m), variables[self.factor].coded(self.levels, self.factor))
        product = np.reshape(columns, (-1, 1, own)) @ np.reshape(found, (-1, own, m))
        reshaped: Array = np.reshape(product, (-1, m))
        return reshaped


@dataclass(frozen=True)
class Tensor:
    """Products of the columns of several bases, those at `positions` among all, in which the last basis varies fastest."""

    margins: Sequence[tuple[Basis, Floats]]  # each with the weights that it comes with
    positions: npt.NDArray[np.int_]

    @property
    def width(self) -> int:
        """The number of products."""
        return len(self.positions)

    def times(self, variables: Variables, weights: Floats) -> Array:
        """See `Basis`."""
        rows = np.zeros((int(np.prod([own.shape[1] for _, own in self.margins])), weights.shape[1]))
        rows[self.positions] = weights
        columns = [margin.times(variables, own) for margin, own in self.margins]
        product: Array = reduce(_row_products, columns) @ rows
        return product


@dataclass(frozen=True)
class Constrained:
    """Combinations of the columns of a basis, and a constant for each."""

    basis: Basis
    absorption: Floats
    shift: Floats

    @property
    def width(self) -> int:
        """The number of columns under the constraints."""
        return int(self.absorption.shape[1])

    def times(self, variables: Variables, weights: Floats) -> Array:
        """See `Basis`."""
        return self.basis.times(variables, self.absorption @ weights) + self.shift @ weights


def _row_products(first: Array, second: Array) -> Array:
    """All products of their columns, those of the second varying fastest."""
    a, b = first.shape[1], second.shape[1]
    products: Array = np.reshape(np.reshape(first, (-1, a, 1)) * np.reshape(second, (-1, 1, b)), (-1, a * b))
    return products


def _remainder(x: Array, divisor: float) -> Array:
    """R's `%%`."""
    rest = x - np.floor(x / divisor) * divisor
    return rest - np.floor(rest / divisor) * divisor


def _combination(factors: Sequence[Column]) -> Column:
    codes, levels = factors[0].values, len(factors[0].levels)
    missing = factors[0].missing()
    for factor in factors[1:]:
        codes = codes + levels * factor.values
        levels *= len(factor.levels)
        missing = missing | factor.missing()
    return Column(np.where(missing, levels, codes), "factor", ("",) * levels)


def _at_level(rows: Floats, factor: Column) -> Array:
    """The row of each level, [n, m]; NaN where it is missing."""
    table = np.vstack([rows, np.full(rows.shape[1], np.nan)])
    found: Array = np.reshape(factor.lookup(table), (-1, rows.shape[1]))
    return found


# --- the bases by mgcv's classes


def _basis(smooth: RObject, levels: Levels) -> Basis:
    kind = next((name for name in smooth.classes if name in _NUMERIC or name in _WITH_FACTORS), None)
    if kind is None:
        raise IntakeError(
            f"the smooth {_label(smooth)} of the gam is of class {smooth.classes[0]!r}, which is not supported; supported are "
            'bs = "tp", "ts", "cr", "cs", "cc", "ps", "cp", "bs", "re", "fs", "gp", "ds" and "mrf", '
            "alone and in te(), ti() and t2()"
        )
    if smooth.get("deriv") is not None and smooth.require("deriv").doubles().any():
        raise IntakeError(f"the smooth {_label(smooth)} is a derivative, which is not supported")
    return _NUMERIC[kind](smooth) if kind in _NUMERIC else _WITH_FACTORS[kind](smooth, levels)


def _cubic_regression(smooth: RObject) -> Basis:
    knots = smooth.require("xp").doubles()
    curvatures = smooth.require("F").doubles().reshape(len(knots), len(knots))
    return Spline(_texts(smooth, "term")[0], cubic_spline(knots, np.eye(len(knots)), curvatures))


def _cyclic_cubic(smooth: RObject) -> Basis:
    knots = smooth.require("xp").doubles()
    around = [*range(len(knots) - 1), 0]
    values = np.eye(len(knots) - 1)[around]
    spline = cubic_spline(knots, values, smooth.require("BD").matrix()[around])
    return Spline(_texts(smooth, "term")[0], spline, (knots[0], knots[-1]))


def _p_spline(smooth: RObject, less: int = 0) -> Basis:
    degree = int(_number(smooth, "m")) + 1 - less
    pieces = b_splines_on(smooth.require("knots").doubles(), degree)
    mono = smooth.get("mono")
    if not less and mono is not None and mono.doubles().any():
        pieces = pieces.combined(smooth.require("B").matrix())
    return Spline(_texts(smooth, "term")[0], pieces)


def _b_spline(smooth: RObject) -> Basis:
    return _p_spline(smooth, less=1)


def _cyclic_p_spline(smooth: RObject) -> Basis:
    knots = np.sort(smooth.require("knots").doubles())
    degree = int(_number(smooth, "m")) + 1
    span = knots[-1] - knots[0]
    around = np.concatenate([knots[-degree - 1 : -1] - span, knots, knots[1 : degree + 1] + span])
    pieces = b_splines_on(around, degree)
    functions = np.arange(pieces.coefficients.shape[2])
    wrapped = np.eye(len(knots) - 1)[functions % (len(knots) - 1)]
    return Spline(_texts(smooth, "term")[0], pieces.combined(wrapped), (knots[0], knots[-1]))


def _thin_plate(smooth: RObject) -> Basis:
    """Wood (2003), Thin plate regression splines; eta as in mgcv's tprs.c."""
    dimension = int(_number(smooth, "dim"))
    order = int(np.nan_to_num(_number(smooth, "p.order")))
    if 2 * order <= dimension:
        order = dimension // 2 + 1  # twice it is more than dimension + 1
        order += 2 * order < dimension + 2
    knots = smooth.require("Xu").matrix()
    powers = _powers_below(order, dimension)
    dropped = smooth.get("drop.null")
    combination = smooth.require("UZ").matrix()
    means = np.zeros(combination.shape[1])
    if dropped is not None and dropped.doubles()[0] > 0:
        means = smooth.require("cmX").doubles()
        combination = combination[:, : len(means)]
    return Radial(
        _texts(smooth, "term"), smooth.require("shift").doubles(), knots, _eta(order, dimension), powers, combination, means
    )


def _eta(order: int, dimension: int) -> Callable[[Array], Array]:
    m, d = order, dimension
    if d % 2:
        scale = gamma(d / 2 - m) / (2 ** (2 * m) * pi ** (d / 2) * factorial(m - 1))
        return lambda square: scale * _power(square, m - d // 2 - 1) * np.sqrt(square)
    scale = (-1) ** (m + 1 + d // 2) / (2 ** (2 * m - 1) * pi ** (d / 2) * factorial(m - 1) * factorial(m - d // 2))
    return lambda square: np.where(square > 0.0, (0.5 * scale) * np.log(square) * _power(square, m - d // 2), 0.0)


def _power(x: Array, exponent: int) -> Array:
    return reduce(np.multiply, [x] * exponent) if exponent else np.ones((1, 1))


def _powers_below(order: int, dimension: int) -> npt.NDArray[np.int_]:
    """The powers of all polynomials of a degree below `order`, [polynomials, dimension], the first variable's varying fastest."""
    grid = np.stack(np.meshgrid(*[range(order)] * dimension, indexing="ij"), axis=-1).reshape(-1, dimension)[:, ::-1]
    return np.asarray(grid[grid.sum(axis=1) < order])


def _duchon(smooth: RObject) -> Basis:
    """Duchon (1977), as mgcv's DuchonE and DuchonT."""
    order, s = smooth.require("p.order").doubles()
    dimension = int(_number(smooth, "dim"))
    exponent = 2 * order + 2 * s - dimension
    sign = 1.0 - 2.0 * ((np.floor(exponent / 2) + 1) % 2)

    def function(square: Array) -> Array:
        far = square > 0.0
        distance = np.sqrt(np.where(far, square, 1.0))
        value = distance**exponent * np.log(distance) if exponent % 2 == 0 else distance**exponent
        scaled: Array = sign * np.where(far, value, 0.0)
        return scaled

    return _radial(smooth, function, _powers_below(int(order), dimension))


def _gaussian_process(smooth: RObject) -> Basis:
    """Kammann and Wand (2003), as mgcv's gpE and gpT."""
    definition = smooth.require("gp.defn").doubles()
    kind, rho, k = abs(round(definition[0])), definition[1], definition[2]
    correlations: Sequence[Callable[[Array], Array]] = (
        lambda e: np.where(e <= 1.0, 1.0 - 1.5 * e + 0.5 * e * e * e, 0.0),
        lambda e: np.exp(-(e**k)),
        lambda e: (1.0 + e) * np.exp(-e),
        lambda e: np.exp(-e) + (e * np.exp(-e)) * (1.0 + e / 3.0),
        lambda e: np.exp(-e) + (e * np.exp(-e)) * (1.0 + 0.4 * e + e * e / 15.0),
    )
    dimension = int(_number(smooth, "dim"))
    powers = np.vstack([np.zeros(dimension, int), np.eye(dimension, dtype=int)])
    stationary = definition[0] < 0
    return _radial(smooth, lambda square: correlations[kind - 1](np.sqrt(square) / rho), powers[:1] if stationary else powers)


def _radial(smooth: RObject, function: Callable[[Array], Array], powers: npt.NDArray[np.int_]) -> Basis:
    """The distances' functions are combined, the polynomials follow as they are."""
    own = smooth.require("UZ").matrix()
    combination = np.zeros((len(own) + len(powers), own.shape[1] + len(powers)))
    combination[: len(own), : own.shape[1]] = own
    combination[len(own) :, own.shape[1] :] = np.eye(len(powers))
    knots = smooth.require("knt").matrix()
    shift = smooth.require("shift").doubles()
    return Radial(_texts(smooth, "term"), shift, knots, function, powers, combination, np.zeros(combination.shape[1]))


def _random_effect(smooth: RObject, levels: Levels) -> Basis:
    terms = _texts(smooth, "term")
    return Groups([t for t in terms if t in levels], [t for t in terms if t not in levels], levels)


def _markov_random_field(smooth: RObject) -> Basis:
    term = _texts(smooth, "term")[0]
    regions = Groups([term], [], {term: tuple(smooth.require("knots").levels)})
    combination = smooth.get("P")
    if combination is None:
        return regions
    return Constrained(regions, combination.matrix(), np.zeros((1, combination.dim[1])))


def _factor_smooth(smooth: RObject, levels: Levels) -> Basis:
    base = smooth.require("base")
    inner = {"term": base.require("term"), "bs.dim": base.require("bs.dim")}
    named = {name: inner.get(name, value) for name, value in smooth.items()}
    classes = {"class": base.require("bs"), "names": RObject("character", list(named))}
    basis = _basis(RObject("list", list(named.values()), classes), levels)
    return PerLevel(basis, smooth.require("P").matrix(), _texts(smooth, "fterm")[0], tuple(_texts(smooth, "flev")))


def _tensor(smooth: RObject, levels: Levels) -> Basis:
    margins = []
    constrained = smooth.require("mc").doubles()
    stored = smooth.get("XP")
    combinations = list(stored.value) if stored is not None else []
    for i, margin in enumerate(smooth.require("margin").value):
        basis = _basis(margin, levels)
        if constrained[i]:
            basis = Constrained(basis, *_constraints(margin, basis.width))
        combination = combinations[i].matrix() if i < len(combinations) and not combinations[i].is_null else np.eye(basis.width)
        margins.append((basis, combination))
    kept = smooth.get("udrop")
    width = int(np.prod([own.shape[1] for _, own in margins]))
    return Tensor(margins, np.arange(width) if kept is None else np.arange(width)[_selection(kept)])


def _selection(index: RObject) -> npt.NDArray[np.int_]:
    values = index.doubles()
    return np.flatnonzero(values) if index.type == "logical" else values.astype(int) - 1


def _t2(smooth: RObject, levels: Levels) -> Basis:
    stored = smooth.require("margin").value
    combinations = [combination.matrix() for combination in smooth.require("P").value]
    margins = [(_basis(margin, levels), own) for margin, own in zip(stored, combinations, strict=True)]
    widths = [own.shape[1] for own in combinations]
    ranks = [int(_number(margin, "rank")) for margin in stored]
    ord_ = smooth.get("ord")
    orders = None if ord_ is None else set(ord_.doubles().astype(int).tolist())
    columns = _t2_columns(widths, ranks, full=bool(_number(smooth, "full")), orders=orders)
    return Tensor(margins, np.array([np.ravel_multi_index(column, widths) for column in columns]))


@dataclass(frozen=True)
class _Block:
    """Columns of a t2 smooth that are penalized together."""

    columns: list[tuple[int, ...]]  # for each, the column of each margin
    penalized: bool
    order: int


def _t2_columns(widths: Sequence[int], ranks: Sequence[int], *, full: bool, orders: set[int] | None) -> list[tuple[int, ...]]:
    """The products' order in mgcv's t2.model.matrix: each margin's penalized columns (`rank` many), then its others."""
    blocks = [_Block([()], penalized=True, order=0)]
    for i, (width, rank) in enumerate(zip(widths, ranks, strict=True)):
        wiggly, smooth = [(j,) for j in range(rank)], [(j,) for j in range(rank, width)]
        apart = full and i > 0
        grown = []
        for block in blocks:
            parts = [[column] for column in block.columns] if apart and not block.penalized else [block.columns]
            grown += [_Block([c + w for c in part for w in wiggly], penalized=True, order=block.order + 1) for part in parts]
        for block in blocks if smooth else []:
            if apart and block.penalized:
                grown += [_Block([c + s for c in block.columns], penalized=True, order=block.order) for s in smooth]
            else:
                grown.append(_Block([c + s for c in block.columns for s in smooth], penalized=False, order=block.order))
        blocks = grown
    return [column for block in blocks if orders is None or block.order in orders for column in block.columns]


_NUMERIC: Mapping[str, Callable[[RObject], Basis]] = {
    "tprs.smooth": _thin_plate,
    "ts.smooth": _thin_plate,
    "cr.smooth": _cubic_regression,
    "cs.smooth": _cubic_regression,
    "cyclic.smooth": _cyclic_cubic,
    "pspline.smooth": _p_spline,
    "cpspline.smooth": _cyclic_p_spline,
    "Bspline.smooth": _b_spline,
    "duchon.spline": _duchon,
    "gp.smooth": _gaussian_process,
    "mrf.smooth": _markov_random_field,
}
_WITH_FACTORS: Mapping[str, Callable[[RObject, Levels], Basis]] = {
    "random.effect": _random_effect,
    "fs.interaction": _factor_smooth,
    "tensor.smooth": _tensor,
    "t2.smooth": _t2,
}


# --- constraints


def _constraints(smooth: RObject, width: int) -> tuple[Floats, Floats]:
    """What PredictMat does to a basis matrix X, [n, width], as X @ absorption + shift."""
    both = np.vstack([np.eye(width), np.zeros(width)])  # what is done to each row is done to that of the shift
    constraint = smooth.attributes.get("qrc")
    count = smooth.attributes.get("nCons")
    constraints = int(count.doubles()[0]) if count is not None else 0
    if constraint is not None and "sweepDrop" in constraint.classes:
        dropped, *means = constraint.doubles()
        both = np.delete(both, int(dropped) - 1, axis=1)
        both[-1] -= means
    elif constraint is not None and constraints > 0:
        if "qr" not in constraint.classes or "useLAPACK" in constraint.attributes:
            raise IntakeError(f"the smooth {_label(smooth)} has a constraint of a kind that is not supported")
        only = smooth.attributes.get("indi")
        among = np.arange(width) if only is None else only.doubles().astype(int) - 1
        kept, lost = among[: len(among) - constraints], among[len(among) - constraints :]
        both[:, kept] = _times_q(constraint, both[:, among])[:, constraints:]
        both = np.delete(both, lost, axis=1)
    scaling = smooth.get("diagRP")
    if scaling is not None:
        both = both @ (scaling.matrix() if scaling.dim else np.diag(scaling.doubles()))
    superfluous = smooth.attributes.get("del.index")
    if superfluous is not None:
        both = np.delete(both, superfluous.doubles().astype(int) - 1, axis=1)
    return both[:-1], both[-1:]


def _times_q(decomposition: RObject, rows: Floats) -> Floats:
    """The rows times Q of a QR decomposition of LINPACK: a Householder reflection for each column."""
    qr, heads = decomposition.require("qr").matrix(), decomposition.require("qraux").doubles()
    result = rows.copy()
    for j in range(min(int(_number(decomposition, "rank")), qr.shape[0] - 1)):
        if heads[j] != 0.0:
            direction = np.concatenate([heads[j : j + 1], qr[j + 1 :, j]])
            result[:, j:] -= np.outer(result[:, j:] @ direction, direction) / heads[j]
    return result


def _number(smooth: RObject, name: str) -> float:
    return float(smooth.require(name).doubles()[0])


def _texts(smooth: RObject, name: str) -> list[str]:
    return [str(text) for text in smooth.require(name).strings()]


def _label(smooth: RObject) -> str:
    label = smooth.get("label")
    return str(label.strings()[0]) if label is not None else "margin"
