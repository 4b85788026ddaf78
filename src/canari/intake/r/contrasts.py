"""R's codings of a factor."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from canari.errors import IntakeError
from canari.intake.rds import RObject

Floats = npt.NDArray[np.float64]


def contrast_matrix(contrast: RObject | None, levels: int, name: str) -> Floats:
    """[levels, columns]: what a model stores for a factor, a matrix or the name of one of R's own functions."""
    if contrast is None:
        return _treatment(levels)
    if contrast.type == "character":
        function = str(contrast.strings()[0])
        if function not in CONTRASTS:
            raise IntakeError(f"the contrasts {function!r} of {name!r} are not supported; supported are {', '.join(CONTRASTS)}")
        return CONTRASTS[function](levels)
    matrix = contrast.matrix()
    if matrix.shape[0] != levels:
        raise IntakeError(f"the contrasts of {name!r} have {matrix.shape[0]} rows for {levels} levels")
    return matrix


def _treatment(levels: int) -> Floats:
    return np.eye(levels)[:, 1:]


def _sas(levels: int) -> Floats:
    return np.eye(levels)[:, :-1]


def _sum(levels: int) -> Floats:
    return np.vstack([np.eye(levels - 1), -np.ones(levels - 1)])


def _helmert(levels: int) -> Floats:
    return np.array([[-1.0 if i <= j else j + 1.0 if i == j + 1 else 0.0 for j in range(levels - 1)] for i in range(levels)])


def _polynomial(levels: int) -> Floats:
    scores = np.arange(1, levels + 1) - (levels + 1) / 2
    q, r = np.linalg.qr(scores[:, None] ** np.arange(levels))
    raw = q * np.diag(r)
    return np.asarray((raw / np.sqrt((raw**2).sum(axis=0)))[:, 1:])


CONTRASTS: dict[str, Callable[[int], Floats]] = {
    "contr.treatment": _treatment,
    "contr.SAS": _sas,
    "contr.sum": _sum,
    "contr.helmert": _helmert,
    "contr.poly": _polynomial,
}
