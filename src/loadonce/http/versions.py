"""`X-Model-Version`: which versions of which models an answer comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from loadonce.lifecycle.handle import tag_of
from loadonce.lifecycle.model import Model, Raw

from .fastapi_internals import route_contexts

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import Message

    from loadonce.lifecycle.handle import Handle

HEADER = "X-Model-Version"

_NAME = HEADER.lower().encode()
_DESCRIPTION = {
    "description": "The models that answered: name=version, comma-separated.",
    "schema": {"type": "string"},
}


def tell_versions(message: Message, used: Sequence[Handle[Any]]) -> None:
    """Add the header to the start of a response to a request that was given these handles."""
    value = tag_of(used[0]) if len(used) == 1 else _several(used)
    if value:
        message["headers"] = [*message.get("headers", ()), (_NAME, value)]


def _several(used: Sequence[Handle[Any]]) -> bytes:
    return b", ".join(dict.fromkeys(filter(None, map(tag_of, used))))


def describe_versions(app: FastAPI, schema: dict[str, Any]) -> None:
    """Add the header to the successful responses, in an OpenAPI document, of routes that use
    models."""
    for route in route_contexts(app.routes):
        if not _uses_models(getattr(route, "dependant", None)):
            continue
        operations = schema["paths"].get(route.path_format, {})
        for method in filter(operations.__contains__, map(str.lower, route.methods)):
            for status, response in operations[method]["responses"].items():
                if status.startswith("2"):
                    response.setdefault("headers", {}).setdefault(HEADER, _DESCRIPTION)


def _uses_models(dependant: Any) -> bool:
    if dependant is None:
        return False
    is_model = isinstance(dependant.call, Model | Raw)
    return is_model or any(map(_uses_models, dependant.dependencies))
