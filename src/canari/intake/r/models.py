"""What a model class of R must say of a fitted model; one class, one file of this package."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from canari.intake.onnx_graph import Array
from canari.intake.r.columns import Column
from canari.intake.r.terms import Need
from canari.intake.rds import RObject
from canari.model import Predictions
from canari.signature import Output


@dataclass(frozen=True)
class Request:
    """What the person asked the model to answer; of no kind where what is usual for its class."""

    kind: str | None = None
    labels: tuple[str, ...] = ()


class RModel(Protocol):
    """A fitted model of a class that is known; making one raises `IntakeError` where it cannot be translated."""

    outputs: tuple[Output, ...]
    answers_missing: bool  # whether R's predict answers, if only NA, where a column is missing

    def __init__(self, model: RObject, request: Request) -> None: ...

    def needs(self) -> Mapping[str, Need]:
        """The columns that it takes."""
        ...

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions on n rows, in numpy functions that `canari.intake.onnx_graph` can trace."""
        ...


@runtime_checkable
class DrawsTies(Protocol):
    """A model of which R draws the class at random where several are as good."""

    def tied(self, columns: Mapping[str, Column]) -> Array:
        """Which classes it draws among, bool [n, classes]; never traced."""
        ...
