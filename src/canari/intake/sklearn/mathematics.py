"""The functions that FunctionTransformer and TransformedTargetRegressor may use."""

from typing import Any

import numpy as np
from sklearn.preprocessing import FunctionTransformer

from canari.errors import IntakeError
from canari.intake.sklearn.arrays import Table, Values
from canari.intake.sklearn.steps import transformer, unsupported

_FUNCTIONS: tuple[np.ufunc, ...] = (
    np.abs,
    np.cos,
    np.exp,
    np.expm1,
    np.log,
    np.log10,
    np.log1p,
    np.log2,
    np.negative,
    np.sin,
    np.sqrt,
    np.square,
    np.tanh,
)


def apply_function(step: Any, function: Any, values: Values) -> Values:
    """Apply an allowed function of numpy, or none; raises `IntakeError` for another one."""
    if function is None:
        return values
    if function not in _FUNCTIONS:
        allowed = ", ".join(f"numpy.{known.__name__}" for known in _FUNCTIONS)
        name = getattr(function, "__name__", repr(function))
        raise IntakeError(f"{type(step).__name__} uses the function {name!r}, which cannot be translated; it may use {allowed}")
    return values * values if function is np.square else function(values)


@transformer(FunctionTransformer)
def _transform_by_function(step: Any, table: Table) -> Table:
    if step.kw_args:
        raise unsupported(step, "kw_args=")
    return table if step.func is None else Table(matrix=apply_function(step, step.func, table.numbers))
