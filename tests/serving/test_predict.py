"""`POST /predict` and what all HTTP answers have in common."""

import json
import math
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from canari.model import Feeds, Model, Predictions
from canari.runtime import Runtime
from canari.runtime.feeds import to_feeds
from canari.serving.app import App
from canari.serving.settings import Settings
from canari.signature import Output, Signature
from tests.conftest import ROWS, make_toy
from tests.serving.conftest import ROW, Client

ROWS_AS_RECORDS = [dict(zip(ROWS, row, strict=True)) for row in zip(*ROWS.values(), strict=True)]
JSON = {"content-type": "application/json"}


def onnxruntime_says(model: Model) -> list[float | None]:
    session = onnxruntime.InferenceSession(model.onnx, providers=["CPUExecutionProvider"])
    doubles = session.run(None, to_feeds(model.signature.inputs, ROWS))[0][:, 0].tolist()
    return [None if math.isnan(v) else v for v in doubles]


def test_the_doubles_of_onnxruntime_bit_for_bit(toy: Client, toy_model: Model) -> None:
    expected = onnxruntime_says(toy_model)
    answer = toy.predict(ROWS_AS_RECORDS)
    assert answer.status_code == 200
    assert answer.headers["x-canari-model"] == "toy"
    assert answer.headers["x-canari-version"] == "1"
    assert answer.json() == {"model": "toy", "version": "1", "predictions": [{"prediction": v} for v in expected]}
    one_by_one = [toy.predict([row]).json()["predictions"][0]["prediction"] for row in ROWS_AS_RECORDS]
    assert one_by_one == expected


@pytest.mark.parametrize(
    "body", [ROW, [ROW], {"rows": [ROW]}, [{**ROW, "name": "ignored", "nested": {"a": [1]}}], [{**ROW, "visits": 2.0}]]
)
def test_ways_to_write_a_row(toy: Client, body: Any) -> None:
    assert toy.predict(body).json()["predictions"] == [{"prediction": 0.334589441253186}]


def test_a_class_and_its_probabilities(classifier: Client) -> None:
    answer = classifier.predict([{"x": 5.0}, {"x": None}]).json()
    first, missing = answer["predictions"]
    assert first["class"] == "versi color"
    assert list(first["probabilities"]) == ["setosa", "versi color", "Ümlaut"]
    scores = [1.0, math.exp(5), math.exp(-3)]
    assert list(first["probabilities"].values()) == pytest.approx([s / sum(scores) for s in scores], rel=1e-14)
    assert missing == {"class": None, "probabilities": {"setosa": None, "versi color": None, "Ümlaut": None}}


def test_many_rows_are_the_rows_one_by_one(toy: Client, toy_model: Model) -> None:
    expected = onnxruntime_says(toy_model)
    answer = toy.predict(ROWS_AS_RECORDS * 2000)
    assert [p["prediction"] for p in answer.json()["predictions"]] == expected * 2000


