"""What FastAPI keeps to itself and loadonce asks it for: look here first when it has changed.

Each part is missing in some version; nothing here fails then. What a direct route cannot do without
is in `direct_internals.py`, and what the lease of a model needs in `lifecycle/dependency.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import fastapi.routing

from loadonce.lifecycle.dependency import EXIT_STACK

REQUEST_STACK = EXIT_STACK  # the key of what ends after the response has been sent
FUNCTION_STACK = "fastapi_function_astack"  # of what ends before

_included = getattr(fastapi.routing, "_effective_route_context_var", None)


def route_contexts(routes: Iterable[Any]) -> Iterator[Any]:
    """Each route with what the routers around it add.

    Included routers are a tree since FastAPI 0.137 or so; before, routes are a flat list.
    """
    flatten: Callable[[Any], Iterator[Any]]
    flatten = getattr(fastapi.routing, "iter_route_contexts", iter)
    return flatten(routes)


def route_context(scope: Mapping[str, Any]) -> Any:
    """The one of a request; None where its route stands in no included router."""
    return scope.get("fastapi", {}).get("effective_route_context")


def route_context_being_made() -> Any:
    """The one for which a route is asked for its handler just now; None as above."""
    return _included.get() if _included is not None else None


def describe_endpoint(endpoint: Callable[..., Any]) -> None:
    """Have FastAPI read the source of a handler now, which it does once, for error messages."""
    describe = getattr(fastapi.routing, "_extract_endpoint_context", None)
    if describe is not None:
        describe(endpoint)


def import_telemetry() -> None:
    """Import what FastAPI imports when the app starts."""
    with contextlib.suppress(ImportError):
        from fastapi.telemetry import _runtime  # noqa: F401
