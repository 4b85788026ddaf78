"""The special functions in the formulas of package survival: strata() and cluster() are no terms of the model matrix."""

from collections.abc import Sequence

import numpy as np

from canari.errors import IntakeError
from canari.intake.rds import RObject


def special(terms: RObject, name: str) -> list[int]:
    """The positions among the variables of those that are calls of this function."""
    specials = terms.attributes.get("specials")
    found = specials.get(name) if specials is not None else None
    return [int(i) - 1 for i in found.doubles()] if found is not None else []


def without(terms: RObject, variables: Sequence[int], what: str) -> RObject:
    """The terms without those that are these variables; raises `IntakeError` where one interacts with others."""
    factors = terms.attributes["factors"]
    if not variables or not factors.dim:
        return terms
    coding = factors.matrix()
    dropped = coding[list(variables)].any(axis=0)
    if (dropped & ((coding > 0).sum(axis=0) > 1)).any():
        raise IntakeError(
            f"{what} with an interaction of strata() is not supported; fit it with the product as a term of its own"
        )
    kept = coding[:, ~dropped]
    reduced = RObject("double", kept.ravel(order="F"), {"dim": RObject("integer", np.array(kept.shape, np.int32))})
    return RObject(terms.type, terms.value, terms.attributes | {"factors": reduced})
