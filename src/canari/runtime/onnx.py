"""A model as an ONNX graph, run in this process by onnxruntime."""

import os
from collections.abc import Sequence

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it reports to its maker otherwise, from the import on
import onnxruntime

from canari.errors import CanariError
from canari.model import Feeds, Predictions
from canari.signature import MISSING, Signature

_LOG_ERRORS_ONLY = 3


class OnnxRuntime:
    """One onnxruntime session on one thread: a row takes microseconds, and a pod is scaled by replicas.

    Raises `CanariError` where `onnx` is no graph that onnxruntime runs, or one that does not fit the signature.
    """

    def __init__(self, signature: Signature, onnx: bytes) -> None:
        self.signature = signature
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = _LOG_ERRORS_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001  onnxruntime's exceptions share no other base
            raise CanariError(f"{signature.tag}: onnxruntime does not load the model: {_first_line(error)}") from None
        _check_fit(
            signature.tag,
            "input",
            self._session.get_inputs(),
            {
                column.name: ("tensor(string)" if column.kind == "category" else "tensor(double)", 1)
                for column in signature.inputs
            },
        )
        _check_fit(
            signature.tag,
            "output",
            self._session.get_outputs(),
            {o.name: ("tensor(string)" if o.kind == "class" else "tensor(double)", o.width) for o in signature.outputs},
        )
        self._names = [output.name for output in signature.outputs]
        self._classes = [output.name for output in signature.outputs if output.kind == "class"]

    def predict(self, feeds: Feeds) -> Predictions:
        """Predict n rows; see `canari.runtime.Runtime`."""
        if not len(next(iter(feeds.values()))):
            return self._no_predictions()
        try:
            answers = self._session.run(self._names, feeds)
        except Exception as error:  # noqa: BLE001  as above
            raise CanariError(f"{self.signature.tag}: the model failed: {_first_line(error)}") from None
        predictions: Predictions = dict(zip(self._names, answers, strict=True))
        for name in self._classes:
            labels = predictions[name]
            missing = labels == MISSING
            if missing.any():
                labels[missing] = None
        return predictions

    def _no_predictions(self) -> Predictions:
        return {o.name: np.empty((0, o.width), object if o.kind == "class" else np.float64) for o in self.signature.outputs}


def _check_fit(tag: str, what: str, found: Sequence[onnxruntime.NodeArg], expected: dict[str, tuple[str, int]]) -> None:
    names = [node.name for node in found]
    if sorted(names) != sorted(expected):
        raise CanariError(f"{tag}: the graph's {what}s are {', '.join(names)}; the signature's are {', '.join(expected)}")
    for node in found:
        datatype, width = expected[node.name]
        # A dimension without a number is one that the graph leaves open.
        open_width = len(node.shape) == 2 and not isinstance(node.shape[1], int)
        if node.type != datatype or not (open_width or (len(node.shape) == 2 and node.shape[1] == width)):
            raise CanariError(
                f"{tag}: the graph's {what} {node.name!r} is {node.type} {node.shape}; the signature's is {datatype} [n, {width}]"
            )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
