"""An asynchronous client of an app whose lifespan runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from httpx2 import AsyncClient
    from starlette.types import ASGIApp, Receive, Scope, Send


@asynccontextmanager
async def running_client(
    app: ASGIApp,
    *,
    base_url: str = "http://testserver",
    raise_app_exceptions: bool = True,
    headers: dict[str, str] | None = None,
) -> AsyncIterator[AsyncClient]:
    """A client that calls `app` in this event loop, between its start and its end::

        async with running_client(app) as client:
            response = await client.post("/diabetes", json={...})

    Args:
        app: a FastAPI app, or any ASGI app.
        base_url: what relative URLs stand on.
        raise_app_exceptions: raise in the test what a handler raised and nothing handled; False
            gives the response that a client would see.
        headers: sent with every request.

    Raises:
        StartupError: a required model failed; or whatever else the lifespan raised.
    """
    # Late: httpx2 comes with the extra loadonce[testing].
    from httpx2 import ASGITransport, AsyncClient

    from loadonce.server.app.lifespan import Lifespan

    lifespan = Lifespan(app, is_required=False)
    try:
        await lifespan.startup()
    except BaseException:
        lifespan.cancel()
        raise
    # Shows loadonce.http that a test is calling: failures are raised after they were answered.
    extensions: dict[str, Any] = {"http.response.debug": {}} if raise_app_exceptions else {}

    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = lifespan.state.copy()
        scope["extensions"] = dict(extensions)
        await app(scope, receive, send)

    transport = ASGITransport(with_state, raise_app_exceptions=raise_app_exceptions)
    try:
        async with AsyncClient(transport=transport, base_url=base_url, headers=headers) as client:
            yield client
    finally:
        await lifespan.shutdown()
