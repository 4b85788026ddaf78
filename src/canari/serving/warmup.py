"""Before the first caller: the model must repeat, on this machine, what its proof says."""

import math

from canari.errors import CanariError
from canari.model import Checks, Model, number
from canari.runtime import Runtime
from canari.runtime.feeds import to_feeds
from canari.runtime.onnx import OnnxRuntime
from canari.signature import TOLERANCE


def warm(model: Model) -> Runtime:
    """The model, ready to predict; raises `CanariError` where it does not repeat the source's own predictions.

    Every number of every check row must be within the proof's tolerance. A class may differ on as many rows as the source
    drew at random. A model imported unproved has nothing to repeat.
    """
    runtime = OnnxRuntime(model.signature, model.onnx)
    if model.checks is not None:
        _repeat_proof(runtime, model, model.checks)
    return runtime


def _repeat_proof(runtime: Runtime, model: Model, checks: Checks) -> None:
    signature = model.signature
    tolerance = signature.proof.tolerance if signature.proof else TOLERANCE
    draws = signature.proof.ties if signature.proof else 0
    predictions = runtime.predict(to_feeds(signature.inputs, checks.rows))
    for output in signature.outputs:
        for index, name in enumerate(output.columns):
            recorded = checks.predictions[name]
            for row, (ours, theirs) in enumerate(zip(predictions[output.name][:, index].tolist(), recorded, strict=True)):
                if output.kind == "class":
                    agree = ours == theirs or (draws := draws - 1) >= 0
                else:
                    agree = _agree(ours, number(theirs), tolerance)
                if not agree:
                    raise CanariError(
                        f"{signature.tag} does not repeat its proof: check row {row}, {name!r}: expected {theirs}, came {ours}"
                    )


def _agree(ours: float, theirs: float, tolerance: float) -> bool:
    if math.isnan(theirs) or math.isinf(theirs):
        return math.isnan(ours) if math.isnan(theirs) else ours == theirs
    return abs(ours - theirs) <= tolerance * max(1.0, abs(theirs))
