"""The app's lifespan, run in a task of its own, with the error that stopped it kept."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from loadonce.errors import ConfigurationError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_Message = MutableMapping[str, Any]


class Lifespan:
    """Speaks ASGI's lifespan protocol with one app.

    Takes the place of uvicorn's, which logs the error of a failed start as text and forgets it.

    Args:
        app: the ASGI app.
        is_required: an app that does not know the protocol is an error.
    """

    should_exit = False  # uvicorn asks; here a failed start raises instead

    def __init__(self, app: ASGIApp, *, is_required: bool) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._is_required = is_required
        self._to_app: asyncio.Queue[_Message] = asyncio.Queue()
        self._started = asyncio.Event()
        self._refusal: str | None = None
        self._task: asyncio.Task[None] | None = None

    async def startup(self) -> None:
        """Return once the app is ready to serve.

        Raises:
            Exception: whatever the app's lifespan raised.
            ConfigurationError: the app knows no lifespan, although it has models to load.
            CancelledError: `cancel` was called.
        """
        self._task = asyncio.create_task(self._run(), name="lifespan")
        self._to_app.put_nowait({"type": "lifespan.startup"})
        waiting = asyncio.create_task(self._started.wait())
        try:
            await asyncio.wait([waiting, self._task], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self._task.done():
            ended, self._task = self._task, None
            self._explain(ended)

    def cancel(self) -> None:
        """Give up the start."""
        if self._task is not None:
            self._task.cancel()

    async def shutdown(self) -> None:
        """Let the app close what it opened; raises what that raises."""
        if self._task is not None:
            self._to_app.put_nowait({"type": "lifespan.shutdown"})
            await self._task

    async def _run(self) -> None:
        scope: _Message = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        await self._app(scope, self._to_app.get, self._receive)

    async def _receive(self, message: _Message) -> None:
        if message["type"] == "lifespan.startup.complete":
            self._started.set()
        elif message["type"] == "lifespan.startup.failed":
            self._refusal = str(message.get("message", ""))

    def _explain(self, task: asyncio.Task[None]) -> None:
        """The app's task is over already: raise why, unless it needs no lifespan."""
        if task.cancelled():
            raise asyncio.CancelledError
        error = task.exception()
        if self._refusal is not None:
            raise error or ConfigurationError(f"the app refused to start: {self._refusal}")
        if self._is_required:
            raise ConfigurationError(
                "the app ended its lifespan without starting, so its models were not loaded: pass "
                "`lifespan=models.lifespan` to FastAPI"
            ) from error
