"""Linear models with several responses, of class `mlm`: one output a response, named after it."""

from collections import Counter
from collections.abc import Mapping

from canari.errors import IntakeError
from canari.intake.onnx_graph import take
from canari.intake.r.columns import Column
from canari.intake.r.linear import LinearPredictor
from canari.intake.r.model import Request
from canari.intake.r.terms import Need
from canari.intake.rds import RObject
from canari.model import Predictions
from canari.signature import Output

CLASSES = (("mlm", "lm"),)


class Model:
    """What predict.mlm answers; it knows neither standard errors nor intervals."""

    answers_missing = True

    def __init__(self, model: RObject, request: Request) -> None:
        request.choose("a linear model with several responses", "number")
        request.take_only("a linear model with several responses")
        self._predictor = LinearPredictor(model)
        call = model.get("call")
        if self._predictor.terms.has_offset or (call is not None and call.get("offset") is not None):
            raise IntakeError(
                "the model has several responses and an offset, of which R's predict takes only some; fit one model a response"
            )
        self.outputs = tuple(Output(name=name, kind="number") for name in _responses(model.require("coefficients")))

    def needs(self) -> Mapping[str, Need]:
        """The columns that the formula takes."""
        return self._predictor.needs()

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions of the rows in `columns`."""
        eta = self._predictor(columns)
        return {output.name: take(eta, [i], axis=1) for i, output in enumerate(self.outputs)}


def _responses(coefficients: RObject) -> list[str]:
    """Their names; one without is called Y1, Y2, ... by its place, as in R's summaries."""
    given = coefficients.dimnames[1] if len(coefficients.dimnames) == 2 else []
    names = [name or f"Y{i}" for i, name in enumerate(given or [""] * coefficients.dim[1], 1)]
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise IntakeError(f"two responses of the model are called {twice[0]!r}; give each a name of its own in cbind()")
    return names
