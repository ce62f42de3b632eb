"""What each worker would do for itself at its start or first request, done once before the fork.

What one process has made, those that are forked from it share; what each makes is there N times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadonce.server.options import ServeOptions

from .process import import_what_serves

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp


def prepare(options: ServeOptions, app: ASGIApp) -> uvicorn.Config:
    """Import and make what all workers need; returns how uvicorn serves `app`."""
    from loadonce.http.fastapi_internals import import_telemetry

    import_telemetry()
    if options.workers > 1:  # one alone reads, at its first requests, what it needs: 17 ms saved
        _describe_endpoints(app)
    return import_what_serves(options, app)


def _describe_endpoints(app: ASGIApp) -> None:
    from loadonce.http.fastapi_internals import describe_endpoint, route_contexts

    # Those of included routers are made when somebody looks.
    for route in route_contexts(getattr(app, "routes", ())):
        if hasattr(route, "dependant"):
            describe_endpoint(route.dependant.call)
