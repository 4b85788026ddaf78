"""Elastic nets with the lambda chosen by cross-validation: `cv.glmnet`."""

from dataclasses import replace

from canari.errors import IntakeError
from canari.intake.r.classes import glmnet
from canari.intake.r.model import Request
from canari.intake.rds import RObject

CLASSES = (("cv.glmnet",), ("cv.relaxed", "cv.glmnet"))

_LAMBDAS = ("lambda.1se", "lambda.min")
_GAMMAS = ("gamma.1se", "gamma.min")


class Model(glmnet.Model):
    """What `predict` answers at `s`: "lambda.1se", as usual, "lambda.min" or a number; of a relaxed fit also at `gamma`."""

    def __init__(self, model: RObject, request: Request) -> None:
        relaxed = model.classes[0] == "cv.relaxed"
        request.take_only("a cv.glmnet", "s", *(["gamma"] if relaxed else []))
        chosen = model.require("relaxed") if relaxed else model
        penalty, blend = request.arguments.get("s"), request.arguments.get("gamma")
        usual_blend = _GAMMAS[0]
        if penalty is None or penalty.type == "character":
            which = request.word("s", *_LAMBDAS)
            penalty, usual_blend = chosen.require(which), _GAMMAS[_LAMBDAS.index(which)]
        arguments = {"s": penalty}
        if relaxed:
            named = blend is not None and blend.type == "character"
            if blend is None or named:
                blend = chosen.require(request.word("gamma", *_GAMMAS) if named else usual_blend)
            arguments["gamma"] = blend
        fitted = model.require("glmnet.fit")
        if tuple(fitted.classes) not in glmnet.CLASSES:
            raise IntakeError(f"the cv.glmnet holds a fit of class {'/'.join(fitted.classes)!r}, which is not supported")
        super().__init__(fitted, replace(request, arguments=arguments))
