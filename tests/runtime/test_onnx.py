"""A graph and its signature, run by onnxruntime."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from canari.errors import CanariError
from canari.model import Model
from canari.runtime.feeds import to_feeds
from canari.runtime.onnx import OnnxRuntime
from canari.signature import Input, Output
from tests.conftest import ROWS, make_classifier, toy_probability


def changed(model: Model, **fields: object) -> Model:
    signature = model.signature
    described = {name: getattr(signature, name) for name in signature.__struct_fields__} | fields
    return Model(signature=type(signature)(**described), onnx=model.onnx)


def test_predictions_are_the_formulas(toy_model: Model) -> None:
    runtime = OnnxRuntime(toy_model.signature, toy_model.onnx)
    found = runtime.predict(to_feeds(toy_model.signature.inputs, ROWS))["prediction"]
    expected = [toy_probability(*row) for row in zip(*ROWS.values(), strict=True)]
    assert found.shape == (5, 1)
    np.testing.assert_allclose(found[:, 0], np.array(expected, np.float64), rtol=1e-14)
    assert np.isnan(found[3, 0])


@pytest.mark.parametrize(("module", "reports"), [("canari.runtime.onnx", False), ("onnxruntime", True)])
def test_nothing_is_reported_to_onnxruntimes_maker(tmp_path: Path, module: str, reports: bool) -> None:
    """By itself onnxruntime gives the machine an identifier, and keeps what it will send, under the home folder.

    In an environment of its own: onnxruntime keeps quiet where a variable (CI=true, for one) tells it of a build machine.
    """
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", f"import {module}"], env=environment, check=True)
    assert any(tmp_path.rglob("*onnxruntime*")) is reports


def test_a_class_is_text_and_none_where_missing() -> None:
    model = make_classifier()
    runtime = OnnxRuntime(model.signature, model.onnx)
    found = runtime.predict(to_feeds(model.signature.inputs, {"x": [5.0, None, -4.0, 0.5]}))
    assert found["class"].tolist() == [["versi color"], [None], ["Ümlaut"], ["Ümlaut"]]
    assert found["probabilities"].shape == (4, 3)
    np.testing.assert_allclose(found["probabilities"][0].sum(), 1.0)


def test_no_rows_no_predictions() -> None:
    model = make_classifier()
    runtime = OnnxRuntime(model.signature, model.onnx)
    found = runtime.predict(to_feeds(model.signature.inputs, {"x": []}))
    assert {name: array.shape for name, array in found.items()} == {"class": (0, 1), "probabilities": (0, 3)}


def test_a_graph_that_does_not_fit_its_signature_is_refused(toy_model: Model) -> None:
    inputs = toy_model.signature.inputs
    number = Input(name="exercise", kind="number")
    for fields, message in (
        ({"inputs": inputs[1:]}, "the graph's inputs are age, visits, smoker, exercise; the signature's are visits"),
        ({"inputs": (*inputs[:3], number)}, r"input 'exercise' is tensor\(string\)"),
        ({"outputs": (Output(name="other", kind="number"),)}, "the graph's outputs are prediction"),
        ({"outputs": (Output(name="prediction", kind="probability", labels=("a", "b")),)}, r"\[n, 2\]"),
    ):
        model = changed(toy_model, **fields)
        with pytest.raises(CanariError, match=message):
            OnnxRuntime(model.signature, model.onnx)


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x08\x0a" * 50])
def test_bytes_that_are_no_graph_are_refused_in_one_line(toy_model: Model, content: bytes) -> None:
    with pytest.raises(CanariError) as error:
        OnnxRuntime(toy_model.signature, content)
    assert "\n" not in str(error.value)


def test_doubles_are_not_rounded(toy_model: Model) -> None:
    session = onnxruntime.InferenceSession(toy_model.onnx, providers=["CPUExecutionProvider"])
    feeds = to_feeds(toy_model.signature.inputs, ROWS)
    theirs = session.run(None, feeds)[0]
    ours = OnnxRuntime(toy_model.signature, toy_model.onnx).predict(feeds)["prediction"]
    assert ours.tobytes() == theirs.tobytes()
    assert (ours.astype(np.float32).astype(np.float64) != ours).any()
