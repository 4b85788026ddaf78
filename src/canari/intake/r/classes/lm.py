"""Linear models: `lm`, and `aov`, which predicts as one."""

from collections.abc import Mapping

from canari.intake.r.columns import Column
from canari.intake.r.model import NUMBER, Request
from canari.intake.r.terms import Need, Terms, call_offset, call_offset_needs
from canari.intake.rds import RObject
from canari.model import Predictions
from canari.signature import Output

CLASSES = (("lm",), ("aov", "lm"))


class Model:
    """What `predict` answers for new rows: the linear predictor."""

    answers_missing = True

    def __init__(self, model: RObject, request: Request) -> None:
        request.take_only("an lm")
        self._model = model
        self._terms = Terms(model.require("terms"), model.get("xlevels"))
        self._coefficients = model.require("coefficients").doubles()
        self._contrasts = model.get("contrasts")
        self.outputs = self._outputs(request)

    def needs(self) -> Mapping[str, Need]:
        """The columns that the formula and an offset take."""
        return self._terms.needs() | call_offset_needs(self._model)

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions of the rows in `columns`."""
        eta = self._terms.linear_predictor(columns, self._coefficients, self._contrasts)
        offset = call_offset(self._model, columns)
        return {"prediction": eta if offset is None else eta + offset}

    def _outputs(self, request: Request) -> tuple[Output, ...]:
        request.choose("an lm", "number")
        return NUMBER
