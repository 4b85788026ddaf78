"""Parametric survival models of package survival: `survreg`."""

from collections.abc import Mapping

import numpy as np

from canari.errors import IntakeError
from canari.intake.r.columns import Column
from canari.intake.r.model import NUMBER, Request
from canari.intake.r.specials import special, without
from canari.intake.r.terms import Need, Terms
from canari.intake.rds import RObject
from canari.model import Predictions
from canari.signature import Output

CLASSES = (("survreg",),)

# Whether the distribution is of the logarithm of the time.
_LOGARITHMIC = {
    "weibull": True,
    "exponential": True,
    "rayleigh": True,
    "loggaussian": True,
    "lognormal": True,
    "loglogistic": True,
    "extreme": False,
    "logistic": False,
    "gaussian": False,
    "t": False,
}


class Model:
    """The linear predictor, or the time that it stands for; predict.survreg leaves an offset of the formula out."""

    answers_missing = True

    def __init__(self, model: RObject, request: Request) -> None:
        kind = request.choose("a survreg", "number", "link")
        request.take_only("a survreg")
        self._link = kind == "link"
        self.outputs = (Output(name="link", kind="number"),) if self._link else NUMBER
        distribution = model.require("dist")
        name = distribution.strings()[0] if distribution.type == "character" else None
        if name not in _LOGARITHMIC:
            raise IntakeError(
                f"a survreg with a distribution of a person's own is not supported; supported are {', '.join(_LOGARITHMIC)}"
            )
        self._exponential = _LOGARITHMIC[name]
        self._coefficients = model.require("coefficients").doubles()
        if np.isnan(self._coefficients).any():
            raise IntakeError("a survreg with a coefficient that is NA predicts NA only; fit it without the superfluous term")
        terms = model.require("terms")
        apart = [*special(terms, "strata"), *special(terms, "cluster")]
        self._terms = Terms(without(terms, apart, "a survreg"), model.get("xlevels"))
        self._contrasts = model.get("contrasts")

    def needs(self) -> Mapping[str, Need]:
        """The columns of the formula."""
        return self._terms.needs()

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions of the rows in `columns`."""
        eta = self._terms.product(columns, self._coefficients[:, None], self._contrasts)
        if self._link:
            return {"link": eta}
        return {"prediction": np.exp(eta) if self._exponential else eta}
