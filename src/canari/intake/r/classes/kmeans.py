"""Clusters of base R's `kmeans`: the nearest centre, as R has no predict for it."""

from collections.abc import Mapping
from functools import reduce

import numpy as np

from canari.errors import IntakeError
from canari.intake.r.columns import Column
from canari.intake.r.model import Request, labelled
from canari.intake.r.terms import Need
from canari.intake.rds import RObject
from canari.model import Predictions
from canari.signature import Output

CLASSES = (("kmeans",),)


class Model:
    """The number of the nearest centre by Euclidean distance, of equally near ones the first; missing where a column is."""

    answers_missing = True

    def __init__(self, model: RObject, request: Request) -> None:
        request.choose("a kmeans", "class")
        request.take_only("a kmeans")
        centres = model.require("centers")
        self._centres = centres.matrix()
        self._names = tuple(centres.dimnames[1]) if len(centres.dimnames) == 2 else ()
        self._names = self._names or request.columns
        if len(self._names) != self._centres.shape[1]:
            raise IntakeError(
                f"the kmeans does not hold the names of its {self._centres.shape[1]} columns; cluster a data frame, "
                "or a matrix with column names"
            )
        self._labels = tuple(str(i + 1) for i in range(len(self._centres)))
        self.outputs = (Output(name="class", kind="class", labels=self._labels),)

    def needs(self) -> Mapping[str, Need]:
        """The columns that were clustered."""
        return {name: Need("number") for name in self._names}

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The clusters of the rows in `columns`."""
        differences = [
            columns[name].numbers(name) - centres[None, :] for name, centres in zip(self._names, self._centres.T, strict=True)
        ]
        distances = reduce(np.add, [difference * difference for difference in differences])
        missing = reduce(np.logical_or, [columns[name].missing() for name in self._names])
        nearest = np.argmax(np.where(missing, 0.0, -distances), axis=1, keepdims=True)
        return {"class": labelled(self._labels, np.where(missing, len(self._labels), nearest))}
