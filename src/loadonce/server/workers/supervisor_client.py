"""What a worker asks its supervisor to do for all workers, or tells it for their sake."""

from __future__ import annotations

import asyncio

from loadonce.errors import ReloadFailedError
from loadonce.system.channel import Channel, Message

_FAILED = "the server's reload failed"


class SupervisorClient:
    """A reload that is asked for in one worker happens in all, so that they have the same models.

    Args:
        channel: to the supervisor.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: list[asyncio.Future[str]] = []

    async def reload(self, model: str) -> None:
        """Have a new generation load all; returns when it serves.

        Raises:
            ReloadFailedError: it failed, and nothing has changed; or nobody could be asked.
        """
        if not self._channel.send({"what": "reload"}):
            raise ReloadFailedError(model, _FAILED, found="the supervisor does not answer")
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        if reason := await answer:
            raise ReloadFailedError(model, _FAILED, found=reason)

    def tell_quarantined(self, model: str, sha256: str) -> None:
        """A version was found to crash the process of its own: no other is to be started for it."""
        self._channel.send({"what": "quarantined", "model": model, "sha256": sha256})

    def hear(self, message: Message) -> None:
        """What became of the oldest one: they are done in the order in which they were asked."""
        if message["what"] == "ended" or not self._waiting:
            return
        answer = self._waiting.pop(0)
        if not answer.done():
            answer.set_result(message.get("reason", ""))
