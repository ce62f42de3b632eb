"""Hosting a resource: its context manager is entered and left in one task, as some demand."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from typing import Any

from loadonce.errors import ConfigurationError, LoaderFailedError
from loadonce.inference.threads import WorkerThread

_LAST_MOMENTS = 1.0  # seconds a cancelled resource has to leave


class HostedResource:
    """Keeps a resource's context manager open between `open()` and `close()`.

    An asynchronous one lives in a task of its own, a synchronous one in a thread of its own, so
    that entering and leaving happen in the same place (task groups and SQLite want that). `task`
    ends when the resource has been left, by `close()` or by itself.
    """

    def __init__(self, name: str, make: Callable[[], object]) -> None:
        self._name = name
        self._make = make
        self._leave = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    async def open(self) -> Any:
        """Enter the context manager and return what it gives.

        Cancelling this leaves it again.
        """
        entered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self._host(entered), name=f"resource-{self._name}")
        self.task.add_done_callback(lambda task: _pass_on(task, entered))
        try:
            return await asyncio.shield(entered)
        except asyncio.CancelledError:
            await _give_up(self.task)
            raise

    async def close(self) -> None:
        """Leave the context manager; raises what it raises. Cancelling this cancels leaving."""
        self._leave.set()
        assert self.task is not None
        try:
            await asyncio.wait([self.task])
        except asyncio.CancelledError:
            await _give_up(self.task)
            raise
        if self.task.cancelled():  # its own doing: no cancellation of whoever closes it
            raise LoaderFailedError(self._name, "the task that held the resource was cancelled")
        self.task.result()

    async def _host(self, entered: asyncio.Future[Any]) -> None:
        made = self._make()
        if inspect.isawaitable(made):
            made = await made
        async with self._managed(made) as value:
            entered.set_result(value)
            del value
            await self._leave.wait()

    def _managed(self, made: object) -> AbstractAsyncContextManager[Any]:
        if isinstance(made, AsyncIterator):
            return _generated(made)
        if isinstance(made, AbstractAsyncContextManager):
            return made
        if isinstance(made, Iterator) and inspect.isgenerator(made):
            return _in_thread(self._name, contextmanager(lambda: made)())
        if isinstance(made, AbstractContextManager):
            return _in_thread(self._name, made)
        raise ConfigurationError(
            f"resource '{self._name}': the factory returned a {type(made).__name__}; it must give "
            "a context manager (or be a generator function that yields the object once)"
        )


@asynccontextmanager
async def _generated(generator: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async with asynccontextmanager(lambda: generator)() as value:
        yield value


@asynccontextmanager
async def _in_thread(name: str, manager: AbstractContextManager[Any]) -> AsyncIterator[Any]:
    thread = WorkerThread(f"resource-{name}")
    entered: list[Any] = []

    def leave() -> None:
        # Runs after entering, in the same thread: what was entered is left even if the wait for
        # it was cancelled.
        if entered:
            entered.clear()
            manager.__exit__(None, None, None)

    try:
        await thread.submit(lambda: entered.append(manager.__enter__()))
        yield entered[0]
    finally:
        leaving = thread.submit(leave)
        thread.close()
        await asyncio.shield(leaving)


async def _give_up(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task], timeout=_LAST_MOMENTS)


def _pass_on(task: asyncio.Task[None], entered: asyncio.Future[Any]) -> None:
    """A task that ended before it entered tells why."""
    if entered.done():
        return
    if task.cancelled():
        entered.cancel()
    else:
        error = task.exception()
        entered.set_exception(error or ConfigurationError("the resource's task ended early"))
