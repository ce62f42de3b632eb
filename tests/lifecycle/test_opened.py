"""What is open is drained together and closed in reverse."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from loadonce import Handle, Model, Registry, State, resource
from loadonce.testing import FakeClock

closed: list[str] = []


async def open_pool() -> AsyncIterator[str]:
    yield "pool"
    closed.append("pool")


async def make(_pool: str) -> AsyncIterator[str]:
    yield "made"
    closed.append("made")


class Two(Registry):
    pool: Model[str] = resource(open_pool, drain_timeout=30.0, timeout=None)
    made: Model[str] = resource(make, pool, drain_timeout=20.0, timeout=None)


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    closed.clear()


@pytest.mark.parametrize("what", ["stop", "reload", "both"])
def test_leases_that_never_end_are_waited_for_together(what: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        models = Two()
        async with AsyncExitStack() as leases:
            async with models.running():
                for model in models:
                    await leases.enter_async_context(model.lease())
                if what != "stop":
                    await models.pool.reload()
                if what == "both":
                    for model in models:
                        await leases.enter_async_context(model.lease())
                begun = loop.time()
                if what == "reload":
                    await asyncio.sleep(31)
                    assert closed == ["made", "pool"]
            assert loop.time() - begun == pytest.approx(31 if what == "reload" else 30, abs=0.5)
        assert closed == ["made", "pool"] * (1 if what == "stop" else 2)

    FakeClock().run(main())


@pytest.mark.anyio
async def test_a_request_that_has_its_lease_calls_on_until_its_end_during_a_stop() -> None:
    models = Two()
    running = models.running()
    await running.__aenter__()
    async with models.pool.lease() as handle:
        version = models.pool.slot.current
        assert version is not None
        stopping = asyncio.create_task(running.__aexit__(None, None, None))
        await _until(lambda: version.state is State.DRAINING)
        assert await _upper(handle) == "POOL"
    await stopping
    assert closed == ["made", "pool"]


def test_so_are_calls_that_hang() -> None:
    release = threading.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        models = Two()
        async with AsyncExitStack() as leases:
            async with models.running():
                handles = [await leases.enter_async_context(model.lease()) for model in models]
                calls = [asyncio.create_task(_hang(handle, release)) for handle in handles]
                await _until(lambda: models.made.status().statistics.in_flight == 1)
                begun = loop.time()
            assert loop.time() - begun == pytest.approx(30, abs=0.5)
        assert closed == ["made", "pool"]
        release.set()
        await asyncio.wait(calls)

    FakeClock().run(main())


async def _upper(handle: Handle[str]) -> str:
    return await handle.run(str.upper)


async def _hang(handle: Handle[str], release: threading.Event) -> bool:
    return await handle.run(lambda _value: release.wait(20))


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # nothing announces what is waited for
            await asyncio.sleep(0.005)
