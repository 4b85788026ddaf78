"""The predictors of a model that was fitted to a formula or to a matrix x, as one matrix [n, p] without the intercept."""

from collections.abc import Mapping, Sequence

import numpy as np

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array, take
from canari.intake.r.columns import Column
from canari.intake.r.model import Request
from canari.intake.r.terms import Need, Terms
from canari.intake.rds import RObject


class Predictors:
    """`names` are those that the model holds of the columns of x; a model that holds none takes the columns of the rows."""

    def __init__(self, model: RObject, request: Request, count: int, names: Sequence[str] = ()) -> None:
        self._count = count
        terms = model.get("terms")
        self.terms = Terms(terms, model.get("xlevels")) if terms is not None else None
        self._contrasts = model.get("contrasts") or self._usual_contrasts()
        self.names = tuple(names) or request.columns
        if self.terms is None and len(self.names) != count:
            raise IntakeError(
                f"the model does not hold the names of its {count} predictors; save it with save_model() and rows of exactly "
                "these columns, in the order of x, or fit it by a formula"
            )

    def _usual_contrasts(self) -> RObject:
        """Those of R's options, which predict takes for a model that does not hold its own, such as an lda."""
        ordered = [variable.name for variable in self.terms.used if variable.data_class == "ordered"] if self.terms else []
        polynomial = RObject("character", ["contr.poly"])
        return RObject("list", [polynomial] * len(ordered), {"names": RObject("character", list(ordered))})

    def needs(self) -> Mapping[str, Need]:
        """The columns of the data."""
        return self.terms.needs() if self.terms is not None else {name: Need("number") for name in self.names}

    def matrix(self, columns: Mapping[str, Column]) -> Array:
        """[n, p]."""
        if self.terms is None:
            return np.concatenate([columns[name].numbers(name) for name in self.names], axis=1)
        width = self._count + self.terms.intercept
        design = self.terms.model_matrix(columns, self._contrasts, width)
        return take(design, range(1, width), axis=1) if self.terms.intercept else design