def without(column: str) -> dict[str, Any]:
    return {name: value for name, value in ROW.items() if name != column}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([ROW, without("visits")], "row 1, column 'visits' is missing: expected a whole number"),
        (
            [ROW, ROW, {**ROW, "exercise": "much"}],
            "row 2, column 'exercise': expected one of 'none', 'some', 'a lot', came 'much'",
        ),
        ([{**ROW, "age": "30"}], "row 0, column 'age': expected a number or null, came '30'"),
        ([{**ROW, "age": True}], "row 0, column 'age': expected a number or null, came true"),
        ([{**ROW, "visits": None}], "row 0, column 'visits': expected a whole number, came null"),
        ([{**ROW, "visits": 2.5}], "row 0, column 'visits': expected a whole number, came 2.5"),
        ([{**ROW, "visits": 2**53 + 1}], "came 9007199254740993, which is beyond 2^53"),
        ([{**ROW, "smoker": 1}], "row 0, column 'smoker': expected true or false, came 1"),
        ([{**ROW, "exercise": ["some"]}], "came a list"),
        ([{**ROW, "exercise": "\x1a"}], "column 'exercise'"),
        ([ROW, [30, 2, True, "some"]], "row 1: expected an object with one value a column, came a list"),
        ([None], "row 0: expected an object with one value a column, came null"),
        ([], "there are no rows: expected at least one"),
        ({"rows": []}, "there are no rows"),
        ({}, "row 0, column 'age' is missing"),
        ("rows", "expected a JSON array of rows, each an object, came 'rows'"),
        (7, "expected a JSON array of rows, each an object, came 7"),
    ],
)
def test_what_does_not_fit_is_said(toy: Client, rows: Any, message: str) -> None:
    answer = toy.predict(rows)
    assert answer.status_code == 400
    assert message in answer.json()["error"]
    assert answer.headers["x-canari-version"] == "1"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON"),
        (b"null", "expected a JSON array of rows, each an object, came null"),
        (b'[{"age": 30,', "the body is not JSON"),
        (b'[{"age": NaN}]', "(byte 9)"),
        (b'[{"age": 30,}]', "(byte 12)"),
        (b"\xff\xfe", "(byte 0)"),
        (b'[{"exercise": "\xff"}]', "the body is not JSON"),
        (b"[" * 200_000, "nested too deeply"),
        (b'[{"age": 1e999, "visits": 1, "smoker": true, "exercise": "some"}]', "the body is not JSON"),
    ],
)
def test_what_is_no_json_is_said_with_its_place(toy: Client, body: bytes, message: str) -> None:
    answer = toy("POST", "/predict", content=body, headers=JSON)
    assert (answer.status_code, message in answer.json()["error"]) == (400, True), answer.text


def test_limits(toy: Client) -> None:
    answer = toy.predict([ROW] * (Settings().max_rows + 1))
    assert (answer.status_code, answer.json()) == (413, {"error": "10001 rows are too many: expected at most 10000 at a time"})
    for body in (b" " * (Settings().max_body + 1), iter([b" " * 2**20] * 9)):
        answer = toy("POST", "/predict", content=body if isinstance(body, bytes) else _chunks(body), headers=JSON)
        assert answer.status_code == 413
        assert answer.json() == {"error": "the body is larger than 8 MiB: send fewer rows at a time"}


async def _chunks(chunks: Any) -> Any:
    for chunk in chunks:
        yield chunk


def test_content_type_and_encoding(toy: Client) -> None:
    text = json.dumps([ROW]).encode()
    for accepted in ({}, {"content-type": "application/json; charset=utf-8"}, {"content-type": "Application/JSON"}):
        assert toy("POST", "/predict", content=text, headers=accepted).status_code == 200
    for refused in ({"content-type": "text/csv"}, {**JSON, "content-encoding": "gzip"}):
        assert toy("POST", "/predict", content=text, headers=refused).status_code == 415


def test_unknown_path_and_wrong_method(toy: Client) -> None:
    assert toy("GET", "/nothing").status_code == 404
    answer = toy("GET", "/predict")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    answer = toy("DELETE", "/readyz")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/signature", "/openapi.json", "/v2/health/ready"])
def test_head_is_get_without_the_body(toy: Client, path: str) -> None:
    get, head = toy("GET", path), toy("HEAD", path)
    assert (get.status_code, head.status_code, head.content) == (200, 200, b"")
    assert head.headers["content-length"] == str(len(get.content))


def test_the_signature_is_the_models(toy: Client, toy_model: Model) -> None:
    assert msgspec.json.decode(toy("GET", "/signature").content, type=Signature) == toy_model.signature


def test_an_unproved_model_says_so() -> None:
    client = Client(App(_runtime(make_toy(proved=False))))
    answer = client("GET", "/signature")
    assert answer.json()["proof"] is None
    assert answer.headers["x-canari-unproved"] == "true"
    assert client("GET", "/v2/models/toy").json()["platform"] == "onnx_unproved"
    assert "unproved" in client("GET", "/openapi.json").json()["info"]["description"]


def _runtime(model: Model) -> Any:
    from canari.runtime.onnx import OnnxRuntime

    return OnnxRuntime(model.signature, model.onnx)


