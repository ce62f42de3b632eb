"""An app's handlers, one after the other: of included routers, WebSockets and mounted apps too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fastapi.dependencies.models import Dependant
from starlette.applications import Starlette
from starlette.routing import Mount

from loadonce.http.fastapi_internals import route_contexts


@dataclass(frozen=True, slots=True)
class Handler:
    """One route of an app: its name for people, its function, and its dependencies."""

    name: str
    endpoint: Callable[..., object]
    dependant: Dependant


def handlers(app: Starlette, prefix: str = "") -> Iterator[Handler]:
    """Every handler of `app` and of the apps mounted in it that FastAPI knows."""
    for context in route_contexts(app.routes):
        if (mounted := _mounted(context)) is not None:
            yield from handlers(mounted, f"{prefix}{context.path}")
            continue
        dependant: Dependant | None = getattr(context, "dependant", None)
        if dependant is not None and dependant.call is not None:
            methods = "/".join(sorted(context.methods or ())) or "WebSocket"
            yield Handler(f"{methods} {prefix}{context.path}", dependant.call, dependant)


def mounted_apps(app: Starlette, prefix: str = "") -> Iterator[tuple[str, Starlette]]:
    """Every app mounted in `app`, directly or not, with its path."""
    for context in route_contexts(app.routes):
        if (mounted := _mounted(context)) is not None:
            path = f"{prefix}{context.path}"
            yield path, mounted
            yield from mounted_apps(mounted, path)


def _mounted(context: Any) -> Starlette | None:
    route = getattr(context, "original_route", context)
    inner = route.app if isinstance(route, Mount) else None
    return inner if isinstance(inner, Starlette) else None
