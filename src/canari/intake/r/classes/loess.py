"""Local regression of base R: `loess` in one variable, with the surface that it interpolates."""

from collections.abc import Mapping

import numpy as np

from canari.errors import IntakeError
from canari.intake.r.basis import PiecewisePolynomial, hermite_spline
from canari.intake.r.columns import Column
from canari.intake.r.model import NUMBER, Request
from canari.intake.r.terms import Need, Terms
from canari.intake.rds import RObject
from canari.model import Predictions

CLASSES = (("loess",),)


class Model:
    """Cubics between the vertices of the fit's k-d tree, by the values and slopes there; missing beyond the training's range."""

    outputs = NUMBER
    answers_missing = True

    def __init__(self, model: RObject, request: Request) -> None:
        request.choose("a loess", "number")
        request.take_only("a loess")
        if model.require("pars").require("surface").strings()[0] != "interpolate":
            raise IntakeError('a loess with surface = "direct" is fitted anew for every row; fit it with surface = "interpolate"')
        x = model.require("x").matrix()
        if x.shape[1] != 1:
            raise IntakeError(f"a loess in {x.shape[1]} variables is not supported; supported is one variable")
        self._terms = Terms(model.require("terms"), None)
        self._divisor = float(model.require("divisor").doubles()[0])
        # The function of a column may be rounded otherwise than R's: its value at the range's end is to be inside.
        (variable,) = self._terms.used
        slack = 0.0 if variable.expression.type == "symbol" else 4.0 * np.finfo(np.float64).eps
        lower, upper = x.min() / self._divisor, x.max() / self._divisor
        self._range = lower - slack * abs(lower), upper + slack * abs(upper)
        self._surface = _surface(model.require("kd"))

    def needs(self) -> Mapping[str, Need]:
        """The column of the variable."""
        return self._terms.needs()

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions of the rows in `columns`."""
        ((name, variable),) = self._terms.frame(columns).items()
        x = variable.numbers(name) / self._divisor
        inside = (x >= self._range[0]) & (x <= self._range[1])
        return {"prediction": np.where(inside, self._surface(x), np.nan)}


def _surface(tree: RObject) -> PiecewisePolynomial:
    """The vertices are the ends, then one for each cut in the order of the cells."""
    cuts = tree.require("xi").doubles()[tree.require("a").doubles() == 1]
    vertices = np.concatenate([tree.require("vert").doubles(), cuts])
    fitted = tree.require("vval").doubles()
    if len(fitted) != 2 * len(vertices):
        raise IntakeError(
            f"the loess has {len(fitted)} values for {len(vertices)} vertices; expected a value and a slope for each"
        )
    order = np.argsort(vertices, kind="stable")
    values, slopes = fitted.reshape(-1, 2)[order].T
    return hermite_spline(vertices[order], values[:, None], slopes[:, None])
