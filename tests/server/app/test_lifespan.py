"""The lifespan protocol, and every way an app can fail to speak it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest

from loadonce import ConfigurationError
from loadonce.server.app.lifespan import Lifespan

pytestmark = pytest.mark.anyio

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def good(scope: Message, receive: Receive, send: Send) -> None:
    assert (await receive())["type"] == "lifespan.startup"
    scope["state"]["opened"] = True
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    scope["state"]["opened"] = False
    await send({"type": "lifespan.shutdown.complete"})


async def deaf(_scope: Message, _receive: Receive, _send: Send) -> None:
    raise AssertionError("http only")


async def silent(_scope: Message, receive: Receive, _send: Send) -> None:
    await receive()


async def refusing(_scope: Message, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no disk"})


async def failing(scope: Message, receive: Receive, send: Send) -> None:
    await refusing(scope, receive, send)
    raise OSError("no disk at all")


async def ending(_scope: Message, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    raise OSError("could not close")


async def sleeping(_scope: Message, _receive: Receive, _send: Send) -> None:
    await asyncio.sleep(60)


async def test_an_app_is_started_and_stopped() -> None:
    lifespan = Lifespan(good, is_required=True)
    await lifespan.startup()
    assert lifespan.state == {"opened": True}
    await lifespan.shutdown()
    assert lifespan.state == {"opened": False}


@pytest.mark.parametrize("app", [deaf, silent])
async def test_an_app_without_a_lifespan_is_served_if_it_has_no_models(app: Any) -> None:
    lifespan = Lifespan(app, is_required=False)
    await lifespan.startup()
    await lifespan.shutdown()


@pytest.mark.parametrize("app", [deaf, silent])
async def test_an_app_without_a_lifespan_is_refused_if_it_has_models(app: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"lifespan=models\.lifespan"):
        await Lifespan(app, is_required=True).startup()


async def test_an_app_that_refuses_to_start_says_why() -> None:
    with pytest.raises(ConfigurationError, match="refused to start: no disk"):
        await Lifespan(refusing, is_required=False).startup()
    with pytest.raises(OSError, match="no disk at all"):
        await Lifespan(failing, is_required=False).startup()


async def test_what_fails_at_the_end_is_raised() -> None:
    lifespan = Lifespan(ending, is_required=False)
    await lifespan.startup()
    with pytest.raises(OSError, match="could not close"):
        await lifespan.shutdown()


async def test_a_start_can_be_given_up_and_nothing_goes_on() -> None:
    lifespan = Lifespan(sleeping, is_required=True)
    lifespan.cancel()  # nothing to cancel yet
    asyncio.get_running_loop().call_later(0.01, lifespan.cancel)
    with pytest.raises(asyncio.CancelledError):
        await lifespan.startup()
    await lifespan.shutdown()
    assert {task.get_name() for task in asyncio.all_tasks()} & {"lifespan"} == set()


async def test_messages_that_nobody_knows_are_ignored() -> None:
    async def chatty(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.something.else"})
        await good(scope, receive, send)

    lifespan = Lifespan(chatty, is_required=True)
    await lifespan.startup()
    await lifespan.shutdown()
