"""Running one model: rows in, predictions out, whatever it was made with and wherever it runs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeAlias

from canari.model import Feeds, Predictions, Value
from canari.runtime.feeds import row_feeds
from canari.signature import Signature

# One row's predictions, one element an output: a float (NaN where missing), a list of them for the probabilities of several
# labels, or a class, None where missing.
RowPredictions: TypeAlias = list[float | list[float] | str | None]


class Runtime(ABC):
    """A model that can predict; `canari.runtime.onnx.OnnxRuntime` is one.

    A runtime that predicts in this process in microseconds is `inline`: a server asks it for a row in its event loop. Any other
    may take its time: it is asked from threads, as many at once as it has `workers`.
    """

    inline: bool = False
    workers: int = 1
    row_seconds: float = 0.0  # how long a prediction of one row took at the warm-up

    def __init__(self, signature: Signature) -> None:
        self.signature = signature  # the contract that feeds and predictions keep

    @abstractmethod
    def predict(self, feeds: Feeds) -> Predictions:
        """Predict n rows: what `canari.runtime.feeds.to_feeds` answers in, one array for each of the signature's outputs out.

        A number or probability is float64 [n, k] (NaN where missing), a class an object array [n, 1] of str, or None where
        missing. Safe to call from several threads. Raises `CanariError` where the model fails.
        """

    def predict_row(self, values: Sequence[Value]) -> RowPredictions:
        """Predict one row, given as one value an input in the signature's order, checked as `to_feeds` checks them.

        The same predictions as `predict`, to the last bit.
        """
        predictions = self.predict(row_feeds(self.signature.inputs, values))
        found: RowPredictions = []
        for output in self.signature.outputs:
            row = predictions[output.name][0].tolist()
            found.append(row if output.width > 1 else row[0])
        return found

    def close(self) -> None:
        """Let go of what the runtime holds outside this process; nothing is asked of it afterwards."""
        return
