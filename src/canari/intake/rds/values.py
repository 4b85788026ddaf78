"""R values as plain data: nothing here can be evaluated."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from canari.errors import IntakeError

NA_INTEGER = -(2**31)  # R's missing integer or logical


@dataclass(slots=True, eq=False)
class RObject:
    """One R object.

    `type` is R's own name (`typeof`): NULL, logical, integer, double, complex, character, raw, list, expression, symbol,
    language, pairlist, closure, environment, promise, builtin, special, bytecode, externalptr, weakref, S4.

    `value` by type: logical and integer int32 arrays (missing is `NA_INTEGER`), double float64, complex complex128, character
    list[str | None], raw bytes, list and expression list[RObject], symbol str, language and pairlist list[(tag or None,
    RObject)] (a call's first element is its function), closure (environment, formals, body), builtin and special its name,
    environment "R_GlobalEnv", "base", "R_EmptyEnv", "namespace:NAME", "package:NAME" or None for one without a name; None for
    the others. Compiled code is read as the expression that it was compiled from, an argument without default as the symbol "".
    """

    type: str
    value: Any = None
    attributes: dict[str, "RObject"] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The `names` attribute (of a pairlist or call its tags), "" where there is none."""
        if self.type in ("language", "pairlist"):
            return [tag or "" for tag, _ in self.value]
        names = self.attributes.get("names")
        return [n or "" for n in names.value] if names is not None and names.type == "character" else []

    @property
    def classes(self) -> list[str]:
        """The `class` attribute, empty for none."""
        found = self.attributes.get("class")
        return [c or "" for c in found.value] if found is not None and found.type == "character" else []

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
        """Names and elements of a list, pairlist or call."""
        if self.type in ("language", "pairlist"):
            for tag, item in self.value:
                yield tag or "", item
        elif self.type in ("list", "expression"):
            names = self.names or [""] * len(self.value)
            yield from zip(names, self.value, strict=False)

    def require(self, name: str) -> "RObject":
        """Like `get`, but raise `IntakeError` where it is absent."""
        found = self.get(name)
        if found is None:
            what = f"object of class {self.classes[0]!r}" if self.classes else self.type
            raise IntakeError(f"the {what} has no {name!r}; it may have been made by another version of its package")
        return found

    def doubles(self) -> npt.NDArray[np.float64]:
        """A numeric or logical vector as doubles, missing ones as NaN; raises `IntakeError` for another type."""
        if self.type == "double":
            return np.asarray(self.value, dtype=np.float64)
        if self.type in ("integer", "logical"):
            values = np.asarray(self.value)
            return np.where(values == NA_INTEGER, np.nan, values.astype(np.float64))
        raise IntakeError(f"expected numbers, found {self.type}")

    def strings(self) -> list[str | None]:
        """A character vector, or a factor's labels; raises `IntakeError` for another type."""
        if self.type == "character":
            return list(self.value)
        if self.type == "integer" and "factor" in self.classes:
            levels = self.levels
            return [None if code == NA_INTEGER else levels[code - 1] for code in self.value.tolist()]
        raise IntakeError(f"expected text, found {self.type}")

    @property
    def levels(self) -> list[str]:
        """A factor's levels, empty for none."""
        found = self.attributes.get("levels")
        return [level or "" for level in found.value] if found is not None and found.type == "character" else []

    @property
    def dim(self) -> tuple[int, ...]:
        """The `dim` attribute, empty for a plain vector."""
        found = self.attributes.get("dim")
        return tuple(int(n) for n in found.doubles()) if found is not None else ()

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
        if int(np.prod(self.dim)) != len(values) or not self.dim:
            raise IntakeError(f"expected a matrix, found {len(values)} numbers with dimensions {self.dim}")
        return values.reshape(self.dim, order="F")
