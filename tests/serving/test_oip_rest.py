"""The Open Inference Protocol over HTTP: by hand, so that every way to get it wrong is tried."""

import json
import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from canari.runtime.onnx import OnnxRuntime
from canari.serving.app import App
from canari.serving.settings import Settings
from canari.serving.warmup import warm
from canari.signature import Input, Output
from tests.conftest import make_toy
from tests.serving.conftest import ROW, Client

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
        assert (about["name"], about["versions"], about["platform"]) == ("toy", ["1"], "onnx_onnxv1")
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
    for body in (b"[", b'{"inputs": "\xff"}', b"[" * 100_000):
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


def test_one_row_in_any_order_and_way(toy: Client) -> None:
    row = [{**tensor, "shape": [1, 1], "data": tensor["data"][:1]} for tensor in tensors()]
    one = infer(toy, row)["outputs"][0]
    assert (one["shape"], one["data"]) == ([1, 1], [0.33458944125318602])
    ways: list[tuple[list[dict[str, Any]], dict[str, Any]]] = [
        (row[::-1], {}),
        (row, {"id": "urn:a"}),
        (row, {"outputs": [{"name": "prediction"}], "parameters": {"binary_data_output": False}}),
        ([{**t, "shape": [1]} for t in row], {"id": ""}),
        ([{**t, "data": [t["data"]]} for t in row], {}),
        ([{**t, "parameters": {}} for t in row], {"parameters": {"priority": 3}}),
        ([{**row[0], "datatype": "FP16"}, {**row[1], "datatype": "UINT8"}, *row[2:]], {"model_name": "toy"}),
        ([{**row[0], "datatype": "INT32"}, {**row[1], "datatype": "FP32"}, *row[2:]], {}),
    ]
    for inputs, request in ways:
        answer = infer(toy, inputs, **request)
        assert answer["outputs"] == [one]
        assert answer.get("id") == request.get("id")
    answer = toy("POST", INFER, json={"inputs": row, "parameters": {"binary_data_output": True}})
    length = int(answer.headers["inference-header-content-length"])
    assert np.frombuffer(answer.content[length:]).tolist() == one["data"]
    assert answer.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"age": {"datatype": "INT32", "data": [30.5]}},
            "tensor 'age', row 0: expected a whole number of INT32, from -2147483648",
        ),
        (
            {"age": {"datatype": "UINT8", "data": [256]}},
            "tensor 'age', row 0: expected a whole number of UINT8, from 0 to 255, came",
        ),
        ({"age": {"datatype": "FP32", "data": [1e39]}}, "tensor 'age', row 0: expected a number that FP32 holds, came 1e+39"),
        ({"age": {"datatype": "FP16", "data": [65520.0]}}, "tensor 'age', row 0: expected a number that FP16 holds"),
        ({"age": {"data": [10**400]}}, "tensor 'age', row 0: expected a number that FP64 holds, came an integer beyond 2^53"),
        ({"age": {"datatype": "BF16"}}, "tensor 'age': BF16, which holds two digits of a number, is not taken: expected FP64"),
        ({"age": {"datatype": "FLOAT"}}, "tensor 'age': unknown datatype 'FLOAT'"),
        ({"age": {"data": ["30"]}}, "row 0, column 'age': expected a number or a missing value, came '30'"),
        ({"visits": {"datatype": "UINT64", "data": [-1]}}, "tensor 'visits', row 0: expected a whole number of UINT64"),
        ({"exercise": {"data": [1]}}, "row 0, column 'exercise': expected one of 'none', 'some', 'a lot', came 1"),
        ({"age": {"shape": [2**70, 1]}}, "tensor 'age': expected 1 to 10000 rows, came 1180591620717411303424"),
        ({"age": {"shape": [1, 1, 1]}}, "tensor 'age': expected shape [n, 1] or [n], came [1, 1, 1]"),
        ({"age": {"shape": [1] * 50}}, "came [1, 1, 1, 1, 1, 1, 1, 1, ...]"),
        ({"age": {"data": [[[30.0]]]}}, "row 0, column 'age': expected a number or a missing value, came a list"),
        ({"age": {"parameters": {"binary_data_size": 8}}}, "tensor 'age' has data and binary_data_size: expected one of them"),
        ({"age": {"data": None, "parameters": {"shared_memory_region": "x"}}}, "shared memory is not supported here"),
        ({"age": {"parameters": {"a": [1]}}}, "no inference request: "),
    ],
)
def test_what_does_not_fit_one_row_is_said(toy: Client, changed: dict[str, Any], message: str) -> None:
    row = {t["name"]: {"shape": [1, 1], "data": t["data"][:1]} for t in tensors()}
    assert message in refused(toy, tensors(**{name: {**row[name], **changed.get(name, {})} for name in row}))


