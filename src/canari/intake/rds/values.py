"""R values as plain data: nothing here can be evaluated."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from canari.errors import IntakeError

NA_INTEGER = -(2**31)  # R's missing integer or logical
NA_REAL = float(np.array([0x7FF00000000007A2], np.uint64).view(np.float64)[0])  # its missing double: a NaN with 1954 in it
_NA_PAYLOAD = 1954
_VECTORS = ("logical", "integer", "double", "complex", "character", "raw", "list", "expression")


@dataclass(slots=True, eq=False, repr=False)
class RObject:
    """One R object.

    `type` is R's own name (`typeof`): NULL, logical, integer, double, complex, character, raw, list, expression, symbol,
    language, pairlist, closure, environment, promise, builtin, special, bytecode, externalptr, weakref, S4.

    `value` by type: logical and integer int32 arrays (missing is `NA_INTEGER`), double float64, complex complex128, character
    list[str | None], raw bytes, list and expression list[RObject], symbol str, language and pairlist list[(tag or None,
    RObject)] (a call's first element is its function), closure (environment, formals, body), builtin and special its name,
    environment `Environment`, promise `Promise`; None for the others. An S4 object's slots are its attributes. Compiled code is
    read as the expression that it was compiled from, an argument without default as the symbol "".

    An environment may hold itself; what walks objects must remember where it has been. Two objects are equal only where they
    are the same one. Every method raises `IntakeError` alone, whatever a file holds.
    """

    type: str
    value: Any = None
    attributes: dict[str, "RObject"] = field(default_factory=dict)

    def __repr__(self) -> str:
        """What it is, not what it holds: that may be large, or the object itself."""
        length = f" of {len(self.value)}" if self.type in _VECTORS else ""
        named = f" {self.value[:60]!r}" if self.type == "symbol" else ""
        return f"<R {self.type}{named}{length}{f', class {self.classes[0][:60]!r}' if self.classes else ''}>"

    @property
    def names(self) -> list[str]:
        """The `names` attribute (of a pairlist or call its tags), "" where there is none."""
        if self.type in ("language", "pairlist"):
            return [tag or "" for tag, _ in self.value]
        return self._texts("names")

    @property
    def classes(self) -> list[str]:
        """The `class` attribute, empty for none."""
        return self._texts("class")

    @property
    def levels(self) -> list[str]:
        """A factor's levels, empty for none."""
        return self._texts("levels")

    def _texts(self, attribute: str) -> list[str]:
        found = self.attributes.get(attribute)
        return [text or "" for text in found.value] if found is not None and found.type == "character" else []

    @property
    def is_null(self) -> bool:
        """Whether this is R's NULL."""
        return self.type == "NULL"

    def get(self, name: str) -> "RObject | None":
        """The first element of that name of a list, pairlist or call; None where it is absent or NULL."""
        for key, item in self.items():
            if key == name:
                return None if item.is_null else item
        return None

    def items(self) -> Iterator[tuple[str, "RObject"]]:
        """Names and elements of a list, pairlist or call; the name of an element without one is ""."""
        if self.type in ("language", "pairlist"):
            for tag, item in self.value:
                yield tag or "", item
        elif self.type in ("list", "expression"):
            names = self.names
            names += [""] * (len(self.value) - len(names))
            yield from zip(names, self.value, strict=False)

    def require(self, name: str) -> "RObject":
        """Like `get`, but raise `IntakeError` where it is absent."""
        found = self.get(name)
        if found is None:
            what = f"object of class {self.classes[0][:60]!r}" if self.classes else self.type
            raise IntakeError(f"the {what} has no {name!r}; it may have been made by another version of its package")
        return found

    @property
    def variables(self) -> Mapping[str, "RObject"]:
        """An environment's own variables, as they are stored: one may be a promise; empty for what is no environment."""
        return self.value.variables if self.type == "environment" else {}

    @property
    def enclosure(self) -> "RObject | None":
        """The environment around an environment (its parent); None where the file does not hold it."""
        return self.value.enclosure if self.type == "environment" else None

    def lookup(self, name: str) -> "RObject | None":
        """The value of a variable as R finds it from this environment: in itself, else in those around it.

        None where the file does not hold it: not at all, or only as an argument that was never evaluated.
        """
        environment: RObject | None = self
        seen: set[int] = set()
        while environment is not None and id(environment) not in seen:
            seen.add(id(environment))
            if name in environment.variables:
                found = environment.variables[name]
                return _forced(found) if found.type == "promise" else found
            environment = environment.enclosure
        return None

    def doubles(self) -> npt.NDArray[np.float64]:
        """A numeric or logical vector as doubles, missing integers as `NA_REAL`; raises `IntakeError` for another type."""
        if self.type == "double":
            return np.asarray(self.value, dtype=np.float64)
        if self.type in ("integer", "logical"):
            found: npt.NDArray[np.float64] = self.value.astype(np.float64)
            found[self.value == NA_INTEGER] = NA_REAL
            return found
        raise IntakeError(f"expected numbers, found {self.type}")

    def missing(self) -> npt.NDArray[np.bool_]:
        """Which elements of a vector are R's NA; a NaN that was computed is none. Raises `IntakeError` for another type."""
        match self.type:
            case "logical" | "integer":
                found: npt.NDArray[np.bool_] = self.value == NA_INTEGER
            case "double":
                found = _is_na(self.value)
            case "complex":
                found = _is_na(self.value.real) | _is_na(self.value.imag)
            case "character":
                found = np.fromiter((text is None for text in self.value), bool, len(self.value))
            case "raw":
                found = np.zeros(len(self.value), bool)
            case kind:
                raise IntakeError(f"expected a vector, found {kind}")
        return found

    def strings(self) -> list[str | None]:
        """A character vector, or a factor's labels; raises `IntakeError` for another type or a code that has no level."""
        if self.type == "character":
            return list(self.value)
        if self.type == "integer" and "factor" in self.classes:
            levels = self.levels
            wrong = self.value[(self.value != NA_INTEGER) & ((self.value < 1) | (self.value > len(levels)))]
            if len(wrong):
                raise IntakeError(f"a factor is damaged: it has the code {wrong[0]}, but {len(levels)} levels")
            return [None if code == NA_INTEGER else levels[code - 1] for code in self.value.tolist()]
        raise IntakeError(f"expected text, found {self.type}")

    @property
    def dim(self) -> tuple[int, ...]:
        """The `dim` attribute, empty for a plain vector; raises `IntakeError` where it holds no dimensions."""
        found = self.attributes.get("dim")
        if found is None:
            return ()
        sizes = found.doubles()
        if not all(size.is_integer() and 0 <= size < 2**53 for size in sizes.tolist()):
            raise IntakeError(f"expected dimensions, found {', '.join(f'{size:g}' for size in sizes[:5])}")
        return tuple(int(size) for size in sizes)

    @property
    def dimnames(self) -> list[list[str]]:
        """One list of names a dimension, empty where there are none."""
        found = self.attributes.get("dimnames")
        if found is None or found.type != "list":
            return []
        return [[n or "" for n in names.value] if names.type == "character" else [] for names in found.value]

    def matrix(self) -> npt.NDArray[np.float64]:
        """A numeric matrix or array in its own shape; raises `IntakeError` where the length does not fit."""
        values = self.doubles()
        dim = self.dim
        if not 0 < len(dim) <= _MOST_DIMENSIONS or math.prod(dim) != len(values):
            shape = " x ".join(map(str, dim[:_MOST_DIMENSIONS])) or "none"
            raise IntakeError(f"expected a matrix, found {len(values)} numbers with the dimensions {shape}")
        return values.reshape(dim, order="F")


_MOST_DIMENSIONS = 8


@dataclass(slots=True, eq=False)
class Environment:
    """What an environment holds; its repr is short because that of its variables is."""

    name: str | None = None  # R_GlobalEnv, base, R_EmptyEnv, namespace:NAME, package:NAME; None for one without a name
    variables: dict[str, RObject] = field(default_factory=dict, repr=False)
    enclosure: RObject | None = None


@dataclass(slots=True, eq=False)
class Promise:
    """An argument of a function, as R passes it: an expression that is evaluated where it is first used."""

    expression: RObject
    value: RObject | None  # None where it was never evaluated
    environment: RObject | None  # where it is to be evaluated; None where it was


def _forced(promise: RObject) -> RObject | None:
    """The value of a promise, as far as it is known without evaluating anything."""
    if promise.value.value is not None:
        found: RObject = promise.value.value
        return found
    expression: RObject = promise.value.expression
    return expression if expression.type in _VECTORS else None


def _is_na(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    payload = np.ascontiguousarray(values).view(np.uint64) & np.uint64(0xFFFFFFFF)
    found: npt.NDArray[np.bool_] = np.isnan(values) & (payload == _NA_PAYLOAD)
    return found
