"""Nonlinear least squares of base R: `nls`."""

from collections.abc import Mapping

from canari.errors import IntakeError
from canari.intake.r.columns import Column
from canari.intake.r.functions import Scope, evaluate
from canari.intake.r.language import deparse
from canari.intake.r.model import NUMBER, Request
from canari.intake.r.terms import Need
from canari.intake.rds import RObject
from canari.model import Predictions

CLASSES = (("nls",),)


class Model:
    """The right-hand side of the formula, with the parameters as they are in the environment that the fit worked in."""

    outputs = NUMBER
    answers_missing = True

    def __init__(self, model: RObject, request: Request) -> None:
        request.choose("an nls", "number")
        request.take_only("an nls")
        algorithm = model.require("call").get("algorithm")
        if algorithm is not None and algorithm.type == "character" and algorithm.strings()[0] == "plinear":
            raise IntakeError('an nls with algorithm = "plinear" is not supported; fit it with all its parameters in the formula')
        predictor = model.require("m").require("predict")
        within = predictor.value[0] if predictor.type == "closure" else None
        formula, self._environment = (within.lookup(name) if within is not None else None for name in ("form", "env"))
        if formula is None or formula.type != "language" or len(formula.value) != 3 or self._environment is None:
            raise IntakeError("the nls does not hold its formula and parameters; it may have been made by another version of R")
        self._expression = formula.value[2][1]
        classes = model.require("dataClasses")
        self._variables = dict(zip(classes.names, classes.strings(), strict=True))
        for name, data_class in self._variables.items():
            if data_class not in ("numeric", "logical"):
                raise IntakeError(f"the nls takes {name!r}, which is of class {data_class!r}; supported are numbers")

    def needs(self) -> Mapping[str, Need]:
        """The variables of the formula that were columns of the data."""
        return {name: Need("boolean" if kind == "logical" else "number") for name, kind in self._variables.items()}

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions of the rows in `columns`."""
        found = evaluate(self._expression, Scope(columns, self._environment))
        return {"prediction": found.numbers(deparse(self._expression))}
