"""A handle: what a request holds of a model while it lasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Sequence
from operator import attrgetter
from typing import Any, Concatenate, Generic, Literal, ParamSpec, TypeVar, overload

from loadonce.errors import ConfigurationError, DeadlineExceededError, NotRunningError
from loadonce.inference.engine import LATER, BatchFunction, Engine
from loadonce.inference.streaming import stream
from loadonce.owner.remote import RemoteObject

from .slot import Slot
from .version import Version

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741  # an item of a batch
R = TypeVar("R")
P = ParamSpec("P")

tag_of: Callable[[Handle[Any]], bytes] = attrgetter("_version.tag")
"""The model and the version that a handle stands for, as in `Version.tag`."""


class Handle(Generic[T]):
    """A lease on one version of a model, for a whole request.

    The version stays the same from the first call to the last, whatever is reloaded meanwhile.
    Handles come from `Depends(models.x)` or `models.x.lease()`.
    """

    __slots__ = ("_is_held", "_slot", "_version")

    def __init__(self, slot: Slot[T], version: Version[T]) -> None:
        self._slot = slot
        self._version = version
        self._is_held = True

    def __repr__(self) -> str:
        return f"<Handle {self._version!r}>"

    @property
    def name(self) -> str:
        """The model's name."""
        return self._slot.name

    @property
    def version(self) -> str:
        """The version as clients see it: from the lock file; "" for resources."""
        return self._version.label

    @property
    def sha256(self) -> str:
        """The hex digest of the artifact's bytes; "" for resources."""
        return self._version.sha256

    @property
    def value(self) -> T:
        """The loaded object itself. Calls on it run where you make them: in an `async def` handler
        that is the event loop, so use `run` or `batch` for anything slow. Do not keep it past the
        request: a reload may close what it holds.

        Raises:
            NotReadyError: the lease is over and the version has been unloaded.
            ConfigurationError: a process of its own has the object (`placement="process"`).
        """
        return self._here("its object cannot be had here: use `run` or `batch`")

    @overload
    async def run(
        self,
        function: Callable[Concatenate[T, P], Awaitable[R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...
    @overload
    async def run(
        self, function: Callable[Concatenate[T, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    async def run(
        self, function: Callable[Concatenate[T, P], object], /, *args: P.args, **kwargs: P.kwargs
    ) -> object:
        """Run `function(value, *args, **kwargs)` where it belongs and return its result.

        A plain function runs in a thread of the model's own, or on the event loop where that was
        declared or was measured to be quicker; a coroutine function on the event loop, in a task
        that is cancelled when the caller leaves or the `timeout` is over.

        Raises:
            QueueFullError: too many calls are waiting for this model.
            DeadlineExceededError: no result within the declared `timeout`.
            NotReadyError: the model is being unloaded, or the lease is over.
            NotRunningError: the registry is not running.
            ConfigurationError: what cannot cross to the model's own process
                (`placement="process"`).
            Exception: what `function` raised; a `RuntimeError` in place of one that would end the
                caller's task, the event loop or the process.
        """
        value = self._version.value
        engine = engine_for(self._slot, value)
        result: Any = engine.run_now(function, value, args, kwargs)
        if result is LATER:
            result = await engine.run(function, value, *args, **kwargs)
        # A lambda around a coroutine function does not look like one before it is called.
        if hasattr(type(result), "__await__"):
            return await self._run_coroutine(result)
        return result

    async def batch(self, function: BatchFunction[T, I, R], item: I) -> R:
        """Run `function(value, items)` once for this item and those of concurrent requests.

        Requests share a call if they name the same function object and hold the same version, so
        pass a function of a module, not a lambda: a lambda is new each time and never coalesces.
        Where the function raises for several items, it is called again with halves of them, until
        each item that fails is alone: one bad item fails one request.

        Args:
            function: gets the object and a list of items, returns one result for each, in order,
                or an exception for an item that has none; plain or async.
            item: this request's item.

        Returns:
            The result at this item's place.

        Raises:
            BatchResultError: `function` returned another number of results than items.
            ConfigurationError: `batch_cost` returned what no item can cost.
            TypeError: `function` cannot be hashed, so requests cannot share a call of it.
            QueueFullError, DeadlineExceededError, NotReadyError: as for `run`.
            Exception: what `function` raised for this item, or returned at its place.
        """
        value = self._version.value
        engine = engine_for(self._slot, value)
        result: R = engine.batch_now(value, function, item)
        return (
            await engine.batch(self._version, value, function, item) if result is LATER else result
        )

    @overload
    async def batch_many(
        self,
        function: BatchFunction[T, I, R],
        items: Sequence[I],
        *,
        return_exceptions: Literal[False] = False,
    ) -> list[R]: ...
    @overload
    async def batch_many(
        self,
        function: BatchFunction[T, I, R],
        items: Sequence[I],
        *,
        return_exceptions: Literal[True],
    ) -> list[R | Exception]: ...
    async def batch_many(
        self,
        function: BatchFunction[T, I, R],
        items: Sequence[I],
        *,
        return_exceptions: bool = False,
    ) -> Any:
        """Like `batch`, for a request that carries many items; one result for each, in order.

        Args:
            function: as for `batch`.
            items: this request's items.
            return_exceptions: an item's error stands at its place among the results; otherwise the
                first one is raised, and the other results are lost.
        """
        value = self._version.value
        return await engine_for(self._slot, value).batch_many(
            self._version, value, function, items, return_exceptions=return_exceptions
        )

    async def stream(
        self,
        function: Callable[Concatenate[T, P], AsyncGenerator[R, None] | Iterable[R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> AsyncGenerator[R, None]:
        """The parts that `function(value, *args, **kwargs)` yields, each when it is there.

        A generator function has one of the model's threads until its end, an asynchronous one runs
        on the event loop. It goes on when the next part is asked for, and is closed when the caller
        leaves. The version is held until then, whatever becomes of the request.

        Raises:
            DeadlineExceededError: no next part within the declared `timeout`, or no turn.
            QueueFullError, NotReadyError: as for `run`.
            ConfigurationError: a process of its own has the object (`placement="process"`).
        """
        version = self._version
        value = self._here("its results cannot be streamed: use `run`")
        version.lease()
        parts = stream(self._slot.running_engine(), function, value, *args, **kwargs)
        try:
            async for part in parts:
                yield part
        finally:
            await parts.aclose()
            version.release()

    def run_sync(
        self, function: Callable[Concatenate[T, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Like `run`, for a plain function called from another thread than the event loop's (a
        `def` handler); waits for the result.

        Raises:
            ConfigurationError: called on the event loop, which it would block.
        """
        value = self._version.value
        manager = self._slot.manager
        if manager is None:
            if self._slot.is_overridden:
                return function(value, *args, **kwargs)
            raise NotRunningError(self.name, self._slot.registry_name)
        call = engine_for(self._slot, value).run(function, value, *args, **kwargs)
        return run_on_loop(manager.loop, call)

    def renew(self) -> None:
        """Give back this lease and take one on the version that serves now (for long WebSockets).

        Raises:
            NotReadyError, FailedError: nothing serves now; the old lease is kept.
        """
        newer = self._slot.acquire()
        self.release()
        self._version, self._is_held = newer, True

    def release(self) -> None:
        """End the lease; `Depends` and `lease()` do this by themselves. Again does nothing."""
        if self._is_held:
            self._is_held = False
            self._version.release()

    def _here(self, refusal: str) -> T:
        value = self._version.value
        if isinstance(value, RemoteObject):
            raise ConfigurationError(
                f"model '{self.name}' lives in a process of its own (placement=\"process\"), so "
                f"{refusal}"
            )
        return value

    async def _run_coroutine(self, coroutine: Awaitable[R]) -> R:
        seconds = self._slot.declaration.timeout
        timeout = asyncio.timeout(seconds)
        try:
            async with timeout:
                return await coroutine
        except TimeoutError:
            if seconds is None or not timeout.expired():
                raise
            raise DeadlineExceededError(self.name, seconds, "running") from None


def engine_for(slot: Slot[Any], value: object) -> Engine | RemoteObject:
    """Who runs the calls on this object of the slot's."""
    return value if isinstance(value, RemoteObject) else slot.engine or slot.running_engine()


def drop_calls(handles: Iterable[Handle[Any]], task: asyncio.Task[Any]) -> None:
    """The client for whom this task works, and holds these handles, has left: its calls that wait
    for their turn raise `CallerLeftError` and do not run."""
    for handle in handles:
        if handle._slot.engine is not None:
            handle._slot.engine.drop_calls_of(task)


def run_on_loop(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, R]) -> R:
    """Run `coroutine` on `loop` from another thread and wait for it."""
    try:
        here = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    if here is loop:
        coroutine.close()
        raise ConfigurationError(
            "a blocking call on the event loop would stop every other request; use `await "
            "handle.run(...)` in async code"
        )
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result()
