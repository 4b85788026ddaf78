"""Robust linear models of the package MASS, which predict as linear ones do."""

from canari.intake.r.classes import lm
from canari.intake.r.model import Request
from canari.intake.rds import RObject

CLASSES = (("rlm", "lm"),)


class Model(lm.Model):
    """The linear predictor; of its errors, which `rlm` estimates otherwise, nothing."""

    def __init__(self, model: RObject, request: Request) -> None:
        request.choose("an rlm", "number")
        super().__init__(model, request)
