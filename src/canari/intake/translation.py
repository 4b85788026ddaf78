"""What every reader of a kind of model file answers, before anything is proved."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from canari.model import Checks, Feeds, Predictions
from canari.signature import Input, Output, Source


@dataclass(frozen=True, kw_only=True)
class Translation:
    """A fitted model as an ONNX graph in double precision (its inputs and outputs as `canari.model` says).

    `evaluate` predicts on the same feeds without onnxruntime; the proof compares the two.
    """

    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    onnx: bytes
    evaluate: Callable[[Feeds], Predictions]
    tied: Callable[[Feeds], npt.NDArray[np.bool_]] | None = None  # [n, labels]: where the source draws a class at random
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A model file's content: the translated model, where it comes from, and the rows that can prove it (None without)."""

    translation: Translation
    source: Source
    checks: Checks | None
    name: str | None  # what the file calls itself
