"""The Open Inference Protocol over HTTP: by hand, so that every way to get it wrong is tried."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canari.serving.app import App
from canari.serving.warmup import warm
from tests.conftest import make_toy
from tests.serving.conftest import Client

INFER = "/v2/models/toy/infer"


def tensors(**changed: Any) -> list[dict[str, Any]]:
    """Two rows for the toy model; `age={"data": [...]}` changes a tensor, `age=None` leaves it out."""
    inputs: dict[str, dict[str, Any]] = {
        "age": {"datatype": "FP64", "shape": [2, 1], "data": [30.0, 42.25]},
        "visits": {"datatype": "INT64", "shape": [2, 1], "data": [2, 3]},
        "smoker": {"datatype": "BOOL", "shape": [2, 1], "data": [True, False]},
        "exercise": {"datatype": "BYTES", "shape": [2, 1], "data": ["some", "a lot"]},
    }
    return [
        {"name": name, **tensor, **changed.get(name, {})} for name, tensor in inputs.items() if changed.get(name, {}) is not None
    ]


def infer(client: Client, inputs: list[dict[str, Any]], path: str = INFER, **request: Any) -> Any:
    answer = client("POST", path, json={"inputs": inputs, **request})
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(client: Client, inputs: Any, **request: Any) -> str:
    answer = client("POST", INFER, json={"inputs": inputs, **request})
    assert answer.status_code == 400, answer.text
    return str(answer.json()["error"])


@pytest.fixture(scope="module")
def expected(toy: Client) -> list[float]:
    rows = [
        {"age": 30.0, "visits": 2, "smoker": True, "exercise": "some"},
        {"age": 42.25, "visits": 3, "smoker": False, "exercise": "a lot"},
    ]
    return [p["prediction"] for p in toy.predict(rows).json()["predictions"]]


def test_metadata(toy: Client) -> None:
    assert toy("GET", "/v2").json()["name"] == "canari"
    for path in ("/v2/models/toy", "/v2/models/toy/versions/1"):
        about = toy("GET", path).json()
        assert (about["name"], about["versions"], about["platform"]) == ("toy", ["1"], "onnx")
        assert about["inputs"] == [
            {"name": "age", "datatype": "FP64", "shape": [-1, 1]},
            {"name": "visits", "datatype": "INT64", "shape": [-1, 1]},
            {"name": "smoker", "datatype": "BOOL", "shape": [-1, 1]},
            {"name": "exercise", "datatype": "BYTES", "shape": [-1, 1]},
        ]
        assert about["outputs"] == [
            {"name": "prediction", "datatype": "FP64", "shape": [-1, 1], "parameters": {"labels": '["yes"]'}}
        ]
        assert toy("GET", f"{path}/ready").json() == {"name": "toy", "ready": True}
    assert toy("GET", "/v2/health/live").status_code == toy("GET", "/v2/health/ready").status_code == 200


def test_predictions_in_one_tensor_an_output(toy: Client, expected: list[float]) -> None:
    for path in (INFER, "/v2/models/toy/versions/1/infer"):
        assert infer(toy, tensors(), path, id="a-1") == {
            "model_name": "toy",
            "model_version": "1",
            "id": "a-1",
            "outputs": [
                {
                    "name": "prediction",
                    "datatype": "FP64",
                    "shape": [2, 1],
                    "parameters": {"labels": '["yes"]'},
                    "data": expected,
                }
            ],
        }


@pytest.mark.parametrize(
    "changed",
    [
        {"age": {"shape": [2]}},
        {"age": {"data": [[30.0], [42.25]]}},
        {"age": {"datatype": "FP32"}},
        {"age": {"data": [30, 42.25]}},
        {"visits": {"datatype": "INT32"}},
        {"visits": {"datatype": "UINT8"}},
        {"visits": {"datatype": "FP64", "data": [2.0, 3.0]}},
    ],
)
def test_ways_to_write_a_tensor(toy: Client, expected: list[float], changed: dict[str, Any]) -> None:
    assert infer(toy, tensors(**changed))["outputs"][0]["data"] == expected


def test_missing_values(toy: Client, classifier: Client) -> None:
    assert infer(toy, tensors(age={"data": [None, 42.25]}))["outputs"][0]["data"][0] is None
    x = [{"name": "x", "datatype": "FP64", "shape": [2, 1], "data": [None, 5]}]
    answer = infer(classifier, x, "/v2/models/iris/infer")
    assert answer["outputs"][0]["data"] == [None, "versi color"]
    assert answer["outputs"][1]["shape"] == [2, 3]
    assert answer["outputs"][1]["data"][:3] == [None] * 3


def test_only_the_outputs_that_are_asked_for(classifier: Client) -> None:
    x = [{"name": "x", "datatype": "FP64", "shape": [1, 1], "data": [5]}]
    outputs = [{"name": "probabilities"}, {"name": "class"}]
    answer = infer(classifier, x, "/v2/models/iris/infer", outputs=outputs)
    assert [o["name"] for o in answer["outputs"]] == ["probabilities", "class"]
    assert json.loads(answer["outputs"][0]["parameters"]["labels"]) == ["setosa", "versi color", "Ümlaut"]
    answer = infer(classifier, x, "/v2/models/iris/infer", outputs=outputs[1:])
    assert [o["name"] for o in answer["outputs"]] == ["class"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"age": None}, "column 'age' is missing: expected a number"),
        ({"age": {"datatype": "BYTES"}}, "tensor 'age': expected datatype FP64, came 'BYTES'"),
        ({"visits": {"datatype": "FP64", "data": [2.0, 2.5]}}, "row 1, column 'visits': expected a whole number, came 2.5"),
        ({"visits": {"data": [2, 2**53 + 1]}}, "beyond 2^53"),
        ({"visits": {"data": [2, None]}}, "row 1, column 'visits': expected a whole number, came a missing value"),
        ({"smoker": {"datatype": "INT64", "data": [1, 0]}}, "expected datatype BOOL"),
        ({"smoker": {"data": [True, 1]}}, "row 1, column 'smoker': expected true or false, came 1"),
        (
            {"exercise": {"data": ["some", "much"]}},
            "row 1, column 'exercise': expected one of 'none', 'some', 'a lot', came 'much'",
        ),
        ({"exercise": {"data": ["some", ""]}}, "came ''"),
        ({"age": {"data": [30.0]}}, "tensor 'age': shape [2, 1] holds 2 elements, came 1"),
        ({"age": {"shape": [1, 2]}}, "tensor 'age': expected shape [n, 1] or [n], came [1, 2]"),
        ({"age": {"shape": []}}, "came []"),
        ({"age": {"shape": [-2]}}, "expected 1 to 10000 rows, came -2"),
        ({"age": {"shape": [0], "data": []}}, "expected 1 to 10000 rows, came 0"),
        ({"age": {"shape": [1], "data": [30.0]}}, "column 'visits' has 2 values, column 'age' has 1"),
        ({"age": {"data": [[30.0, 42.25]]}}, "expected flat data or one list a row"),
        ({"age": {"data": None}}, "tensor 'age' has no data"),
        ({"age": {"shape": "2"}}, "no inference request: Expected `array`"),
    ],
)
def test_what_does_not_fit_is_said(toy: Client, changed: dict[str, Any], message: str) -> None:
    assert message in refused(toy, tensors(**changed))


def test_requests_that_mean_nothing(toy: Client) -> None:
    assert "column 'age' is missing" in refused(toy, [])
    assert "tensor 'age' came twice" in refused(toy, tensors() + tensors()[:1])
    assert "tensor 'weight' is no input; expected age, visits" in refused(toy, [{**tensors()[0], "name": "weight"}])
    assert "output 'class' is unknown; there is: prediction" in refused(toy, tensors(), outputs=[{"name": "class"}])
    assert "missing required field `inputs`" in toy("POST", INFER, json={}).json()["error"]
    for body in (b"", b"[", b'{"inputs": "\xff"}', b"[" * 100_000):
        answer = toy("POST", INFER, content=body)
        assert (answer.status_code, "the body is not JSON" in answer.json()["error"]) == (400, True)


@pytest.mark.parametrize(
    "path",
    ["/v2/models/other", "/v2/models/toy/versions/2", "/v2/models/other/infer", "/v2/models/toy/ready/x", "/v2/repository"],
)
def test_unknown_models_and_versions(toy: Client, path: str) -> None:
    for method in ("GET", "POST"):
        answer = toy(method, path)
        assert (answer.status_code, list(answer.json())) == (404, ["error"])


def binary(inputs: list[dict[str, Any]], raw: bytes, **request: Any) -> dict[str, Any]:
    text = json.dumps({"inputs": inputs, **request}).encode()
    return {"content": text + raw, "headers": {"Inference-Header-Content-Length": str(len(text))}}


def in_binary(name: str, size: Any) -> dict[str, Any]:
    return {**next(t for t in tensors(**{name: {"parameters": {"binary_data_size": size}}}) if t["name"] == name), "data": None}


def test_binary_tensors(toy: Client, expected: list[float]) -> None:
    words = [b"some", b"a lot"]
    raw = np.array([30.0, 42.25]).tobytes() + b"".join(len(w).to_bytes(4, "little") + w for w in words)
    inputs = [in_binary("age", 16), *tensors()[1:3], in_binary("exercise", 17)]
    answer = toy("POST", INFER, **binary(inputs, raw, parameters={"binary_data_output": True}))
    assert answer.status_code == 200, answer.text
    length = int(answer.headers["inference-header-content-length"])
    output = json.loads(answer.content[:length])["outputs"][0]
    assert output["parameters"]["binary_data_size"] == 16
    assert np.frombuffer(answer.content[length:]).tolist() == expected
    answer = toy("POST", INFER, **binary(inputs, raw, outputs=[{"name": "prediction", "parameters": {"binary_data": False}}]))
    assert answer.json()["outputs"][0]["data"] == expected


@pytest.mark.parametrize(
    ("size", "raw", "message"),
    [
        (16, b"1234", "binary_data_size is 16, there are 4 bytes left"),
        (-1, b"1234", "binary_data_size is -1"),
        ("4", b"1234", "binary_data_size is '4'"),
        (4, b"1234", "4 bytes are no whole number of FP64 elements"),
        (8, b"12345678", "shape [2, 1] holds 2 elements, came 1"),
        (16, b"\0" * 17, "1 bytes follow the JSON that belong to no tensor"),
    ],
)
def test_broken_binary_tensors(toy: Client, size: Any, raw: bytes, message: str) -> None:
    answer = toy("POST", INFER, **binary([in_binary("age", size), *tensors()[1:]], raw))
    assert (answer.status_code, message in answer.json()["error"]) == (400, True), answer.text


@pytest.mark.parametrize("raw", [b"\x05\0\0\0some", b"\xff\xff\xff\xffsome", b"\x04\0", b"\x01\0\0\0\xff\x01\0\0\0\xff"])
def test_broken_binary_texts(toy: Client, raw: bytes) -> None:
    answer = toy("POST", INFER, **binary([*tensors()[:3], in_binary("exercise", len(raw))], raw))
    assert answer.status_code == 400


def test_a_json_length_beyond_the_body(toy: Client) -> None:
    for length in ("999999", "-1", "x"):
        answer = toy("POST", INFER, json={"inputs": tensors()}, headers={"Inference-Header-Content-Length": length})
        assert answer.status_code == 400


def test_infinity_is_refused_and_told(toy: Client) -> None:
    raw = np.array([math.inf, 1.0]).tobytes()
    answer = toy("POST", INFER, **binary([in_binary("age", 16), *tensors()[1:]], raw))
    assert "row 0, column 'age': expected a number or a missing value, came Inf" in answer.json()["error"]


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.text(max_size=5), st.sampled_from(["FP64", "BYTES", "FP16"])
)
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=6)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"name": st.sampled_from(["age", "visits", "smoker", "exercise"])},
            optional=dict.fromkeys(("datatype", "shape", "data"), anything)
            | {"parameters": st.dictionaries(st.just("binary_data_size"), scalars)},
        ),
        max_size=4,
    ),
    st.binary(max_size=20),
)
def test_no_request_makes_the_server_fail(inputs: list[dict[str, Any]], raw: bytes) -> None:
    client = Client(_APP)
    base = {t["name"]: t for t in tensors()}
    merged = [{**base[t["name"]], **t} for t in inputs]
    assert client("POST", INFER, **binary(merged, raw)).status_code in (200, 400)


_APP = App(warm(make_toy()))