def test_many_rows_are_checked_as_one_is(toy: Client) -> None:
    n = 40
    many = {t["name"]: {"shape": [n, 1], "data": (t["data"] * n)[:n]} for t in tensors()}
    assert len(infer(toy, tensors(**many))["outputs"][0]["data"]) == n

    def changed(name: str, value: Any, **how: Any) -> str:
        return refused(toy, tensors(**{**many, name: {**many[name], **how, "data": [*many[name]["data"][:-1], value]}}))

    assert "row 39, column 'visits': expected a whole number, came 2.5" in changed("visits", 2.5, datatype="FP64")
    assert "row 39, column 'visits': expected a whole number, came a missing value" in changed("visits", None)
    assert "tensor 'visits', row 39: expected a whole number of INT8" in changed("visits", 128, datatype="INT8")
    assert "row 39, column 'visits': expected a whole number, came 9007199254740993" in changed("visits", 2**53 + 1)
    assert "row 39, column 'age': expected a number or a missing value, came true" in changed("age", True)
    assert "row 39, column 'age': expected a number or a missing value, came a list" in changed("age", [1])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"inputs":[],"inputs":[]}', "key 'inputs' comes twice in the object at `$`"),
        ('{"inputs":[{"name":"age","shape":[1],"datatype":"FP64","data":[1],"data":[2]}]}', "at `$.inputs[0]`"),
        ('{"inputs":[{"name":"age","shape":[1],"datatype":"FP64","data":[1],"a":{"b":1,"b":2}}]}', "key 'b' comes twice"),
        ('{"inputs":[],"parameters":{"a":1,"\\u0061":1}}', "key 'a' comes twice in the object at `$.parameters`"),
    ],
)
def test_a_key_that_comes_twice(toy: Client, body: str, message: str) -> None:
    answer = toy("POST", INFER, content=body)
    assert (answer.status_code, message in answer.json()["error"]) == (400, True), answer.text


def test_a_key_that_comes_twice_in_a_request_that_is_else_right(toy: Client) -> None:
    row = json.dumps({"inputs": [{**tensor, "shape": [1, 1], "data": tensor["data"][:1]} for tensor in tensors()]})
    for old, new in (('"data": [30.0]', '"data": [30.0], "data": [31.0]'), ('{"inputs"', '{"id": "1", "id": "2", "inputs"')):
        answer = toy("POST", INFER, content=row.replace(old, new))
        assert (answer.status_code, "comes twice" in answer.json()["error"]) == (400, True)


def test_requested_outputs_that_are_refused(toy: Client) -> None:
    def outputs(*requested: dict[str, Any]) -> str:
        return refused(toy, tensors(), outputs=list(requested))

    assert "the parameter 'classification' is not supported" in outputs(
        {"name": "prediction", "parameters": {"classification": 1}}
    )
    assert "shared_memory_region" in outputs({"name": "prediction", "parameters": {"shared_memory_region": "x"}})
    assert "output 'prediction' is asked for twice" in outputs({"name": "prediction"}, {"name": "prediction"})
    assert "binary_data is 'yes', expected true or false" in outputs({"name": "prediction", "parameters": {"binary_data": "yes"}})
    assert "binary_data_output is 1" in refused(toy, tensors(), parameters={"binary_data_output": 1})


