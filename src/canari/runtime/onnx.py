"""A model as an ONNX graph, run in this process by onnxruntime."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import Any

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it reports to its maker otherwise, from the import on
import onnxruntime

from canari.errors import CanariError
from canari.model import Feeds, Predictions, Value
from canari.runtime import RowPredictions, Runtime
from canari.signature import MISSING, Signature

_LOG_ERRORS_ONLY = 3


class OnnxRuntime(Runtime):
    """One onnxruntime session on one thread: a row takes microseconds, and a pod is scaled by replicas.

    Raises `CanariError` where `onnx` is no graph that onnxruntime runs, or one that does not fit the signature.
    """

    inline = True

    def __init__(self, signature: Signature, onnx: bytes) -> None:
        super().__init__(signature)
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
        self._bound_row = None if any(c.kind == "category" for c in signature.inputs) else _BoundRow(self._session, signature)

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

    def predict_row(self, values: Sequence[Value]) -> RowPredictions:
        """Predict one row; see `canari.runtime.Runtime`."""
        bound = self._bound_row
        if bound is None or not bound.lock.acquire(blocking=False):
            return super().predict_row(values)
        try:
            return bound.predict(values)
        except Exception as error:  # noqa: BLE001  as above
            raise CanariError(f"{self.signature.tag}: the model failed: {_first_line(error)}") from None
        finally:
            bound.lock.release()

    def _no_predictions(self) -> Predictions:
        return {o.name: np.empty((0, o.width), object if o.kind == "class" else np.float64) for o in self.signature.outputs}


class _BoundRow:
    """Inputs and outputs of one row of numbers, in memory that onnxruntime reads and writes in place.

    Handing it an array a column, each time anew, takes longer than most models do.
    """

    def __init__(self, session: onnxruntime.InferenceSession, signature: Signature) -> None:
        self.lock = Lock()
        self._run = session.run_with_iobinding
        self._binding = session.io_binding()
        self._values = np.zeros((len(signature.inputs), 1, 1))
        self._flat = self._values.reshape(-1)
        # onnxruntime keeps no reference to the memory that it is given.
        self._held = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in self._values]
        for column, value in zip(signature.inputs, self._held, strict=True):
            self._binding.bind_ortvalue_input(column.name, value)
        self._read: list[Callable[[], Any]] = []
        for index, output in enumerate(signature.outputs):
            if output.kind == "class":
                self._binding.bind_output(output.name)
                self._read.append(partial(self._class, index))
                continue
            array = np.zeros((1, output.width))
            value = onnxruntime.OrtValue.ortvalue_from_numpy(array)
            self._held.append(value)
            self._binding.bind_ortvalue_output(output.name, value)
            self._read.append(array[0].tolist if output.width > 1 else array.item)

    def predict(self, values: Sequence[Value]) -> RowPredictions:
        """The row's predictions; whoever calls holds the lock."""
        self._flat[:] = values  # None becomes NaN
        self._run(self._binding)
        return [read() for read in self._read]

    def _class(self, index: int) -> str | None:
        label: str = self._binding.get_outputs()[index].numpy().item()
        return None if label == MISSING else label


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
