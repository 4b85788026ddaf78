"""A live `canari serve` for clients that are no part of this project's environment, and the rows that they send."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import onnxruntime
import pytest

from canari import store
from canari.model import Columns
from canari.runtime.feeds import to_feeds
from tests.conftest import ROWS, bentoml_home, make_toy
from tests.serving.conftest import Server, serving

# The rows without a missing value, for which languages have no common notation.
COLUMNS: Columns = {name: [value for i, value in enumerate(column) if i != 3] for name, column in ROWS.items()}


class Live(NamedTuple):
    """A server of the toy model; `case` is a file with the columns as JSON, `expected` what onnxruntime predicts for them."""

    server: Server
    case: Path
    expected: list[float]

    def agree(self, predictions: Any) -> None:
        """Fail unless a client got what onnxruntime predicts, to the last bit."""
        assert predictions == self.expected


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder, model = tmp_path_factory.mktemp("clients"), make_toy()
    session = onnxruntime.InferenceSession(model.onnx, providers=["CPUExecutionProvider"])
    expected = session.run(None, to_feeds(model.signature.inputs, COLUMNS))[0].ravel().tolist()
    case = folder / "case.json"
    case.write_text(json.dumps(COLUMNS))
    with bentoml_home(folder / "bentoml"):
        store.put(model)
        with serving("toy:1") as server:
            yield Live(server, case, expected)
