"""Direct routes: FastAPI's declarations, served on a path that was worked out beforehand."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any

import fastapi
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.routing import Match, Mount

from .fastapi_internals import route_context, route_context_being_made, route_contexts
from .paths import is_elsewhere, is_exactly

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from .direct_call import DirectCall

logger = logging.getLogger("loadonce.http")

_STATE = "loadonce_direct"
_OLDEST_KNOWN = "0.165"  # older versions answer a little differently, or have another inside


class DirectRoute(APIRoute):
    """A route that answers as FastAPI's does, byte for byte, for a fraction of its time.

    Use it for all routes of an app, or of a router, before they are declared:
    `app.router.route_class = DirectRoute`, `APIRouter(route_class=DirectRoute)`.

    A route is direct if its functions do not yield, it has at most one body parameter (no form),
    and its dependencies are handles (`Depends(models.x)`) or plain functions. Anything else is
    served by FastAPI's own path, as is every single request whose values are not valid, or that
    meets an override; `fallback_reason` tells why a route is.
    """

    def __repr__(self) -> str:
        how = "direct" if self.is_direct else f"through FastAPI: {self.fallback_reason}"
        return f"{super().__repr__()[:-1]}, {how})"

    @property
    def is_direct(self) -> bool:
        """Whether requests go the short way. In an included router that depends on what the
        inclusion adds: `loadonce check` lists what becomes of each."""
        return not self.fallback_reason

    @property
    def fallback_reason(self) -> str:
        """Why FastAPI's own path serves this route; "" if the short one does."""
        return reason_of(self)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler; on the way, the short path is made for whatever this is called for:
        the route itself, or the route as an included router has it."""
        handler = super().get_route_handler()
        context = route_context_being_made()
        owner = context if context is not None and context.original_route is self else self
        setattr(owner, _STATE, _direct_call(self, owner))
        return handler

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether this route is meant; it is told at once if it is another, or just this one."""
        if is_elsewhere(scope, self.path):
            return Match.NONE, {}
        if not is_exactly(scope, self.path):
            return super().matches(scope)
        parameters = dict(scope.get("path_params", {}))
        child = {"endpoint": self.endpoint, "path_params": parameters, "route": self}
        is_its_method = not self.methods or scope["method"] in self.methods
        return Match.FULL if is_its_method else Match.PARTIAL, child

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request that this route matches."""
        context = route_context(scope)
        owner: Any = self
        if context is not None and context.original_route is self:
            owner = context
        state = getattr(owner, _STATE, "")
        if isinstance(state, str) or scope["method"] not in owner.methods:
            await super().handle(scope, receive, send)
        else:
            await state(scope, receive, send)


def reason_of(route: Any) -> str:
    """Why a route, or what FastAPI knows of one in an included router, is not direct; "" if it
    is."""
    state: DirectCall | str = getattr(route, _STATE, "it is no DirectRoute")
    return state if isinstance(state, str) else ""


def direct_routes(app: Starlette, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Each `DirectRoute` of `app`, of its routers and of the apps mounted in it: its methods and
    path, and why it is not direct ("" if it is)."""
    for context in route_contexts(app.routes):
        route = getattr(context, "original_route", context)
        if isinstance(route, Mount) and isinstance(route.app, Starlette):
            yield from direct_routes(route.app, f"{prefix}{context.path}")
        elif isinstance(route, DirectRoute):
            methods = "/".join(sorted(context.methods))
            yield f"{methods} {prefix}{context.path}", reason_of(context)


def log_direct_routes(app: Starlette) -> None:
    """Say which direct routes are served through FastAPI, and why."""
    found = list(direct_routes(app))
    others = [f"{name} ({reason})" for name, reason in found if reason]
    if found:
        served = f"; through FastAPI: {', '.join(others)}" if others else ""
        logger.info("direct routes: %d of %d%s", len(found) - len(others), len(found), served)


def _direct_call(route: DirectRoute, owner: Any) -> DirectCall | str:
    changed = [
        name
        for name in ("get_route_handler", "handle")
        if getattr(type(route), name) is not getattr(DirectRoute, name)
    ]
    if changed:
        return f"{type(route).__name__} has a {changed[0]} of its own"
    if _version(fastapi.__version__) < _version(_OLDEST_KNOWN):
        return f"FastAPI {fastapi.__version__} is older than {_OLDEST_KNOWN}"
    try:
        from .direct_call import DirectCall
        from .direct_plan import NotDirectError, plan_of
    except ImportError as error:
        reason, _, _ = str(error).partition(" (")
        return f"FastAPI {fastapi.__version__} is built in another way: {reason}"
    try:
        return DirectCall(plan_of(owner), lambda: owner.app)
    except NotDirectError as error:
        return str(error)


def _version(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)[:2]]  # of "1.0rc1", too