def raw_row(row: dict[str, Any], names: Sequence[str], types: dict[str, tuple[str, str]], **request: Any) -> dict[str, Any]:
    """One row in raw tensors; `types` has the datatype and numpy's name of it of columns that are not in their own."""
    own = {"age": ("FP64", "<f8"), "visits": ("INT64", "<i8"), "smoker": ("BOOL", "?")}
    inputs, raw = [], b""
    for name in names:
        value = row[name]
        if name == "exercise":
            datatype, element = "BYTES", len(value.encode()).to_bytes(4, "little") + value.encode()
        else:
            datatype, numpy_type = types.get(name, own[name])
            element = np.array([value]).astype(numpy_type).tobytes()
        inputs.append({"name": name, "shape": [1, 1], "datatype": datatype, "parameters": {"binary_data_size": len(element)}})
        raw += element
    return binary(inputs, raw, **request)


@pytest.mark.parametrize("types", [{}, {"age": ("FP32", "<f4"), "visits": ("UINT8", "u1")}, {"visits": ("FP64", "<f8")}])
@pytest.mark.parametrize("order", [1, -1])
def test_raw_rows_are_answered_alike_however_often_their_json_came(toy: Client, types: Any, order: int) -> None:
    rows: list[dict[str, Any]] = [
        {"age": 30.0, "visits": 2, "smoker": True, "exercise": "some"},
        {"age": 41.5, "visits": 7, "smoker": False, "exercise": "none"},
        {"age": -2.25, "visits": 0, "smoker": True, "exercise": "none"},
        {"age": math.nan, "visits": 1, "smoker": True, "exercise": "some"},
    ]
    for number, row in enumerate(rows * 2):
        answer = toy("POST", INFER, **raw_row(row, [*ROW][::order], types, id=f"r-{number}"))
        assert answer.json()["id"] == f"r-{number}"
        (found,) = answer.json()["outputs"][0]["data"]
        sent = None if math.isnan(row["age"]) else row["age"]
        (record,) = toy.predict([{**row, "age": sent}]).json()["predictions"]
        assert found == record["prediction"]


def test_raw_values_are_checked_however_often_their_json_came(toy: Client) -> None:
    def sent(**changed: Any) -> Any:
        return toy("POST", INFER, **raw_row({**ROW, **changed}, [*ROW], {})).json()

    assert "outputs" in sent()
    assert "row 0, column 'age': expected a number or a missing value, came Inf" in sent(age=math.inf)["error"]
    assert "row 0, column 'visits': expected a whole number, came 9007199254740994" in sent(visits=2**53 + 2)["error"]
    assert "column 'exercise': expected one of 'none', 'some', 'a lot', came 'same'" in sent(exercise="same")["error"]
    request = raw_row(ROW, [*ROW], {})
    request["content"] += b"\0"
    assert "1 bytes follow the JSON that belong to no tensor" in toy("POST", INFER, **request).json()["error"]
    assert sent() == sent()


def numbers_model(*, integer: str = "visits") -> Client:
    """Predicts 10 a + b of a number and an integer, which may be called as is wanted."""
    graph = helper.make_graph(
        [helper.make_node("Mul", ["a", "ten"], ["tens"]), helper.make_node("Add", ["tens", integer], ["prediction"])],
        "graph",
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n", 1]) for name in ("a", integer)],
        [helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, ["n", 1])],
        [helper.make_tensor("ten", TensorProto.DOUBLE, [1], [10.0])],
    )
    onnx = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()
    signature = msgspec.structs.replace(
        make_toy().signature,
        name="sum",
        inputs=(Input(name="a", kind="number", missing=True), Input(name=integer, kind="integer")),
        outputs=(Output(name="prediction", kind="number"),),
    )
    return Client(App(OnnxRuntime(signature, onnx), bento="service:abc"))


