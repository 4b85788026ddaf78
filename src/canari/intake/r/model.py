"""What a model class of R must say of a fitted model; one class, one module of `canari.intake.r.classes`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array, take
from canari.intake.r.columns import Column
from canari.intake.r.terms import Need
from canari.intake.rds import RObject
from canari.model import Predictions
from canari.signature import MISSING, Output


@dataclass(frozen=True)
class Request:
    """What the person asked the model to answer; of no kind where what is usual for its class.

    `kind` is a type of `canari.intake.r.bundle.TYPES`, `arguments` are those for R's predict, such as the `s` of a glmnet;
    `columns` are those of the rows, for a model that does not hold the names of its predictors.
    """

    kind: str | None = None
    labels: tuple[str, ...] = ()
    arguments: Mapping[str, RObject] = field(default_factory=dict)
    columns: tuple[str, ...] = ()

    def choose(self, what: str, *kinds: str) -> str:
        """The kind that was asked for, the first one where none was; refuses what `what`, such as "an lm", does not answer."""
        kind = self.kind or kinds[0]
        if kind not in kinds:
            raise IntakeError(f"{what} answers {' or '.join(kinds)}, not {kind}")
        return kind

    def take_only(self, what: str, *names: str) -> None:
        """Refuse an argument that is none of `names`."""
        for name in self.arguments:
            if name not in names:
                expected = f"known are {', '.join(names)}" if names else "it takes none"
                raise IntakeError(f"the argument {name!r} of {what}'s predict is not translated; {expected}")

    def number(self, name: str, default: float) -> float:
        """An argument that is one number."""
        found = self.arguments.get(name)
        if found is None:
            return default
        if found.type not in ("double", "integer") or len(found.value) != 1 or np.isnan(found.doubles()[0]):
            raise IntakeError(f"the argument {name!r} is not one number")
        return float(found.doubles()[0])

    def word(self, name: str, *words: str) -> str:
        """An argument that is one of `words`, or the beginning of one, as R's match.arg takes it; the first one by default."""
        found = self.arguments.get(name)
        if found is None:
            return words[0]
        given = found.strings() if found.type == "character" else []
        fitting = [word for word in words if len(given) == 1 and word.startswith(given[0] or "")]
        if given and given[0] in words:
            return str(given[0])
        if len(fitting) != 1:
            raise IntakeError(f"the argument {name!r} is not one of {', '.join(words)}")
        return fitting[0]


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


NUMBER: tuple[Output, ...] = (Output(name="prediction", kind="number"),)


def class_outputs(request: Request, classes: tuple[str, ...], what: str) -> tuple[Output, ...]:
    """The class and all probabilities; where a probability was asked for, that of the second of two classes."""
    if request.choose(what, "class", *(["probability"] if len(classes) == 2 else [])) == "probability":
        return (Output(name="prediction", kind="probability", labels=classes[1:]),)
    return (
        Output(name="class", kind="class", labels=classes),
        Output(name="probabilities", kind="probability", labels=classes),
    )


def class_predictions(outputs: Sequence[Output], probabilities: Array, winner: Array, missing: Array) -> Predictions:
    """What `class_outputs` promise, from probabilities [n, k], the winners' positions [n, 1] and which rows have none, [n, 1]."""
    shares = np.where(missing, np.nan, probabilities)
    if outputs[0].kind == "probability":
        return {outputs[0].name: take(shares, [1], axis=1)}
    return {"class": labelled(outputs[0].labels, np.where(missing, len(outputs[0].labels), winner)), "probabilities": shares}


def labelled(labels: tuple[str, ...], positions: Array) -> Array:
    """The labels at these positions, text [n, 1]; missing at len(labels)."""
    return take(np.array([*labels, MISSING], object), np.reshape(positions, (-1, 1)))
