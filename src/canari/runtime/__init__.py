"""Running one model: rows in, predictions out, whatever it was made with."""

from typing import Protocol

from canari.model import Feeds, Predictions
from canari.signature import Signature


class Runtime(Protocol):
    """A model that can predict; `canari.runtime.onnx.OnnxRuntime` is one."""

    @property
    def signature(self) -> Signature:
        """The contract that feeds and predictions keep."""
        ...

    def predict(self, feeds: Feeds) -> Predictions:
        """Predict n rows: what `canari.runtime.feeds.to_feeds` answers in, one array for each of the signature's outputs out.

        A number or probability is float64 [n, k] (NaN where missing), a class an object array [n, 1] of str, or None where
        missing. Safe to call from several threads.
        """
        ...
