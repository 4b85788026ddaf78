"""The linear predictor of a fitted model and its standard error, as R's predict.lm computes them."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular
from scipy.special import ndtri, stdtrit

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array, take
from canari.intake.r.columns import Column
from canari.intake.r.model import Request
from canari.intake.r.terms import Need, Terms, call_offset, call_offset_needs
from canari.intake.rds import RObject
from canari.signature import Output

SE: tuple[Output, ...] = (Output(name="prediction", kind="number"), Output(name="se", kind="number"))
INTERVAL: tuple[Output, ...] = tuple(Output(name=name, kind="number") for name in ("prediction", "lower", "upper"))


class LinearPredictor:
    """X beta + offset of new rows; `coefficients` are [p], or [p, k] for k responses, NaN where one was not estimated."""

    def __init__(self, model: RObject) -> None:
        self.terms = Terms(model.require("terms"), model.get("xlevels"))
        found = model.require("coefficients")
        self.coefficients = found.matrix() if found.dim else found.doubles()
        self._model = model
        self._contrasts = model.get("contrasts")

    def needs(self) -> Mapping[str, Need]:
        """The columns that the formula and an offset take."""
        return self.terms.needs() | call_offset_needs(self._model)

    def __call__(self, columns: Mapping[str, Column]) -> Array:
        """[n, 1], or [n, k]."""
        return self._with_offset(self._product(columns, self.coefficients.reshape(len(self.coefficients), -1)), columns)

    def with_error(self, columns: Mapping[str, Column], root: npt.NDArray[np.float64]) -> tuple[Array, Array]:
        """The predictor and its standard error in units of the residual scale, [n, 1] each; `root` is `error_root`'s."""
        products = self._product(columns, np.column_stack([self.coefficients, root]))
        rotated = take(products, range(1, products.shape[1]), axis=1)
        variance = (rotated * rotated) @ np.ones((rotated.shape[1], 1))
        return self._with_offset(take(products, [0], axis=1), columns), np.sqrt(variance)

    def error_root(self) -> npt.NDArray[np.float64]:
        """[p, rank]: a root of (X'X)^-1, from the QR decomposition of the fit; NaN for what was not estimated."""
        if self._model.get("qr") is None:
            raise IntakeError("the model was fitted with qr = FALSE, so it knows no standard errors; fit it with qr = TRUE")
        decomposition = self._model.require("qr")
        rank = int(self._model.require("rank").doubles()[0])
        pivot = decomposition.require("pivot").doubles().astype(int)[:rank] - 1
        if not rank:
            raise IntakeError("the model has no coefficients, so its predictions have no standard error")
        upper = np.triu(decomposition.require("qr").matrix()[:rank, :rank])
        root = np.full((len(self.coefficients), rank), np.nan)
        root[pivot] = solve_triangular(upper, np.eye(rank))
        return root

    def _product(self, columns: Mapping[str, Column], weights: npt.NDArray[np.float64]) -> Array:
        return self.terms.product(columns, weights, self._contrasts)

    def _with_offset(self, eta: Array, columns: Mapping[str, Column]) -> Array:
        for offset in (self.terms.offset(columns), call_offset(self._model, columns)):
            eta = eta if offset is None else eta + offset
        return eta


def confidence_level(request: Request) -> float:
    """The argument `level`, by default 0.95 as in R."""
    level = request.number("level", 0.95)
    if not 0.0 < level < 1.0:
        raise IntakeError(f"the argument 'level' is {level:g}; expected a number between 0 and 1, such as 0.95")
    return level


def normal_quantile(level: float) -> float:
    """The half-width of an interval of this level in standard errors, for an error of a known scale."""
    return float(-ndtri((1.0 - level) / 2.0))


def student_quantile(level: float, freedom: float) -> float:
    """The same for a scale that was estimated with so many degrees of freedom; NaN, as in R, for none."""
    return float(-stdtrit(freedom, (1.0 - level) / 2.0)) if freedom > 0 else np.nan
