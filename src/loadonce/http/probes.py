"""The three questions an orchestrator asks, answered from the models' states at that moment.

| state                                   | /livez | /startupz | /readyz          |
|-----------------------------------------|--------|-----------|------------------|
| loading, a required model not ready yet | 200    | 503       | 503 `loading`    |
| every required model ready              | 200    | 200       | 200 `ok`         |
| an optional model failed                | 200    | 200       | 200 `degraded`   |
| a version is in quarantine              | 200    | 200       | 200 `degraded`   |
| reload running, or failed               | 200    | 200       | 200 (old serves) |
| a model's queue full                    | 200    | 200       | 200              |
| draining                                | 200    | 200       | 503 `draining`   |

No probe touches a model, a lock or a thread; nothing is cached.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from loadonce.lifecycle.policy import Readiness
from loadonce.lifecycle.registry import Registry
from loadonce.lifecycle.reporting import unique_name
from loadonce.lifecycle.version import State

from .problems import OK, SERVICE_UNAVAILABLE, render

if TYPE_CHECKING:
    from starlette.types import Scope

RELOAD_FAILURE = "loadonce_reload_failure"  # in the lifespan's state: how a server tells of reloads

LIVE, STARTED, READY = "/livez", "/startupz", "/readyz"

_LEAVING = frozenset({State.DRAINING.value, State.UNLOADED.value})


def probe_route(registries: Sequence[Registry]) -> Route:
    """The route of all three, for GET and HEAD; no part of the app's API: no dependencies, no
    schema."""

    def livez(_request: Request) -> Response:
        return _response(OK, "ok")

    def startupz(_request: Request) -> Response:
        found = [registry.readiness() for registry in registries]
        is_started = all(one.is_started for one in found)
        status = OK if is_started else SERVICE_UNAVAILABLE
        return _response(status, "ok" if is_started else "loading", _states(registries, found))

    def readyz(request: Request) -> Response:
        found = [registry.readiness() for registry in registries]
        word = _word(found)
        status = OK if word in ("ok", "degraded") else SERVICE_UNAVAILABLE
        states = _states(registries, found)
        return _response(status, word, states, _reload_failure(request, registries))

    probes: dict[str, Callable[[Request], Response]] = {
        LIVE: livez,
        STARTED: startupz,
        READY: readyz,
    }

    async def probe(request: Request) -> Response:
        return probes["/" + request.path_params["probe"]](request)

    return ProbeRoute("/{probe}", probe, only=tuple(probes))


class ProbeRoute(Route):
    """A route that costs the requests for other ones nearly nothing.

    Args:
        path: as of any route.
        endpoint: answers the request.
        only: the paths that there are; the route's own by default.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[[Request], Awaitable[Response]],
        *,
        only: tuple[str, ...] = (),
    ) -> None:
        super().__init__(path, endpoint, include_in_schema=False)
        self._only = only or (path,)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether it is asked for. (A path ends with the route's, whatever is mounted where.)"""
        if scope.get("path", "").endswith(self._only):
            return super().matches(scope)
        return Match.NONE, {}


def _word(found: Sequence[Readiness]) -> str:
    if all(one.is_ready for one in found):
        return "degraded" if any(one.is_degraded for one in found) else "ok"
    if any(_is_leaving(one) for one in found):
        return "draining"
    return "loading"


def _is_leaving(one: Readiness) -> bool:
    was_ready = one.is_started and not one.is_ready
    return was_ready or any(state in _LEAVING for state in one.states.values())


def _states(registries: Sequence[Registry], found: Sequence[Readiness]) -> dict[str, str]:
    """Each model's state; names that two registries share are told apart by registry."""
    states: dict[str, str] = {}
    for registry, one in zip(registries, found, strict=True):
        for name, state in one.states.items():
            states[unique_name(type(registry).__name__, name, states)] = state
    return states


def _reload_failure(request: Request, registries: Sequence[Registry]) -> str:
    """Why the last reload failed, the former models serving on: of the server, or of models that
    were reloaded in this process. Names and kinds of errors only: this is for everybody."""
    ask: Callable[[], str] | None = getattr(request.state, RELOAD_FAILURE, None)
    told = [ask()] if ask is not None else []
    for registry in registries:
        for model in registry:
            error = model.slot.error
            if error is not None and model.state is State.READY:
                told.append(f"model '{model.name}': {type(error).__name__}")
    return "; ".join(filter(None, told))


def _response(
    status: int, word: str, states: dict[str, str] | None = None, reload_failure: str = ""
) -> Response:
    content: dict[str, object] = {"status": word}
    if states is not None:
        content["models"] = states
    if reload_failure:
        content["reload_failed"] = reload_failure
    return Response(
        render(content),
        status_code=status,
        headers={"Cache-Control": "no-store"},
        media_type="application/json",
    )
