"""The OpenAPI description of the Open Inference Protocol's endpoints for one model."""

from typing import Any

from canari.serving.openapi_parts import REQUEST_ID, Schema, answer, errors, get, json_of, object_of, ref
from canari.serving.settings import Settings
from canari.serving.tensors import ACCEPTED
from canari.signature import Signature

TAG = "Open Inference Protocol v2"

_JSON_LENGTH = "inference-header-content-length"


def paths(signature: Signature, row: dict[str, Any], settings: Settings) -> dict[str, Schema]:
    """The protocol's paths."""
    ready = {"503": answer("Not ready, or going away", json_of(ref("Readiness")))}
    model_ready = {"503": answer("Not ready, or going away", json_of(ref("ModelReadiness")))}
    described = {
        "/v2": get("server_metadata", "The server's metadata", json_of(ref("ServerMetadata")), TAG),
        "/v2/health/live": get("server_live", "Whether the process answers", json_of(ref("Liveness")), TAG),
        "/v2/health/ready": get("server_ready", "Whether requests are welcome", json_of(ref("Readiness")), TAG, ready),
    }
    model = f"/v2/models/{signature.name}"
    for path, name in ((model, "model"), (f"{model}/versions/{signature.version}", "model_version")):
        metadata = json_of(ref("ModelMetadata"))
        described[path] = get(f"{name}_metadata", "The model's metadata", metadata, TAG)
        readiness = json_of(ref("ModelReadiness"))
        described[f"{path}/ready"] = get(f"{name}_ready", "Whether the model is ready", readiness, TAG, model_ready)
        described[f"{path}/infer"] = {"post": _infer("infer" if name == "model" else "infer_version", signature, row, settings)}
    return described


def schemas(signature: Signature) -> dict[str, Schema]:
    """The protocol's messages, of this model's tensors."""
    text, flag = {"type": "string"}, {"type": "boolean"}
    shape = {"type": "array", "items": {"type": "integer"}}
    model = {"type": "string", "const": signature.name}
    version = {"type": "string", "const": signature.version}
    datatypes = sorted({datatype for column in signature.inputs for datatype in ACCEPTED[column.kind]})
    outputs = {"type": "string", "enum": [output.name for output in signature.outputs]}
    output_datatype = {"type": "string", "enum": sorted({output.datatype for output in signature.outputs})}
    element = {"type": ["number", "string", "boolean", "null"]}
    elements = {"type": "array", "items": element}
    given = {"type": "array", "items": {}, "description": "The elements, flat or one array a row; null is a missing value"}
    parameters = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
    parameter = {"parameters": ref("Parameters")}
    tensors = {"type": "array", "items": ref("TensorMetadata")}
    return {
        "Parameters": parameters,
        "TensorMetadata": object_of({"name": text, "datatype": text, "shape": shape, **parameter}, optional=("parameters",)),
        "ServerMetadata": object_of({"name": text, "version": text, "extensions": {"type": "array", "items": text}}),
        "ModelMetadata": object_of(
            {
                "name": model,
                "versions": {"type": "array", "items": version},
                "platform": text,
                "inputs": tensors,
                "outputs": tensors,
                **parameter,
            }
        ),
        "ModelReadiness": object_of({"name": model, "ready": flag}),
        "InferInput": object_of(
            {
                "name": text | {"description": f"One of {', '.join(column.name for column in signature.inputs)}"},
                "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1, "maxItems": 2},
                "datatype": {"type": "string", "enum": datatypes},
                "data": given,
                **parameter,
            },
            optional=("parameters",),
        ),
        "InferRequestedOutput": object_of({"name": outputs, **parameter}, optional=("parameters",)),
        "InferRequest": object_of(
            {
                "id": text,
                **parameter,
                "inputs": {"type": "array", "items": ref("InferInput"), "minItems": 1},
                "outputs": {"type": "array", "items": ref("InferRequestedOutput")},
            },
            optional=("id", "parameters", "outputs"),
        ),
        "InferOutput": object_of(
            {"name": outputs, "datatype": output_datatype, "shape": shape, "data": elements, **parameter},
            optional=("parameters",),
        ),
        "InferResponse": object_of(
            {
                "model_name": model,
                "model_version": version,
                "id": text,
                **parameter,
                "outputs": {"type": "array", "items": ref("InferOutput")},
            },
            optional=("id", "parameters"),
        ),
    }


def _infer(operation: str, signature: Signature, row: dict[str, Any], settings: Settings) -> Schema:
    example = {
        "inputs": [{"name": c.name, "datatype": c.datatype, "shape": [1, 1], "data": [row[c.name]]} for c in signature.inputs]
    }
    raw = {"schema": {"type": "string", "format": "binary", "description": "JSON, and the tensors' raw bytes after it"}}
    success = answer("One tensor an output", {**json_of(ref("InferResponse")), "application/octet-stream": raw})
    success["headers"][_JSON_LENGTH] = {
        "description": "How many of the body's bytes are JSON, where there are others",
        "schema": {"type": "integer", "minimum": 0},
    }
    return {
        "summary": "Predict tensors",
        "description": f"One tensor a column, shape [n, 1] or [n], at most {settings.max_rows} rows. Where all columns are "
        "numbers, one tensor of shape [n, k] may hold them, under another name. The binary tensor data extension is supported.",
        "operationId": operation,
        "tags": [TAG],
        "parameters": [
            REQUEST_ID,
            {
                "name": _JSON_LENGTH,
                "in": "header",
                "description": "How many of the body's bytes are JSON; without it, all are",
                "schema": {"type": "integer", "minimum": 0},
            },
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": ref("InferRequest"), "example": example},
                "application/octet-stream": raw,
            },
        },
        "responses": {"200": success, **errors("400", "408", "413", "415", "500", "503", "504")},
    }
