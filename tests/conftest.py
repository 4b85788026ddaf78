"""Fixtures that every room's tests may use: a store of their own, and a small model that needs neither R nor scikit-learn.

`store` points BENTOML_HOME at an empty directory for the test (and for the processes that it starts). `toy_model` is a
proved logistic model over a number, an integer, a boolean and a category, made by `make_toy`; `stored_toy` is the tag of the
same in `store`. `make_classifier` makes one that answers a class and probabilities.
"""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import onnx
import pytest
from onnx import TensorProto, helper

from canari import store as model_store
from canari.model import Checks, Columns, Model
from canari.signature import MISSING, TOLERANCE, Input, Output, Proof, Signature, Source

# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile("canari", deadline=None)
hypothesis.settings.load_profile("canari")

LEVELS = ("none", "some", "a lot")

ROWS: Columns = {
    "age": [21.5, 80.0, 42.25, None, 33.0],
    "visits": [0, 12, 3, 4, 2],
    "smoker": [False, True, True, False, True],
    "exercise": ["none", "some", "a lot", "none", "some"],
}


def toy_probability(age: Any, visits: Any, smoker: Any, exercise: Any) -> float | None:
    """What the toy model predicts for one row, in plain Python."""
    if age is None:
        return None
    weight = {"none": 0.0, "some": -0.375, "a lot": -1.125}[exercise]
    return 1 / (1 + math.exp(-(-2.5 + 0.03125 * age + 0.25 * visits + 0.75 * smoker + weight)))


def make_toy(name: str = "toy", version: str = "1", *, intercept: float = -2.5, proved: bool = True) -> Model:
    """The toy model; with another `intercept` it predicts otherwise than its recorded predictions say."""
    graph = _graph(
        [
            helper.make_node(
                "LabelEncoder",
                ["exercise"],
                ["weight"],
                domain="ai.onnx.ml",
                keys_strings=list(LEVELS),
                values_tensor=_doubles([0.0, -0.375, -1.125]),
                default_tensor=_doubles([math.nan]),
            ),
            helper.make_node("Concat", ["age", "visits", "smoker", "weight"], ["x"], axis=1),
            helper.make_node("MatMul", ["x", "coefficients"], ["xb"]),
            helper.make_node("Add", ["xb", "intercept"], ["eta"]),
            helper.make_node("Sigmoid", ["eta"], ["prediction"]),
        ],
        [
            ("age", TensorProto.DOUBLE),
            ("visits", TensorProto.DOUBLE),
            ("smoker", TensorProto.DOUBLE),
            ("exercise", TensorProto.STRING),
        ],
        [("prediction", TensorProto.DOUBLE, 1)],
        {"coefficients": _doubles([0.03125, 0.25, 0.75, 1.0], [4, 1]), "intercept": _doubles([intercept])},
    )
    return _model(
        name,
        version,
        graph,
        inputs=(
            Input(name="age", kind="number", unit="years", missing=True, range=(21.5, 80.0)),
            Input(name="visits", kind="integer", range=(0, 12)),
            Input(name="smoker", kind="boolean"),
            Input(name="exercise", kind="category", levels=LEVELS, shares=(0.4, 0.4, 0.2)),
        ),
        outputs=(Output(name="prediction", kind="probability", labels=("yes",)),),
        rows=ROWS,
        predictions={"prediction": [toy_probability(*row) for row in zip(*ROWS.values(), strict=True)]} if proved else None,
    )


