"""The classes of fitted models that are read: one class, one module here.

A module names in `CLASSES` the class attributes that it knows, whole (a class that only inherits from one of these may
predict otherwise), and has a `Model` as `canari.intake.r.model.RModel` describes it. That it is here is all that it takes.
"""

import pkgutil
from collections.abc import Mapping
from importlib import import_module

from canari.errors import IntakeError
from canari.intake.r.model import Request, RModel
from canari.intake.rds import RObject

# What an object that is not read itself often holds, and how to get it.
_WAYS_OUT = {
    "model_fit": "save the model that is in it, parsnip::extract_fit_engine(model)",
    "workflow": "save the model that is in it, parsnip::extract_fit_engine(model), with the recipe's work done in its formula",
    "train.recipe": "fit it by a formula, or with preProcess =",
    "data.frame": "it is data, not a model",
}


def read_model(model: RObject, request: Request) -> RModel:
    """A fitted model of any class that is known; raises `IntakeError` where it is of none, or cannot be translated."""
    reader = SUPPORTED.get(tuple(model.classes))
    if reader is None:
        known = ", ".join(sorted({"/".join(classes) for classes in SUPPORTED}))
        what = f"an object of class {'/'.join(model.classes)!r}" if model.classes else f"an R object of type {model.type}"
        way = next((f"; {_WAYS_OUT[name]}" for name in model.classes if name in _WAYS_OUT), "")
        raise IntakeError(f"the file holds {what}, which is not supported{way}; supported are {known}")
    return reader(model, request)


# Below what the modules may import from here: some models hold others.
SUPPORTED: Mapping[tuple[str, ...], type[RModel]] = {
    classes: module.Model
    for module in (import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    for classes in module.CLASSES
}
