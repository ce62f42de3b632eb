"""WebSockets, whose library is imported when the first one opens: few apps have any."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any


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
