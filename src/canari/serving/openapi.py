"""The OpenAPI 3.1 description of one model's endpoints, made from its signature: its own columns, levels, units, an example.

What has a name here has one in the clients that are generated from it. The Open Inference Protocol's part is in openapi_oip.py.
"""

import math
from typing import Any

import msgspec

from canari.runtime.feeds import LARGEST_INTEGER
from canari.serving import openapi_oip
from canari.serving.openapi_parts import (
    HEADERS,
    REQUEST_ID,
    Schema,
    answer,
    error_responses,
    errors,
    get,
    json_of,
    object_of,
    ref,
)
from canari.serving.settings import Settings
from canari.signature import Input, Output, Signature


def openapi(signature: Signature, settings: Settings) -> Schema:
    """The description as plain values, ready for JSON."""
    proof = "" if signature.proved else " This model is unproved: its predictions were not compared with its source's own."
    row = example_row(signature)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": signature.name,
            "version": signature.version,
            "description": f"Predictions of a {signature.source.model_class} from {signature.source.language}.{proof}",
        },
        "tags": [
            {"name": "predict", "description": "Rows in, predictions out"},
            {"name": openapi_oip.TAG, "description": "The protocol of the clients of Triton, KServe and Seldon"},
            {"name": "about", "description": "The model, and how the server is"},
        ],
        "paths": {
            "/predict": {"post": _predict(row, settings)},
            **openapi_oip.paths(signature, row, settings),
            **_about(settings),
        },
        "components": {
            "schemas": {**_schemas(signature, row, settings), **openapi_oip.schemas(signature)},
            "headers": HEADERS,
            "responses": error_responses(settings),
        },
    }


def example_row(signature: Signature) -> dict[str, Any]:
    """A plausible row: the middle of each range, the most frequent level."""
    return {column.name: _example(column) for column in signature.inputs}


def _example(column: Input) -> Any:
    match column.kind:
        case "category":
            if not column.levels:
                return "text"
            return (
                column.levels[max(range(len(column.shares)), key=column.shares.__getitem__)]
                if column.shares
                else column.levels[0]
            )
        case "boolean":
            return True
        case kind:
            middle = sum(column.range) / 2 if column.range and all(map(math.isfinite, column.range)) else 1.0
            return round(middle) if kind == "integer" else round(middle, 3) or middle


_OTHER_FORMATS = {
    "application/x-ndjson": "one row a line",
    "application/vnd.apache.arrow.stream": "one column a column of the model",
    "application/vnd.apache.arrow.file": "one column a column of the model",
    "application/vnd.apache.parquet": "one column a column of the model",
}


def _predict(row: dict[str, Any], settings: Settings) -> Schema:
    others = {
        content_type: {"schema": {"type": "string", "format": "binary", "description": words}}
        for content_type, words in _OTHER_FORMATS.items()
    }
    return {
        "summary": "Predict rows",
        "description": "An array of rows, the same under `rows`, a single row, or an array a column, also under `columns`; "
        f"at most {settings.max_rows} rows. The answer has the form of the request, or the one that Accept asks for.",
        "operationId": "predict",
        "tags": ["predict"],
        "parameters": [REQUEST_ID],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": ref("PredictRequest"), "example": [row]}, **others},
        },
        "responses": {
            "200": answer("One prediction a row, in the rows' order", {**json_of(ref("PredictResponse")), **others}),
            **errors("400", "406", "408", "413", "415", "500", "503", "504"),
        },
    }


def _about(settings: Settings) -> dict[str, Schema]:
    ready = {"503": answer("Not ready, or going away", json_of(ref("Readiness")))}
    paths = {
        "/signature": get("signature", "The model's contract with its callers", json_of(ref("Signature"))),
        "/openapi.json": get("openapi", "This description", json_of({"type": "object"})),
        "/metrics": get("metrics", "Counters for Prometheus", {"text/plain": {"schema": {"type": "string"}}}),
        "/livez": get("livez", "Whether the process answers", json_of(ref("Liveness"))),
        "/readyz": get("readyz", "Whether requests are welcome", json_of(ref("Readiness")), others=ready),
        "/healthz": get("healthz", "The same as /readyz", json_of(ref("Readiness")), others=ready),
    }
    if settings.page:
        paths["/"] = get("page", "A page to try the model", {"text/html": {"schema": {"type": "string"}}})
    return paths


