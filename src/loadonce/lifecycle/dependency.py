"""What makes an object a FastAPI dependency that holds something until the request's end.

Written against what FastAPI does, without importing it: a dependency that yields costs a request
more than all the rest of ours, because FastAPI wraps it in context managers of its own. So the
dependency returns, and leaves its release on the stack that FastAPI unwinds once the response,
streamed parts and background tasks included, has been sent, or the WebSocket has closed.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any, Protocol

from loadonce.errors import ConfigurationError

EXIT_STACK = "fastapi_inner_astack"  # the key in the connection's scope
USED = "loadonce.used"  # the key of the handles that were given out for it


class Connection(Protocol):
    """A request or a WebSocket."""

    @property
    def scope(self) -> Any: ...


class ConnectionSignature:
    """The `__signature__` of a callable object whose only parameter is the connection.

    FastAPI hands over the connection where the annotation is Starlette's own class. Whoever asks
    for it has imported that class; the signature of the class itself is left alone.
    """

    def __get__(self, instance: object, owner: type) -> inspect.Signature:
        if instance is None:
            raise AttributeError("__signature__")
        framework = sys.modules.get("starlette.requests")
        kind = Connection if framework is None else framework.HTTPConnection
        parameter = inspect.Parameter(
            "connection", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kind
        )
        return inspect.Signature([parameter])


def at_exit_of(connection: Connection) -> Callable[[Callable[[], None]], object]:
    """What registers a function to be called at the end of this connection.

    Raises:
        ConfigurationError: the connection has no such place.
    """
    stack = connection.scope.get(EXIT_STACK)
    if stack is None:
        raise ConfigurationError(
            "a model was asked for outside a FastAPI route (or by a version of FastAPI that "
            "loadonce does not know); use `async with models.x.lease() as handle` there"
        )
    callback: Callable[[Callable[[], None]], object] = stack.callback
    return callback
