"""Every path against two descriptions: the published one of the Open Inference Protocol v2, and the server's own.

Schemathesis makes the requests. CANARI_CONFORMANCE_EXAMPLES says how many a path gets; the suite is content with few.
"""

import asyncio
import copy
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from canari.model import Model
from canari.runtime.feeds import to_feeds
from canari.serving.app import App
from canari.serving.openapi import openapi
from canari.serving.settings import Settings
from canari.serving.warmup import warm
from tests.conftest import LEVELS, make_classifier, make_toy

EXAMPLES = int(os.environ.get("CANARI_CONFORMANCE_EXAMPLES", "15"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

few = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES < 1000, suppress_health_check=list(HealthCheck), database=None
)


def published(name: str, version: str) -> dict[str, Any]:
    """The protocol's description for one model, corrected where it is known to say something else than the protocol's text.

    - Its paths have `${MODEL_NAME}`, the dollar sign of which is none of the path's; here they have the model's name.
    - It leaves out the paths without a version, which the text has.
    - The text writes the server's metadata at `v2`, the description at `/v2/`: both are tried.
    - An answer's elements are numbers, texts or booleans, and there is no word for a missing prediction, which is null here.
    - It knows JSON alone; an inference request with a raw body, and its answer, are in an extension of the protocol.
    - It knows no 404, 413 or 415: what is unknown, too large or no JSON. An HTTP server has them.
    """
    described = yaml.safe_load((Path(__file__).parent / "oip" / "open_inference_rest.yaml").read_text())
    described["servers"] = [{"url": "http://canari"}]
    paths = {}
    for path, operations in described["paths"].items():
        model = path.replace("${MODEL_NAME}", name)
        at = copy.deepcopy({method: operation for method, operation in operations.items() if method != "parameters"})
        paths[model.replace("${MODEL_VERSION}", version)] = at
        if path == "/v2/":
            paths["/v2"] = copy.deepcopy(at)
        elif "/versions/" in path:
            paths[model.replace("/versions/${MODEL_VERSION}", "")] = copy.deepcopy(at)
    for operations in paths.values():
        for operation in operations.values():
            operation.pop("operationId")
    described["paths"] = paths
    elements = described["components"]["schemas"]["response_output"]["properties"]
    elements["data"] = {
        "type": "array",
        "items": {"anyOf": [{"type": t} for t in ("number", "string", "boolean")], "nullable": True},
    }
    return described  # type: ignore[no-any-return]


MODELS = (make_toy(), make_classifier())
RUNTIME = warm(MODELS[0])
protocol = schemathesis.openapi.from_dict(published("toy", "1"))
own = schemathesis.openapi.from_dict(json.loads(json.dumps(openapi(MODELS[0].signature, Settings(page=False)))))


Send: TypeAlias = Callable[[httpx.Request], httpx.Response]


@contextmanager
def sending(model: Model) -> Iterator[Send]:
    """The server in this process, all of whose requests come in one event loop."""
    app = App(warm(model), Settings(page=False, access_log=0))
    with asyncio.Runner() as runner:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://canari")
        yield lambda request: runner.run(client.send(request))
        runner.run(client.aclose())
    app.close()


@pytest.fixture(scope="module")
def send() -> Iterator[Send]:
    with sending(MODELS[0]) as send:
        yield send


def request_of(case: Any) -> httpx.Request:
    how = case.as_transport_kwargs(base_url="http://canari")
    headers = {name: value for name, value in how["headers"].items() if isinstance(value, str)}
    body = {"content": how["data"]} if isinstance(how.get("data"), bytes | str) else {}
    return httpx.Request(how["method"], how["url"], headers=headers, **body, **({"json": how["json"]} if "json" in how else {}))


@protocol.parametrize()
@few
def test_the_published_description_of_the_protocol(case: Any, send: Send) -> None:
    case.validate_response(send(request_of(case)), checks=CHECKS)


@pytest.mark.filterwarnings("ignore:Skipped test cases with unsupported payload media types")  # Arrow, Parquet: their own tests
@own.parametrize()
@few
def test_the_servers_own_description(case: Any, send: Send) -> None:
    case.validate_response(send(request_of(case)), checks=CHECKS)


# A column's name, what its values may be, and the datatypes that hold them.
FLOATS = ("FP64", "FP32", "FP16")
INTEGERS = ("INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32", "UINT16", "UINT8")
COLUMNS = (
    ("age", st.none() | st.floats(width=16, allow_nan=False, allow_infinity=False), FLOATS),
    ("visits", st.integers(0, 100), (*INTEGERS, *FLOATS)),
    ("smoker", st.booleans(), ("BOOL",)),
    ("exercise", st.sampled_from(LEVELS), ("BYTES",)),
)


@st.composite
def inference_requests(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """A request that is to be answered, and its columns."""
    n = draw(st.sampled_from((1, 1, 1, 2, 20)))
    columns, inputs = {}, []
    for name, values, datatypes in COLUMNS:
        columns[name] = draw(st.lists(values, min_size=n, max_size=n))
        data: list[Any] = columns[name]
        shape = draw(st.sampled_from(([n], [n, 1])))
        if len(shape) == 2 and draw(st.booleans()):
            data = [[value] for value in data]
        inputs.append({"name": name, "shape": shape, "datatype": draw(st.sampled_from(datatypes)), "data": data})
    request: dict[str, Any] = {"inputs": draw(st.permutations(inputs))}
    if draw(st.booleans()):
        request["id"] = draw(st.text(max_size=5))
    if draw(st.booleans()):
        request["parameters"] = draw(st.dictionaries(st.text(max_size=3), st.booleans() | st.integers() | st.text(), max_size=2))
    if draw(st.booleans()):
        request["outputs"] = [{"name": "prediction"}]
    return request, columns


@given(made=inference_requests())
@settings(max_examples=8 * EXAMPLES, deadline=None, derandomize=EXAMPLES < 1000, database=None)
def test_right_requests_are_answered_as_both_descriptions_say(
    send: Send, made: tuple[dict[str, Any], dict[str, list[Any]]]
) -> None:
    request, columns = made
    answered = send(httpx.Request("POST", "http://canari/v2/models/toy/versions/1/infer", json=request))
    assert answered.status_code == 200, answered.text
    for described in (protocol, own):
        described["/v2/models/toy/versions/1/infer"]["POST"].validate_response(answered)
    body = answered.json()
    assert body.get("id") == request.get("id")
    expected = RUNTIME.predict(to_feeds(MODELS[0].signature.inputs, columns))["prediction"].ravel().tolist()
    assert body["outputs"][0]["data"] == [None if math.isnan(value) else value for value in expected]
    assert body["outputs"][0]["shape"] == [len(expected), 1]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.signature.name)
def test_the_examples_of_the_servers_own_description_are_answered_as_it_says(model: Model) -> None:
    described = schemathesis.openapi.from_dict(json.loads(json.dumps(openapi(model.signature, Settings(page=False)))))
    with sending(model) as send:
        for result in described.get_all_operations():
            operation = result.ok()  # type: ignore[union-attr]  # the description is valid
            body = operation.definition.raw.get("requestBody", {}).get("content", {}).get("application/json", {})
            request = httpx.Request(
                operation.method, f"http://canari{operation.path}", **({"json": body["example"]} if body else {})
            )
            answered = send(request)
            assert answered.status_code == 200, (operation.path, answered.text)
            operation.validate_response(answered)
