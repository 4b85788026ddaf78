"""R's `terms`: from the columns of the data to the variables of a formula, and from these to the linear predictor.

The formula is not parsed again. Its variables are the expressions in `predvars`, in which the fit has put what it computed
from its rows (knots, centres, ...); how they combine is in the matrix `factors` (1: coded by contrasts, 2: by one dummy
variable a level), as in R's model.frame and model.matrix.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array, take
from canari.intake.r.columns import Column, logical_as_factor
from canari.intake.r.contrasts import CONTRASTS, contrast_matrix
from canari.intake.r.functions import CONSTANTS, Scope, evaluate, variable_of
from canari.intake.r.language import function_name, symbols
from canari.intake.rds import RObject
from canari.signature import InputKind

_CONSTANT_SYMBOLS = {*CONSTANTS, *CONTRASTS}
_INPUT_KINDS: dict[str, InputKind] = {"logical": "boolean", "factor": "category", "ordered": "category", "character": "category"}


@dataclass(frozen=True)
class Need:
    """A column of the data that a model takes, as far as the model itself knows it."""

    kind: InputKind
    levels: tuple[str, ...] = ()
    held: int = 0  # the length of a constant of this name that the file holds, for rows without such a column


@dataclass(frozen=True)
class Variable:
    """One variable of a formula: an expression in the columns of the data."""

    name: str
    expression: RObject
    data_class: str  # R's: numeric, logical, factor, ordered, character, nmatrix.k
    levels: tuple[str, ...]  # of the fit, of a factor or text


class Terms:
    """The right-hand side of a fitted model's formula; raises `IntakeError` where it lacks what R stores there."""

    def __init__(self, terms: RObject, xlevels: RObject | None) -> None:
        attributes = terms.attributes
        self._environment = attributes.get(".Environment")
        for required in ("variables", "factors", "intercept", "response", "dataClasses"):
            if required not in attributes:
                raise IntakeError(f"the model's terms have no {required!r}; a model frame must have made them")
        levels = {name: tuple(str(level) for level in found.strings()) for name, found in (xlevels.items() if xlevels else ())}
        classes = dict(zip(attributes["dataClasses"].names, attributes["dataClasses"].strings(), strict=True))
        expressions = [value for _, value in attributes.get("predvars", attributes["variables"]).value[1:]]
        self._response = _integer(attributes["response"]) - 1
        self.intercept = bool(_integer(attributes["intercept"]))
        self._variables = [
            Variable(name, expression, str(data_class), levels.get(name, ()))
            for (name, data_class), expression in zip(classes.items(), expressions, strict=False)
        ]
        factors = attributes["factors"]
        coding = factors.matrix().astype(int) if factors.dim else np.zeros((len(expressions), 0), int)
        if len(coding) != len(self._variables):
            raise IntakeError(f"the model's terms have {len(coding)} variables, but classes for {len(self._variables)}")
        self._coding = coding.copy()
        if self._response >= 0:
            self._coding[self._response] = 0  # R leaves the response out of the terms
        offsets = attributes.get("offset")
        self._offsets = [int(i) - 1 for i in offsets.doubles()] if offsets is not None else []

    @property
    def used(self) -> list[Variable]:
        """The variables of the terms, without the response and the offsets."""
        return [variable for variable, row in zip(self._variables, self._coding, strict=True) if row.any()]

    @property
    def has_offset(self) -> bool:
        """Whether the formula has an offset."""
        return bool(self._offsets)

    def needs(self) -> dict[str, Need]:
        """The columns of the data that the variables and offsets are made of."""
        found: dict[str, Need] = {}
        for variable in [*self.used, *(self._variables[i] for i in self._offsets)]:
            if variable.data_class.startswith(("nmatrix", "other")) and variable.expression.type == "symbol":
                raise IntakeError(
                    f"the column {variable.name!r} is a matrix or of a class of its own; give its numbers as columns"
                )
            for name in symbols(variable.expression):
                if name not in _CONSTANT_SYMBOLS:
                    need = self._need(variable, name)
                    if name not in found or variable.name == name or (need.levels and not found[name].levels):
                        found[name] = need
        return found

    def frame(self, columns: Mapping[str, Column]) -> dict[str, Column]:
        """R's model.frame: the variables of the terms, factors coded by the levels of the fit."""
        scope = Scope(columns, self._environment)
        return {variable.name: _as_fitted(variable, evaluate(variable.expression, scope)) for variable in self.used}

    def linear_predictor(
        self, columns: Mapping[str, Column], coefficients: npt.NDArray[np.float64], contrasts: RObject | None
    ) -> Array:
        """The model matrix times the coefficients, [n, 1], plus the offsets; a coefficient that is NaN was not estimated."""
        eta = self.product(columns, coefficients[:, None], contrasts)
        offset = self.offset(columns)
        return eta if offset is None else eta + offset

    def product(self, columns: Mapping[str, Column], weights: npt.NDArray[np.float64], contrasts: RObject | None) -> Array:
        """The model matrix times `weights`, [p, k]: [n, k]; a column of the matrix whose weights are NaN is left out."""
        result: Array = np.zeros((1, weights.shape[1]))
        varying, their_weights, start = [], [], 0
        for block in self._blocks(columns, contrasts, len(weights)):
            own = weights[start : start + block.shape[1]]
            start += block.shape[1]
            estimated = np.flatnonzero(~np.isnan(own[:, 0]))
            kept = block if len(estimated) == len(own) else take(block, estimated, axis=1)
            if block.shape[0] == 1:  # the same for all rows
                result = result + kept @ own[estimated]
            elif len(estimated):
                varying.append(kept)
                their_weights.append(own[estimated])
        if varying:
            matrix = varying[0] if len(varying) == 1 else np.concatenate(varying, axis=1)
            result = matrix @ np.concatenate(their_weights) + result
        return result

    def model_matrix(self, columns: Mapping[str, Column], contrasts: RObject | None, width: int) -> Array:
        """R's model.matrix, [n, width], with the intercept's column where there is one."""
        blocks = self._blocks(columns, contrasts, width)
        rows = next((block for block in blocks if block.shape[0] != 1), None)
        if rows is None:
            return np.concatenate(blocks, axis=1)
        first = take(rows, [0], axis=1)
        ones = np.where(np.isnan(first), 1.0, 1.0)
        return np.concatenate([ones * block if block.shape[0] == 1 else block for block in blocks], axis=1)

    def offset(self, columns: Mapping[str, Column]) -> Array | None:
        """The sum of the formula's offsets, [n, 1]; None where it has none."""
        total: Array | None = None
        scope = Scope(columns, self._environment)
        for index in self._offsets:
            variable = self._variables[index]
            values = evaluate(variable.expression, scope).numbers(variable.name)
            total = values if total is None else total + values
        return total

    def _need(self, variable: Variable, name: str) -> Need:
        """What one of its variables takes; a variable that is a column's own name is no constant."""
        held = None if variable.expression.type == "symbol" else variable_of(self._environment, name)
        return replace(_need(variable, name), held=0 if held is None else len(held.value))

    def _blocks(self, columns: Mapping[str, Column], contrasts: RObject | None, width: int) -> list[Array]:
        blocks = self._model_matrix(self.frame(columns), dict(contrasts.items()) if contrasts else {})
        made = sum(block.shape[1] for block in blocks)
        if made != width:
            raise IntakeError(f"the formula makes {made} columns, but the model has {width} coefficients")
        return blocks

    def _model_matrix(self, frame: Mapping[str, Column], contrasts: Mapping[str, RObject]) -> list[Array]:
        """One block [n, columns] a term, the intercept first."""
        variables = {name: logical_as_factor(c) if c.kind == "logical" else c for name, c in frame.items()}
        coding = self._coding.copy()
        if not self.intercept:
            self._code_first_factor_fully(coding, variables)
        blocks: list[Array] = [np.ones((1, 1))] if self.intercept else []
        for term in coding.T:
            product: Array | None = None
            for variable, code in zip(self._variables, term, strict=True):
                if code:
                    block = _block(variables[variable.name], contrasts.get(variable.name), variable.name, full=code == 2)
                    product = block if product is None else _products(product, block)
            if product is not None:
                blocks.append(product)
        return blocks

    def _code_first_factor_fully(self, coding: npt.NDArray[np.int_], variables: Mapping[str, Column]) -> None:
        """Without an intercept, the first factor of the first term that has one gets a column for each level."""
        for term in coding.T:
            for row, variable in enumerate(self._variables):
                if term[row] and variables[variable.name].is_text:
                    term[row] = 2
                    return