class Answering(Runtime):
    """A runtime that answers what a test wants."""

    inline = True

    def __init__(self, signature: Signature, predictions: Predictions | Exception) -> None:
        super().__init__(signature)
        self._predictions = predictions

    def predict(self, feeds: Feeds) -> Predictions:
        if isinstance(self._predictions, Exception):
            raise self._predictions
        return self._predictions


def test_numbers_that_json_has_not(toy_model: Model) -> None:
    signature = msgspec.structs.replace(toy_model.signature, outputs=(Output(name="prediction", kind="number"),))
    doubles = [1e308, math.inf, -math.inf, math.nan, -0.0]
    client = Client(App(Answering(signature, {"prediction": np.array(doubles).reshape(-1, 1)})))
    assert [p["prediction"] for p in client.predict([ROW] * 5).json()["predictions"]] == [1e308, "Inf", "-Inf", None, -0.0]


def test_a_failing_model_is_a_500_that_tells_nothing(toy_model: Model, caplog: pytest.LogCaptureFixture) -> None:
    client = Client(App(Answering(toy_model.signature, ValueError("age 30"))))
    answer = client.predict([ROW])
    assert (answer.status_code, answer.json()) == (500, {"error": "the server failed to answer; its log says where"})
    assert "ValueError in" in caplog.text
    assert "30" not in caplog.text.replace("line", "").split("ValueError in")[0]
    assert "age 30" not in caplog.text


def test_draining_is_unready_and_still_answers() -> None:
    client = Client(App(_runtime(make_toy())))
    client.app.drain()
    assert client("GET", "/readyz").status_code == client("GET", "/v2/health/ready").status_code == 503
    assert client("GET", "/livez").status_code == 200
    answer = client.predict([ROW])
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")


def counted(client: Client, name: str, **labels: str) -> float:
    text = client("GET", "/metrics").text
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


def test_what_is_counted() -> None:
    client = Client(App(_runtime(make_toy())))
    client.predict([ROW] * 3)
    client.predict([ROW], headers={"X-Canari-Synthetic": "1"})
    client.predict([])
    for i in range(20):
        client("GET", f"/made/up/{i}")
    count = "canari_request_duration_seconds_count"
    about = {"model": "toy", "version": "1", "protocol": "http"}
    assert counted(client, count, route="/predict", status="2xx", synthetic="false", **about) == 1
    assert counted(client, count, route="/predict", status="2xx", synthetic="true", **about) == 1
    assert counted(client, count, route="/predict", status="4xx", synthetic="false", **about) == 1
    assert counted(client, count, route="unknown", status="4xx", **about) == 20
    assert counted(client, "canari_rows_total", synthetic="false", **about) == 3
    assert counted(client, "canari_rows_total", synthetic="true", **about) == 1
    assert counted(client, "canari_model", proved="true") == 1
    assert "/made/up" not in client("GET", "/metrics").text


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.sampled_from(["some", "none", "\x1a"])
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3), max_leaves=9
)
nearly_rows = st.lists(
    st.fixed_dictionaries({}, optional={name: anything | st.just(value) for name, value in ROW.items()}), max_size=4
)


@given(body=st.one_of(anything, nearly_rows, nearly_rows.map(lambda rows: {"rows": rows})))
def test_no_json_makes_the_server_fail(toy: Client, body: Any) -> None:
    answer = toy("POST", "/predict", content=json.dumps(body).encode(), headers=JSON)
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        assert 0 < len(answer.json()["error"]) < 400


@given(st.binary(max_size=60))
def test_no_bytes_make_the_server_fail(toy: Client, body: bytes) -> None:
    assert toy("POST", "/predict", content=body, headers=JSON).status_code == 400


@given(
    st.lists(
        st.fixed_dictionaries({"x": st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers()}),
        min_size=1,
        max_size=5,
    )
)
def test_the_two_ways_to_decode_agree(classifier: Client, rows: list[Any]) -> None:
    """A body that the typed decoder takes and one that it leaves to the slow way (`rows`) get the same answer."""
    fast, slow = classifier.predict(rows), classifier.predict({"rows": rows})
    assert (fast.status_code, fast.content) == (slow.status_code, slow.content)
