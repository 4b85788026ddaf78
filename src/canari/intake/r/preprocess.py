"""caret's `preProcess`: what was learnt of the training's columns, applied to new ones in the order of its predict method."""

from collections.abc import Mapping

import numpy as np

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array, take
from canari.intake.r.columns import Column
from canari.intake.rds import RObject

_REFUSED = {
    "knnImpute": 'looks for the nearest of the training\'s rows; impute with "medianImpute"',
    "bagImpute": 'grows trees for each missing value; impute with "medianImpute"',
}
_EPSILON = float(np.finfo(np.float64).eps)
_FUDGE = 0.001  # of recipes::yj_transform


class PreProcess:
    """A fitted `preProcess`; raises `IntakeError` for a method of it that is not translated."""

    def __init__(self, fitted: RObject) -> None:
        method = fitted.require("method")
        if method.type != "list":
            raise IntakeError("the preProcess was made by a version of caret before 6.0-60; fit it again")
        self._methods = {
            name: [str(text) for text in found.strings()] for name, found in method.items() if found.type == "character"
        }
        for name, reason in _REFUSED.items():
            if name in self._methods:
                raise IntakeError(f"preProcess's method {name!r} {reason}")
        self._fitted = fitted

    @property
    def imputes(self) -> bool:
        """Whether it replaces missing values."""
        return "medianImpute" in self._methods

    def removes(self, name: str) -> bool:
        """Whether it drops this column unseen."""
        return name in self._methods.get("remove", ())

    def apply(self, columns: Mapping[str, Column]) -> dict[str, Column]:
        """The columns as the final model was fitted to them."""
        self._columns = {name: column for name, column in columns.items() if not self.removes(name)}
        for name in self._strings("invHyperbolicSine"):
            x = self._numbers(name)
            self._set(name, np.log(x + np.sqrt(x * x + 1.0)))
        self._box_cox()
        for name, value in self._named("yj"):
            if not np.isnan(value):
                self._set(name, _yeo_johnson(self._numbers(name), value))
        self._exponential()
        self._range()
        for name, value in self._named("mean") if "center" in self._methods else ():
            if name in self._methods["center"]:
                self._set(name, self._numbers(name) - value)
        for name, value in self._named("std") if "scale" in self._methods else ():
            if name in self._methods["scale"]:
                self._set(name, self._numbers(name) / value)
        for name, value in self._named("median") if self.imputes else ():
            if name in self._columns:
                x = self._numbers(name)
                self._set(name, np.where(np.isnan(x), value, x))
        components = self._components("pca") + self._components("ica")
        self._spatial_sign(components)
        return self._columns

    def _strings(self, name: str) -> list[str]:
        return self._methods.get(name, [])

    def _numbers(self, name: str) -> Array:
        if name not in self._columns:
            raise IntakeError(f"preProcess changes the column {name!r}, which there is not")
        return self._columns[name].numbers(name)

    def _set(self, name: str, values: Array) -> None:
        self._columns[name] = Column(values, "number")

    def _named(self, field: str) -> list[tuple[str, float]]:
        found = self._fitted.get(field)
        if found is None or found.type not in ("double", "integer"):
            return []
        return list(zip(found.names, found.doubles().tolist(), strict=True))

    def _box_cox(self) -> None:
        for name, found in (self._fitted.get("bc") or RObject("list", [])).items():
            power = float(found.require("lambda").doubles()[0])
            fudge = float(found.require("fudge").doubles()[0])
            if np.isnan(power) or abs(power - 1.0) < fudge:
                continue
            x = self._numbers(name)
            self._set(name, np.log(x) if abs(power) < fudge else (x**power - 1.0) / power)

    def _exponential(self) -> None:
        """Manly's transformation."""
        for name, found in (self._fitted.get("et") or RObject("list", [])).items():
            power = float(found.require("lambda").doubles()[0])
            if not np.isnan(power) and power != 0.0:
                self._set(name, (np.exp(power * self._numbers(name)) - 1.0) / power)

    def _range(self) -> None:
        if "range" not in self._methods:
            return
        found = self._fitted.require("ranges")
        bounds = self._fitted.get("rangeBounds")
        lower, upper = (0.0, 1.0) if bounds is None else bounds.doubles().tolist()
        columns = found.dimnames[1]
        for name in self._methods["range"]:
            least, most = found.matrix()[:, columns.index(name)]
            self._set(name, (self._numbers(name) - least) / ((most - least) / (upper - lower)) + lower)

    def _components(self, method: str) -> list[str]:
        """Principal or independent components in the place of the columns that they are made of."""
        if method not in self._methods:
            return []
        if method == "pca":
            rotation = self._fitted.require("rotation")
            # One component is a plain vector.
            weights = rotation.matrix() if rotation.dim else rotation.doubles()[:, None]
            labels = [f"PC{i + 1}" for i in range(weights.shape[1])]
        else:
            ica = self._fitted.require("ica")
            weights = ica.require("K").matrix() @ ica.require("W").matrix()
            labels = [f"ICA{i + 1}" for i in range(weights.shape[1])]
        of = self._methods[method]
        scores = np.concatenate([self._numbers(name) for name in of], axis=1) @ weights
        keep = self._methods.get("keep") or self._strings("spatialSign")
        self._columns = {name: column for name, column in self._columns.items() if name not in of or name in keep}
        for i, label in enumerate(labels):
            self._set(label, take(scores, [i], axis=1))
        return labels

    def _spatial_sign(self, components: list[str]) -> None:
        wildcards = self._fitted.get("wildcards")
        signs = wildcards is not None and any(
            "spatialSign" in found.strings() for _, found in wildcards.items() if found.type == "character"
        )
        names = [*self._strings("spatialSign"), *(components if signs else [])]
        if not names:
            return
        x = np.concatenate([self._numbers(name) for name in names], axis=1)
        known = np.where(np.isnan(x), 0.0, x)
        length = np.sqrt((known * known) @ np.ones((len(names), 1)))
        signed = np.where(length > _EPSILON, x / length, x * 0.0)
        for i, name in enumerate(names):
            self._set(name, take(signed, [i], axis=1))


def _yeo_johnson(x: Array, power: float) -> Array:
    """Yeo and Johnson (2000), Biometrika 87, 954-959, in the form of recipes::yj_transform."""
    up = np.where(x < 0.0, 0.0, x)
    down = np.where(x < 0.0, -x, 0.0)
    high = np.log(up + 1.0) if abs(power) < _FUDGE else ((up + 1.0) ** power - 1.0) / power
    low = -np.log(down + 1.0) if abs(power - 2.0) < _FUDGE else -((down + 1.0) ** (2.0 - power) - 1.0) / (2.0 - power)
    return np.where(x < 0.0, low, high)