def call_offset(model: RObject, columns: Mapping[str, Column]) -> Array | None:
    """The offset that was given as an argument of the fitting function, as R's predict evaluates it: in the new rows."""
    expression = _offset_argument(model)
    return None if expression is None else evaluate(expression, columns).numbers("offset")


def call_offset_needs(model: RObject) -> dict[str, Need]:
    """The columns of the data in that argument."""
    expression = _offset_argument(model)
    return {} if expression is None else {name: Need("number") for name in symbols(expression) if name not in _CONSTANT_SYMBOLS}


def _offset_argument(model: RObject) -> RObject | None:
    call = model.get("call")
    expression = call.get("offset") if call is not None else None
    if expression is not None and expression.type not in ("symbol", "language"):
        raise IntakeError("the call gives offset= as one number for each row of the training; write offset(...) into the formula")
    return expression


def _need(variable: Variable, name: str) -> Need:
    if variable.expression.type == "symbol":
        kind = _INPUT_KINDS.get(variable.data_class, "number")
        return Need(kind, variable.levels if kind == "category" else ())
    call = variable.expression
    labels_a_column = function_name(call) in ("factor", "as.factor", "ordered", "as.character") and call.value[1][1].value == name
    if labels_a_column and len(call.value) == 2 and not all(map(_is_number, variable.levels)):
        return Need("category", variable.levels)
    return Need("number")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _as_fitted(variable: Variable, column: Column) -> Column:
    if variable.levels:
        return column.coded(variable.levels, variable.name)
    if column.kind == "uncoded":
        raise IntakeError(f"the model has no levels for {variable.name!r}; give factor() its levels=")
    if column.is_text and variable.data_class not in ("factor", "ordered", "character"):
        raise IntakeError(f"{variable.name!r} was {variable.data_class} when the model was fitted, but is a text in the rows")
    return column


def _block(column: Column, contrast: RObject | None, name: str, *, full: bool) -> Array:
    if not column.is_text:
        return column.numbers(name)
    levels = len(column.levels)
    table = np.eye(levels) if full else contrast_matrix(contrast, levels, name)
    with_missing = np.vstack([table, np.full(table.shape[1], np.nan)])
    block: Array = np.reshape(column.lookup(with_missing), (-1, table.shape[1]))
    return block


def _products(first: Array, second: Array) -> Array:
    """All products of their columns, those of the first varying fastest."""
    widths = first.shape[1], second.shape[1]
    if 1 in widths:
        product: Array = first * second
        return product
    products = np.reshape(second, (-1, widths[1], 1)) * np.reshape(first, (-1, 1, widths[0]))
    reshaped: Array = np.reshape(products, (-1, widths[0] * widths[1]))
    return reshaped


def _integer(value: RObject) -> int:
    return int(value.doubles()[0])
