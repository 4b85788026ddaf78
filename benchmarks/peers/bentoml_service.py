"""The model in a plain BentoML API: MODEL_ONNX=FILE bentoml serve bentoml_service:Plain."""

import os
from typing import Any

import bentoml
import numpy as np
import onnxruntime


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Plain:
    """Records in, records out."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(os.environ["MODEL_ONNX"], options)

    @bentoml.api  # type: ignore[untyped-decorator]
    async def predict(self, rows: list[dict[str, float]]) -> list[dict[str, float]]:
        """A coroutine, the quickest of BentoML's ways: a plain method would wait for a thread."""
        feeds: dict[str, Any] = {name: np.array([[row[name]] for row in rows]) for name in rows[0]}
        (probability,) = self._session.run(None, feeds)
        return [{"prediction": value} for value in probability[:, 0].tolist()]