def make_classifier(name: str = "iris", version: str = "1") -> Model:
    """A model with a class and the probabilities of its three labels: softmax of (0, x, 2 - x); missing where x is."""
    labels = ("setosa", "versi color", "Ümlaut")
    graph = _graph(
        [
            helper.make_node("Mul", ["x", "zero"], ["a"]),
            helper.make_node("Sub", ["two", "x"], ["c"]),
            helper.make_node("Concat", ["a", "x", "c"], ["scores"], axis=1),
            helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
            helper.make_node("ArgMax", ["scores"], ["index"], axis=1, keepdims=1),
            helper.make_node(
                "LabelEncoder",
                ["index"],
                ["label"],
                domain="ai.onnx.ml",
                keys_int64s=[0, 1, 2],
                values_strings=list(labels),
            ),
            helper.make_node("IsNaN", ["x"], ["unknown"]),
            helper.make_node("Where", ["unknown", "missing", "label"], ["class"]),
        ],
        [("x", TensorProto.DOUBLE)],
        [("class", TensorProto.STRING, 1), ("probabilities", TensorProto.DOUBLE, 3)],
        {
            "zero": _doubles([0.0]),
            "two": _doubles([2.0]),
            "missing": helper.make_tensor(
                "missing",
                TensorProto.STRING,
                [1],
                [MISSING.encode()],  # type: ignore[list-item]
            ),
        },
    )
    return _model(
        name,
        version,
        graph,
        inputs=(Input(name="x", kind="number", missing=True),),
        outputs=(
            Output(name="class", kind="class", labels=labels),
            Output(name="probabilities", kind="probability", labels=labels),
        ),
        rows={"x": []},
        predictions=None,
    )


def _graph(
    nodes: list[onnx.NodeProto],
    inputs: list[tuple[str, int]],
    outputs: list[tuple[str, int, int]],
    constants: dict[str, onnx.TensorProto],
) -> bytes:
    for name, tensor in constants.items():
        tensor.name = name
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, datatype, ["n", 1]) for name, datatype in inputs],
        [helper.make_tensor_value_info(name, datatype, ["n", width]) for name, datatype, width in outputs],
        list(constants.values()),
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 4)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _doubles(values: list[float], shape: list[int] | None = None) -> onnx.TensorProto:
    return helper.make_tensor("values", TensorProto.DOUBLE, shape or [len(values)], values)


def _model(
    name: str,
    version: str,
    content: bytes,
    *,
    inputs: tuple[Input, ...],
    outputs: tuple[Output, ...],
    rows: Columns,
    predictions: Columns | None,
) -> Model:
    n = len(next(iter(rows.values())))
    proof = Proof(rows=n, probes=0, tolerance=TOLERANCE, worst=0.0, worst_evaluator=0.0, ties=0)
    signature = Signature(
        name=name,
        version=version,
        inputs=inputs,
        outputs=outputs,
        source=Source(language="R", version="4.2.2", model_class="glm", sha256=hashlib.sha256(content).hexdigest()),
        proof=None if predictions is None else proof,
    )
    checks = None if predictions is None else Checks(rows=rows, predictions=predictions, probe=[False] * n)
    return Model(signature=signature, onnx=content, checks=checks)


@contextmanager
def bentoml_home(home: Path) -> Iterator[Path]:
    """BentoML's store in the folder `home`, for this process and for those that it starts."""
    from bentoml._internal.bento import BentoStore
    from bentoml._internal.configuration.containers import BentoMLContainer
    from bentoml._internal.models import ModelStore

    for folder in ("models", "bentos", "tmp"):
        (home / folder).mkdir(parents=True)
    # BentoML reads the variable once in a process, long before.
    with (
        pytest.MonkeyPatch.context() as environment,
        BentoMLContainer.bentoml_home.patch(str(home)),
        BentoMLContainer.tmp_bento_store_dir.patch(str(home / "tmp")),
        BentoMLContainer.model_store.patch(ModelStore(str(home / "models"))),
        BentoMLContainer.bento_store.patch(BentoStore(str(home / "bentos"))),
    ):
        environment.setenv("BENTOML_HOME", str(home))
        environment.setenv("BENTOML_DO_NOT_TRACK", "true")
        yield home


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Path]:
    """An empty store of the test's own."""
    with bentoml_home(tmp_path / "bentoml") as home:
        yield home


@pytest.fixture
def toy_model() -> Model:
    """A proved logistic model; see `make_toy`."""
    return make_toy()


@pytest.fixture
def stored_toy(store: Path, toy_model: Model) -> str:
    """`toy_model` in `store`; its tag."""
    model_store.put(toy_model)
    return toy_model.signature.tag
