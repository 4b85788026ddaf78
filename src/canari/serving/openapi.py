"""The OpenAPI 3.1 description of one model's endpoints, made from its signature: its own columns, levels, units, an example."""

import math
from typing import Any

from canari.runtime.feeds import LARGEST_INTEGER
from canari.serving.http import MAX_BODY
from canari.serving.rows import MAX_ROWS
from canari.signature import Input, Output, Signature

_Schema = dict[str, Any]


def openapi(signature: Signature) -> _Schema:
    """The description as plain values, ready for JSON."""
    model = f"/v2/models/{signature.name}"
    proof = "" if signature.proved else " This model is unproved: its predictions were not compared with its source's own."
    return {
        "openapi": "3.1.0",
        "info": {
            "title": signature.name,
            "version": signature.version,
            "description": f"Predictions of a {signature.source.model_class} from {signature.source.language}.{proof}",
        },
        "paths": {
            "/predict": {"post": _predict(signature)},
            "/signature": _get("The model's signature", "signature"),
            "/livez": _get("Whether the process answers", "health"),
            "/readyz": _get("Whether requests are welcome", "health", unready=True),
            "/healthz": _get("The same as /readyz", "health", unready=True, operation="healthz"),
            "/metrics": _get("Counters for Prometheus", "health", content="text/plain"),
            "/v2": _get("The server's metadata", "Open Inference Protocol v2"),
            "/v2/health/live": _get("Whether the process answers", "Open Inference Protocol v2"),
            "/v2/health/ready": _get("Whether requests are welcome", "Open Inference Protocol v2", unready=True),
            model: _get("The model's metadata", "Open Inference Protocol v2"),
            f"{model}/ready": _get("Whether the model is ready", "Open Inference Protocol v2", unready=True),
            f"{model}/infer": {"post": _infer(signature)},
        },
        "components": {
            "schemas": {
                "Row": _row(signature),
                "Prediction": _prediction(signature),
                "Error": {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]},
            }
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


def _predict(signature: Signature) -> _Schema:
    row = {"$ref": "#/components/schemas/Row"}
    rows = {"type": "array", "items": row, "minItems": 1, "maxItems": MAX_ROWS}
    wrapped = {"type": "object", "properties": {"rows": rows}, "required": ["rows"]}
    answer = {
        "type": "object",
        "properties": {
            "model": {"const": signature.name},
            "version": {"const": signature.version},
            "predictions": {"type": "array", "items": {"$ref": "#/components/schemas/Prediction"}},
        },
        "required": ["model", "version", "predictions"],
    }
    return {
        "summary": "Predict rows",
        "description": f"An array of rows, the same under `rows`, or a single row; at most {MAX_BODY // 2**20} MiB.",
        "operationId": "predict",
        "tags": ["predict"],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"anyOf": [rows, row, wrapped]}, "example": [example_row(signature)]}},
        },
        "responses": {
            "200": _answer("One prediction a row, in the rows' order", answer),
            "400": _error("Names the row, the column, what was expected and what came"),
            "413": _error("Too many rows at a time"),
            "415": _error("The body is not JSON"),
        },
    }


def _row(signature: Signature) -> _Schema:
    return {
        "type": "object",
        "properties": {column.name: _column(column) for column in signature.inputs},
        "required": [column.name for column in signature.inputs],
        "example": example_row(signature),
    }


def _column(column: Input) -> _Schema:
    nullable = ["null"] if column.missing else []
    described = []
    if column.unit:
        described.append(f"Unit: {column.unit}.")
    if column.range:
        described.append("From {:g} to {:g} in training.".format(*column.range))
    schema: _Schema
    match column.kind:
        case "category" if column.levels:
            schema = {"enum": [*column.levels, *([None] if nullable else [])]}
        case "category":
            schema = {"type": ["string", *nullable]}
        case "integer":
            schema = {"type": ["integer", *nullable], "minimum": -LARGEST_INTEGER, "maximum": LARGEST_INTEGER}
        case kind:
            schema = {"type": [kind, *nullable]}
    return schema | ({"description": " ".join(described)} if described else {})


def _prediction(signature: Signature) -> _Schema:
    return {
        "type": "object",
        "properties": {output.name: _output(output) for output in signature.outputs},
        "required": [output.name for output in signature.outputs],
    }


def _output(output: Output) -> _Schema:
    if output.kind == "class":
        return {"enum": [*output.labels, None], "description": "null where the prediction is missing"}
    if output.kind == "probability":
        one = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
        if output.width == 1:
            return one | {"description": f"Probability of {', '.join(output.labels) or 'the event'}; null where it is missing"}
        return {"type": "object", "properties": dict.fromkeys(output.labels, one), "required": list(output.labels)}
    infinite = {"enum": ["Inf", "-Inf"]}
    return {"anyOf": [{"type": ["number", "null"]}, infinite], "description": "null where the prediction is missing"}


def _infer(signature: Signature) -> _Schema:
    example = example_row(signature)
    tensors = [{"name": c.name, "datatype": c.datatype, "shape": [1, 1], "data": [example[c.name]]} for c in signature.inputs]
    tensor = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "datatype": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "data": {"type": "array"},
            "parameters": {"type": "object"},
        },
        "required": ["name", "datatype", "shape"],
    }
    request = {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "parameters": {"type": "object"},
            "inputs": {"type": "array", "items": tensor},
            "outputs": {"type": "array", "items": {"type": "object", "required": ["name"]}},
        },
        "required": ["inputs"],
    }
    answer = {
        "type": "object",
        "properties": {
            "model_name": {"const": signature.name},
            "model_version": {"const": signature.version},
            "id": {"type": "string"},
            "outputs": {"type": "array", "items": tensor},
        },
        "required": ["model_name", "model_version", "outputs"],
    }
    return {
        "summary": "Predict tensors",
        "description": "One tensor a column, shape [n, 1] or [n].",
        "operationId": "infer",
        "tags": ["Open Inference Protocol v2"],
        "requestBody": {"required": True, "content": {"application/json": {"schema": request, "example": {"inputs": tensors}}}},
        "responses": {"200": _answer("One tensor an output", answer), "400": _error("What does not fit, and where")},
    }


def _get(summary: str, tag: str, *, unready: bool = False, content: str = "application/json", operation: str = "") -> _Schema:
    responses = {"200": {"description": summary, "content": {content: {}}}}
    if unready:
        responses["503"] = {"description": "Not ready, or going away", "content": {content: {}}}
    operation_id = {"operationId": operation} if operation else {}
    return {"get": {"summary": summary, "tags": [tag], **operation_id, "responses": responses}}


def _answer(description: str, schema: _Schema) -> _Schema:
    headers = {name: {"schema": {"type": "string"}} for name in ("x-canari-model", "x-canari-version")}
    return {"description": description, "headers": headers, "content": {"application/json": {"schema": schema}}}


def _error(description: str) -> _Schema:
    return {"description": description, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
