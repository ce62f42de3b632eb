"""What each worker would do for itself at its start or first request, done once before the fork.

What one process has made, those that are forked from it share; what each makes is there N times.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .options import ServeOptions
from .process import import_what_serves

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp


def prepare(options: ServeOptions, app: ASGIApp) -> uvicorn.Config:
    """Import and make what all workers need; returns how uvicorn serves `app`."""
    with contextlib.suppress(ImportError):  # which the lifespan would import
        from fastapi.telemetry import _runtime  # noqa: F401
    if options.workers > 1:  # one alone reads, at its first requests, what it needs: 17 ms saved
        _describe_endpoints(app)
    return import_what_serves(options, app)


def _describe_endpoints(app: ASGIApp) -> None:
    """FastAPI reads the source of a handler when it is first asked for, for its error messages."""
    import fastapi.routing

    describe: Callable[[Any], object] | None
    describe = getattr(fastapi.routing, "_extract_endpoint_context", None)
    if describe is not None:
        flatten = getattr(fastapi.routing, "iter_route_contexts", iter)
        # Those of included routers are made when somebody looks.
        for route in flatten(getattr(app, "routes", ())):
            if hasattr(route, "dependant"):
                describe(route.dependant.call)
