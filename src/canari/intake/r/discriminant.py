"""What `lda` and `qda` of the package MASS have in common."""

import numpy as np
import numpy.typing as npt

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array
from canari.intake.r.model import Request
from canari.intake.rds import RObject

METHODS = ("plug-in", "predictive", "debiased")


def prior_of(model: RObject, request: Request) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    """The prior of each class, the model's or the argument `prior`, and the names of the classes."""
    own = model.require("prior")
    given = request.arguments.get("prior", own).doubles()
    if len(given) != len(own.names) or not (given >= 0).all() or round(float(given.sum()), 5) != 1:
        raise IntakeError(f"the argument 'prior' is not {len(own.names)} shares that sum to 1, one for each class")
    return given, tuple(own.names)


def posterior(distances: Array) -> Array:
    """From half squared distances [n, k] to probabilities; only their differences matter."""
    return shares(np.exp(-(distances - np.min(distances, axis=1, keepdims=True))))


def shares(weights: Array) -> Array:
    """Each row divided by its sum."""
    divided: Array = weights / (weights @ np.ones((weights.shape[1], 1)))
    return divided