def test_all_columns_in_one_tensor() -> None:
    client, path = numbers_model(), "/v2/models/sum/infer"

    def sent(data: Any, shape: Sequence[int], name: str = "x", datatype: str = "FP64") -> Any:
        tensor = {"name": name, "shape": shape, "datatype": datatype, "data": data}
        return client("POST", path, json={"inputs": [tensor]}).json()

    for data in ([[1.5, 2], [None, 4]], [1.5, 2, None, 4]):
        answer = sent(data, [2, 2])
        assert answer["outputs"] == [{"name": "prediction", "datatype": "FP64", "shape": [2, 1], "data": [17.0, None]}]
        assert answer["parameters"] == {"bento": "service:abc"}
    assert sent([1, 2], [1, 2], datatype="INT32")["outputs"][0]["data"] == [12.0]
    many = [[i, i] for i in range(50)]
    assert sent(many, [50, 2])["outputs"][0]["data"] == [11.0 * i for i in range(50)]
    assert "row 1, column 'visits': expected a whole number, came 4.5" in sent([1, 2, 3, 4.5], [2, 2])["error"]
    assert "shape [2, 2] holds 4 elements, came 3" in sent([1, 2, 3], [2, 2])["error"]
    assert "expected flat data or one list a row with 2 elements each" in sent([[1, 2], [3]], [2, 2])["error"]
    assert "tensor 'x' is no input; expected a, visits, or one tensor of shape [n, 2]" in sent([1, 2, 3], [1, 3])["error"]
    assert "tensor 'a': expected shape [n, 1] or [n], came [1, 2]" in sent([1, 2], [1, 2], name="a")["error"]
    assert "expected 1 to 10000 rows, came -1" in sent([1, 2], [-1, 2])["error"]
    for row in ([2.0, 3.0], [4.0, 5.0], [4.0, 5.5]):
        tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}
        answer = client("POST", path, **binary([tensor], np.array(row, "<f4").tobytes())).json()
        if row[1] == 5.5:
            assert "row 0, column 'visits': expected a whole number, came 5.5" in answer["error"]
        else:
            assert answer["outputs"][0]["data"] == [10 * row[0] + row[1]]


def test_names_that_are_not_letters() -> None:
    name = "I(x^2):é"
    client = numbers_model(integer=name)
    row = [{"name": column, "shape": [1], "datatype": "FP64", "data": [2]} for column in ("a", name)]
    assert client("POST", "/v2/models/sum/infer", json={"inputs": row}).json()["outputs"][0]["data"] == [22.0]


def test_a_body_without_json_is_the_tensor_of_a_model_of_one_input(toy: Client, classifier: Client) -> None:
    how = {"content": np.array([5.0, -4.0]).tobytes(), "headers": {"Inference-Header-Content-Length": "0"}}
    answer = classifier("POST", "/v2/models/iris/infer", **how)
    length = int(answer.headers["inference-header-content-length"])
    outputs = json.loads(answer.content[:length])["outputs"]
    assert [(o["shape"], o["parameters"]["binary_data_size"]) for o in outputs] == [([2, 1], 15 + 11), ([2, 3], 48)]
    assert answer.content[length:].startswith(b"\x0b\0\0\0versi color\x07\0\0\0\xc3\x9cmlaut")
    answer = toy("POST", INFER, **how)
    assert "Inference-Header-Content-Length is 0, which only a model of one input takes" in answer.json()["error"]


def test_an_unproved_model_says_so() -> None:
    client = Client(App(warm(make_toy(proved=False))))
    assert infer(client, tensors())["parameters"] == {"proved": False}
    assert client("GET", "/v2/models/toy").json()["parameters"] == {"proved": False}


def test_the_limit_of_rows_is_the_settings() -> None:
    client = Client(App(warm(make_toy()), Settings(max_rows=1)))
    assert "tensor 'age': expected 1 to 1 rows, came 2" in refused(client, tensors())
