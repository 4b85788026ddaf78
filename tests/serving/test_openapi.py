"""The OpenAPI description is valid, tells the model's own columns, and its example works."""

import msgspec
import pytest
from openapi_spec_validator import validate

from canari.model import Model
from canari.runtime.onnx import OnnxRuntime
from canari.serving.app import App
from canari.serving.openapi import openapi
from canari.serving.settings import Settings
from canari.signature import Input
from tests.conftest import make_classifier, make_toy
from tests.serving.conftest import Client


@pytest.mark.parametrize("model", [make_toy(), make_classifier(), make_toy(proved=False)], ids=["toy", "classifier", "unproved"])
def test_it_is_valid_and_its_examples_are_answered(model: Model) -> None:
    client = Client(App(OnnxRuntime(model.signature, model.onnx)))
    described = client("GET", "/openapi.json").json()
    validate(described)
    example = described["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert client.predict(example).status_code == 200
    infer = f"/v2/models/{model.signature.name}/infer"
    example = described["paths"][infer]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert client("POST", infer, json=example).status_code == 200
    for path in described["paths"].keys() - {"/"}:
        assert client("HEAD", path).status_code in (200, 405)


def test_columns_levels_units_and_ranges(toy: Client) -> None:
    row = toy("GET", "/openapi.json").json()["components"]["schemas"]["Row"]
    assert row["required"] == ["age", "visits", "smoker", "exercise"]
    assert row["properties"]["age"] == {"type": ["number", "null"], "description": "Unit: years. From 21.5 to 80 in training."}
    assert row["properties"]["visits"]["type"] == "integer"
    assert row["properties"]["smoker"]["type"] == "boolean"
    assert row["properties"]["exercise"] == {"type": "string", "enum": ["none", "some", "a lot"]}
    assert row["example"] == {"age": 50.75, "visits": 6, "smoker": True, "exercise": "none"}


def test_a_text_without_levels(toy_model: Model) -> None:
    inputs = (*toy_model.signature.inputs[:3], Input(name="exercise", kind="category", missing=True))
    signature = msgspec.structs.replace(toy_model.signature, inputs=inputs)
    described = Client(App(OnnxRuntime(signature, toy_model.onnx)))("GET", "/openapi.json").json()
    validate(described)
    assert described["components"]["schemas"]["Row"]["properties"]["exercise"] == {"type": ["string", "null"]}


def test_what_generators_need(classifier: Client) -> None:
    described = classifier("GET", "/openapi.json").json()
    operations = [operation for path in described["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    for operation in operations:
        for found in operation["responses"].values():
            named = found.get("$ref", "").rpartition("/")[2]
            response = described["components"]["responses"][named] if named else found
            assert {"x-request-id", "x-canari-model", "x-canari-version"} <= response["headers"].keys()
    overloaded = described["components"]["responses"]["Overloaded"]
    assert "retry-after" in overloaded["headers"]
    prediction = described["components"]["schemas"]["Prediction"]["properties"]
    assert prediction["class"]["enum"] == ["setosa", "versi color", "Ümlaut", None]
    by_label = described["components"]["schemas"][prediction["probabilities"]["$ref"].rpartition("/")[2]]
    assert by_label["required"] == ["setosa", "versi color", "Ümlaut"]


def test_the_limits_and_the_page_are_those_of_the_settings(toy_model: Model) -> None:
    described = openapi(toy_model.signature, Settings(max_rows=7, max_body=2048, page=False))
    assert described["components"]["schemas"]["Rows"]["maxItems"] == 7
    assert "at most 2048 bytes, 7 rows" in described["components"]["responses"]["TooLarge"]["description"]
    assert "/" not in described["paths"]
    assert "/" in openapi(toy_model.signature, Settings())["paths"]
