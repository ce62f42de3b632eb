"""The OpenAPI document says what errors look like: problem documents, not FastAPI's own shape; and
which answers tell the versions of models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from .problems import MEDIA_TYPE, UNPROCESSABLE
from .versions import describe_versions

_NAME = "ProblemDetails"
_REPLACED = ("HTTPValidationError", "ValidationError")

_TEXT = {"type": "string"}
_SCHEMA: dict[str, Any] = {
    "title": _NAME,
    "description": "What went wrong (RFC 9457). Never repeats a submitted value.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {**_TEXT, "description": "The kind of problem, as a URI."},
        "title": {**_TEXT, "description": "The kind of problem in a few words."},
        "status": {"type": "integer", "description": "The HTTP status code."},
        "detail": {**_TEXT, "description": "What happened this time."},
        "instance": {**_TEXT, "description": "The request, as a URI."},
        "request_id": {**_TEXT, "description": "The request's id."},
        "model": {**_TEXT, "description": "The model concerned."},
        "retry_after": {"type": "integer", "description": "Seconds to wait before trying again."},
        "errors": {
            "type": "array",
            "description": "Which fields broke which rules.",
            "items": {
                "type": "object",
                "required": ["field", "rule", "message"],
                "properties": {
                    "field": {
                        "type": "array",
                        "items": {"anyOf": [_TEXT, {"type": "integer"}]},
                        "description": "Where: body, query, path or header, then names.",
                    },
                    "rule": _TEXT,
                    "message": _TEXT,
                },
            },
        },
    },
}


def describe_problems(app: FastAPI, *, version_header: bool = True) -> None:
    """Have `app.openapi()` describe 422 and every undeclared status as problem documents, and the
    header of routes that use models.

    What the app declares itself is kept.
    """
    original = app.openapi

    def openapi() -> dict[str, Any]:
        schema = original()
        known = schema.setdefault("components", {}).setdefault("schemas", {})
        if _NAME not in known:
            known[_NAME] = _SCHEMA
            _rewrite(schema)
            if version_header:
                describe_versions(app, schema)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation has it


def _rewrite(schema: dict[str, Any]) -> None:
    for responses in _responses(schema):
        found = responses.get(str(UNPROCESSABLE))
        if found is not None and _REPLACED[0] in json.dumps(found):
            responses[str(UNPROCESSABLE)] = _response("Invalid request")
        responses.setdefault("default", _response("Any other error"))
    for name in _REPLACED:
        if f'"#/components/schemas/{name}"' not in json.dumps(schema):
            schema["components"]["schemas"].pop(name, None)


def _responses(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in schema.get("paths", {}).values():
        for operation in path.values():
            if isinstance(operation, dict) and "responses" in operation:
                yield operation["responses"]


def _response(description: str) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{_NAME}"}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": reference}}}
