"""Which classes can be translated: each translation is registered here by the exact class it is for.

A subclass may compute something else, so it is not taken for its parent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from canari.errors import IntakeError
from canari.intake.sklearn.arrays import Table, Values

Step: TypeAlias = Any  # a fitted scikit-learn object


@dataclass(frozen=True)
class Decision:
    """What a classifier finds: of `scores`, [n, classes], the first of the largest is the class."""

    scores: Values
    probabilities: Values | None = None


_TRANSFORMERS: dict[type, Callable[[Step, Table], Table]] = {}
_REGRESSORS: dict[type, Callable[[Step, Table], Values]] = {}
_CLASSIFIERS: dict[type, Callable[[Step, Table], Decision]] = {}


def _register(registry: dict[type, Any], classes: tuple[type, ...]) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        registry.update(dict.fromkeys(classes, function))
        return function

    return decorate


def transformer(*classes: type) -> Callable[[Callable[[Any, Table], Table]], Callable[[Any, Table], Table]]:
    """Register a function from a fitted step and its input to its output."""
    return _register(_TRANSFORMERS, classes)


def regressor(*classes: type) -> Callable[[Callable[[Any, Table], Values]], Callable[[Any, Table], Values]]:
    """Register a function from a fitted step and its input to its predictions, [n, 1]."""
    return _register(_REGRESSORS, classes)


def classifier(*classes: type) -> Callable[[Callable[[Any, Table], Decision]], Callable[[Any, Table], Decision]]:
    """Register a function from a fitted step and its input to its decision."""
    return _register(_CLASSIFIERS, classes)


def transform(step: Step, table: Table) -> Table:
    """Apply a transformer; raises `IntakeError` for a class that is not supported."""
    if step is None or (isinstance(step, str) and step == "passthrough"):
        return table
    found: Table = _lookup(_TRANSFORMERS, step, "transformer")(step, table)
    return found


def regress(step: Step, table: Table) -> Values:
    """Predict numbers, [n, 1]; raises `IntakeError` for a class that is not supported."""
    return _lookup(_REGRESSORS, step, "regressor")(step, table)


def classify(step: Step, table: Table) -> Decision:
    """Predict classes; raises `IntakeError` for a class that is not supported."""
    labels = getattr(step, "classes_", None)
    if isinstance(labels, list) or (labels is not None and np.ndim(labels) != 1):
        raise IntakeError(f"{type(step).__name__} predicts several columns at once: save one model a column")
    found: Decision = _lookup(_CLASSIFIERS, step, "classifier")(step, table)
    return found


def unsupported(step: Step, what: str) -> IntakeError:
    """The error of a setting that is not supported."""
    return IntakeError(f"scikit-learn's {type(step).__name__} is supported, but not with {what}")


def _lookup(registry: dict[type, Any], step: Step, kind: str) -> Any:
    found = registry.get(type(step))
    if found is None:
        known = ", ".join(sorted(cls.__name__ for cls in registry))
        raise IntakeError(f"the {kind} {type(step).__module__}.{type(step).__qualname__} is not supported; supported are {known}")
    return found
