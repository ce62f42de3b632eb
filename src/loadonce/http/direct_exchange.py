"""One request on its way through a direct route, which may still be handed to FastAPI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request

from .direct_internals import wrap_app_handling_exceptions

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send


class Exchange:
    """A request whose body may be read here and read again by FastAPI.

    Args:
        scope, receive, send: as the route got them.
    """

    __slots__ = (
        "_error",
        "_messages",
        "_request",
        "body",
        "is_started",
        "receive",
        "scope",
        "send_more",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.body: bytes | None = None
        self.is_started = False
        self.send_more = send
        self._messages: list[Message] = []
        self._error: Exception | None = None
        self._request: Request | None = None

    async def read(self) -> bytes:
        """The whole body; b"" if the client left or `receive` failed: FastAPI says what that means.

        Afterwards `replay` gives every message again.
        """
        try:
            message = await self.receive()
            self._messages.append(message)
            while message["type"] == "http.request" and message.get("more_body", False):
                message = await self.receive()
                self._messages.append(message)
        except Exception as error:
            self._error = error
            return b""
        if message["type"] != "http.request":
            return b""
        if len(self._messages) > 1:
            self._messages = [{**message, "body": self._joined(), "more_body": False}]
        body: bytes = self._messages[0].get("body", b"")
        self.body = body
        return body

    async def replay(self) -> Message:
        """What `receive` gave so far, then what it gives."""
        if self._messages:
            return self._messages.pop(0)
        if self._error is not None:
            raise self._error
        return await self.receive()

    @property
    def connection(self) -> Request:
        """The request, for its path, query, headers and cookies."""
        if self._request is None:
            self._request = Request(self.scope, self.replay, self.send_more)
        return self._request

    async def request(self) -> Request:
        """The request as handlers see it: if its body was read, it is kept in it."""
        if self.body is not None:
            await self.connection.body()
        return self.connection

    async def send(self, message: Message) -> None:
        """Send, and remember that the response has begun."""
        self.is_started = True
        await self.send_more(message)

    async def fail(self, error: Exception) -> None:
        """Answer as FastAPI answers an exception of a route; raises it where nobody handles it."""

        async def failing(_scope: Scope, _receive: Receive, send: Send) -> None:
            if self.is_started:
                await send({"type": "http.response.start"})
            raise error

        send = _swallow if self.is_started else self.send_more
        app = wrap_app_handling_exceptions(failing, await self.request())
        await app(self.scope, self.receive, send)

    def close(self) -> None:
        """Let go of the request, which knows this exchange: a cycle that would wait for the
        collector, and hold all that the request had until then."""
        self._request = None

    def _joined(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self._messages)


async def _swallow(_message: Message) -> None:
    """For a response that has begun already."""
