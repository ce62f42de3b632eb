"""WebSockets, whose library is imported for apps that declare some, or when the first one opens:
few apps have any."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any


def import_if_declared(routes: Iterable[Any]) -> None:
    """Import it now, where one of these routes, or of the routers and apps in them, is for
    WebSockets: later that would hold up the event loop for 16 ms, in each process."""
    from starlette.routing import WebSocketRoute

    for route in routes:
        if isinstance(route, WebSocketRoute):
            from uvicorn.protocols.websockets import auto  # noqa: F401
        else:
            within = getattr(route, "original_router", route)  # as FastAPI includes it
            import_if_declared(getattr(within, "routes", ()))


def websocket_protocol() -> Any:
    """What uvicorn calls for each new WebSocket; "none" where no library can speak to them."""
    return _open if any(map(find_spec, ("websockets", "wsproto"))) else "none"


def is_websocket(connection: Any) -> bool:
    """Whether that is what became of one of uvicorn's connections."""
    return not hasattr(connection, "cycle")  # of a request and its response


def _open(**given: Any) -> Any:
    from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol

    assert AutoWebSocketsProtocol is not None
    return AutoWebSocketsProtocol(**given)
