"""The pieces that the OpenAPI description of every endpoint is made of."""

from typing import Any, TypeAlias

from canari.serving.settings import Settings

Schema: TypeAlias = dict[str, Any]

REQUEST_ID: Schema = {
    "name": "x-request-id",
    "in": "header",
    "description": "The caller's own name for the request, given back; without one the server makes one",
    "schema": {"type": "string", "maxLength": 128},
}

HEADERS: dict[str, Schema] = {
    "RequestId": {"description": "The request's name, in the log too", "schema": {"type": "string"}, "required": True},
    "Model": {"description": "The model's name", "schema": {"type": "string"}, "required": True},
    "Version": {"description": "The model's version", "schema": {"type": "string"}, "required": True},
    "Bento": {"description": "The bento that the model is served out of, if any", "schema": {"type": "string"}},
    "Unproved": {
        "description": "There where predictions were not compared with the source's own",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "RetryAfter": {"description": "Seconds", "schema": {"type": "integer", "minimum": 0}, "required": True},
}

_COMMON_HEADERS: dict[str, Schema] = {
    name: {"$ref": f"#/components/headers/{header}"}
    for name, header in (
        ("x-request-id", "RequestId"),
        ("x-canari-model", "Model"),
        ("x-canari-version", "Version"),
        ("x-canari-bento", "Bento"),
        ("x-canari-unproved", "Unproved"),
    )
}

_ERRORS = {
    "400": ("BadRequest", "What does not fit, and where: row, column or tensor, what was expected and what came"),
    "406": ("NotAcceptable", "The answer is not to be had in any form that Accept names"),
    "408": ("RequestTimeout", "The request did not come whole in time"),
    "413": ("TooLarge", "Too many bytes or rows at a time: at most {max_body} bytes, {max_rows} rows"),
    "415": ("UnsupportedMediaType", "The body has a form that is not taken"),
    "500": ("Failed", "The server failed to answer; its log says where"),
    "503": ("Overloaded", "More requests wait than the model can answer in time"),
    "504": ("AnswerTimeout", "The model did not answer in time"),
}


def error_responses(settings: Settings) -> dict[str, Schema]:
    """The answers that are errors, by their names."""
    responses = {
        name: answer(words.format(max_body=settings.max_body, max_rows=settings.max_rows), json_of(ref("Error")))
        for name, words in _ERRORS.values()
    }
    responses["Overloaded"]["headers"]["retry-after"] = {"$ref": "#/components/headers/RetryAfter"}
    return responses


def errors(*statuses: str) -> dict[str, Schema]:
    """The answers of some error statuses."""
    return {status: {"$ref": f"#/components/responses/{_ERRORS[status][0]}"} for status in statuses}


def answer(description: str, content: Schema) -> Schema:
    """An answer, with the headers that all have."""
    return {"description": description, "headers": dict(_COMMON_HEADERS), "content": content}


def get(operation: str, summary: str, content: Schema, tag: str = "about", others: dict[str, Schema] | None = None) -> Schema:
    """A path that takes GET; `others` are its answers besides 200."""
    responses = {"200": answer(summary, content), **(others or {})}
    return {"get": {"summary": summary, "operationId": operation, "tags": [tag], "responses": responses}}


def object_of(properties: dict[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    """An object whose properties are all required, but for the optional ones."""
    return {"type": "object", "properties": properties, "required": [name for name in properties if name not in optional]}


def json_of(schema: Schema) -> Schema:
    """Content that is JSON."""
    return {"application/json": {"schema": schema}}


def ref(schema: str) -> Schema:
    """A named schema."""
    return {"$ref": f"#/components/schemas/{schema}"}