def _schemas(signature: Signature, row: dict[str, Any], settings: Settings) -> dict[str, Schema]:
    _, described = msgspec.json.schema_components((Signature,), ref_template="#/components/schemas/{name}")
    # In fewer words, which generators understand.
    described["Input"]["properties"]["range"] = {"type": ["array", "null"], "items": {"type": "number"}, "maxItems": 2}
    rows = {"type": "array", "items": ref("Row"), "minItems": 1, "maxItems": settings.max_rows}
    forms = {
        "Row": object_of({column.name: _column(column) for column in signature.inputs}) | {"example": row},
        "Rows": rows,
        "RowsObject": object_of({"rows": ref("Rows")}),
        "Columns": object_of(
            {
                column.name: {"type": "array", "items": _column(column), "minItems": 1, "maxItems": settings.max_rows}
                for column in signature.inputs
            }
        ),
        "ColumnsObject": object_of({"columns": ref("Columns")}),
    }
    return {
        **forms,
        "PredictRequest": {"anyOf": [ref("Rows"), ref("Row"), ref("RowsObject"), ref("Columns"), ref("ColumnsObject")]},
        **{_probabilities(o): object_of(dict.fromkeys(o.labels, _PROBABILITY)) for o in signature.outputs if o.width > 1},
        "Prediction": object_of({output.name: _output(output) for output in signature.outputs}),
        "PredictResponse": object_of(
            {
                "model": {"type": "string", "const": signature.name},
                "version": {"type": "string", "const": signature.version},
                "bento": {"type": "string", "description": "The bento that the model is served out of"},
                "predictions": {"type": "array", "items": ref("Prediction")},
            },
            optional=("bento",),
        ),
        "Error": object_of({"error": {"type": "string", "description": "One sentence: where, what was expected, what came"}}),
        "Liveness": object_of({"live": {"type": "boolean"}}),
        "Readiness": object_of({"ready": {"type": "boolean"}}),
        **msgspec.to_builtins(described),
    }


def _column(column: Input) -> Schema:
    nullable = ["null"] if column.missing else []
    described = []
    if column.unit:
        described.append(f"Unit: {column.unit}.")
    if column.range:
        described.append("From {:g} to {:g} in training.".format(*column.range))
    schema: Schema
    match column.kind:
        case "category":
            schema = {"type": ["string", *nullable] if nullable else "string"}
            if column.levels:
                schema["enum"] = [*column.levels, *([None] if nullable else [])]
        case kind:
            schema = {"type": [kind, *nullable] if nullable else kind}
            if kind == "integer":
                schema |= {"minimum": -LARGEST_INTEGER, "maximum": LARGEST_INTEGER}
    return schema | ({"description": " ".join(described)} if described else {})


_PROBABILITY = {"type": ["number", "null"], "minimum": 0, "maximum": 1}


def _output(output: Output) -> Schema:
    if output.kind == "class":
        missing = "null where the prediction is missing"
        return {"type": ["string", "null"], "enum": [*output.labels, None], "description": missing}
    if output.kind == "probability":
        if output.width > 1:
            return ref(_probabilities(output))
        return _PROBABILITY | {
            "description": f"Probability of {', '.join(output.labels) or 'the event'}; null where it is missing"
        }
    infinite = {"type": "string", "enum": ["Inf", "-Inf"]}
    return {"anyOf": [{"type": ["number", "null"]}, infinite], "description": "null where the prediction is missing"}


def _probabilities(output: Output) -> str:
    """The name of the schema of the probabilities of several labels; letters and digits, as OpenAPI has it."""
    letters = "".join(c for c in output.name.title() if c.isascii() and c.isalnum())
    return f"{letters or 'Label'}ByLabel"
