"""The engine of one model: a bounded queue on the event loop's side, and threads that drain it.

A call waits in the queue until a thread is idle; a thread is handed one job at a time, so that
event loop and models share the interpreter fairly. Calls of one batch function for the same object
join the job of theirs that is still waiting: an idle model runs a lonely call at once, and while a
batch runs, the next one gathers.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Literal, TypeVar

from loadonce.errors import (
    BatchResultError,
    DeadlineExceededError,
    NotReadyError,
    QueueFullError,
)
from loadonce.observe.statistics import CallStatistics

from .native_threads import limit_native_threads
from .threads import WorkerThread

Placement = Literal["auto", "inline", "thread"]
T = TypeVar("T")
I = TypeVar("I")  # noqa: E741  # an item
R = TypeVar("R")

BatchFunction = Callable[[T, list[I]], Iterable[R]]


class _Call:
    """One caller's place in the queue."""

    __slots__ = ("enqueued", "future", "item", "job", "timer")

    def __init__(self, future: asyncio.Future[Any], item: object, job: _Job) -> None:
        self.future = future
        self.item = item
        self.job = job
        self.enqueued = time.monotonic()
        self.timer: asyncio.TimerHandle | None = None

    def settle(self, result: object, error: BaseException | None) -> bool:
        """Give the caller the outcome; False if it has one already, or has left."""
        if self.future.done():
            return False
        if error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)
        return True

    def forget(self) -> None:
        """The caller no longer waits: nothing of this call is left behind."""
        if self.timer is not None:
            self.timer.cancel()
        if not self.future.done():
            self.future.cancel()
        elif not self.future.cancelled():
            self.future.exception()  # seen, so that the loop does not report it as lost


class _Job:
    """What a thread is handed: one plain call, or the calls of one batch."""

    __slots__ = ("calls", "is_running", "key", "work")

    def __init__(self, key: Hashable, work: Callable[[list[Any]], Sequence[Any]]) -> None:
        self.key = key  # None for a plain call
        self.work = work
        self.calls: list[_Call] = []
        self.is_running = False


class Engine:
    """Runs the calls of one model.

    All methods but `__init__` belong to the event loop's thread.

    Args:
        name: the model's name, for errors and thread names.
        statistics: counts every call.
        placement: "thread" runs in threads of the model's own, "inline" on the event loop (for
            calls of microseconds), "auto" chooses.
        threads: how many calls may run at the same time; 1 for objects that are not thread-safe.
        max_batch_size: the most items given to a batch function at once.
        max_queue: the most calls that may wait; one more raises `QueueFullError`.
        timeout: the deadline of a call in seconds, waiting included; None for none.
    """

    def __init__(
        self,
        name: str,
        statistics: CallStatistics,
        *,
        placement: Placement = "auto",
        threads: int = 1,
        max_batch_size: int = 64,
        max_queue: int = 1024,
        timeout: float | None = 30.0,
    ) -> None:
        self.name = name
        self.statistics = statistics
        self._placement = placement
        self._idle = [
            WorkerThread(f"{name}-{number}", limit_native_threads) for number in range(threads)
        ]
        self._thread_count = threads
        self._max_batch_size = max_batch_size
        self._max_queue = max_queue
        self._timeout = timeout
        self._queue: deque[_Job] = deque()
        self._gathering: dict[Hashable, _Job] = {}
        self._waiting = 0
        self._running = 0
        self._is_pump_scheduled = False
        self._is_closed = False
        self._at_rest: asyncio.Event | None = None

    def __repr__(self) -> str:
        return f"<Engine {self.name}: {self._waiting} waiting, {self._running} running>"

    async def run(self, function: Callable[[], R]) -> R:
        """Run one call and return its result.

        Raises:
            QueueFullError: too many calls are waiting.
            DeadlineExceededError: no result within the timeout.
        """
        if self._placement == "inline":
            return self._inline(function)
        self._check_admission(1)
        job = _Job(None, lambda _items: (function(),))
        self._queue.append(job)
        results: list[R] = await self._results([self._add(job, None)])
        return results[0]

    async def batch(self, key: Hashable, value: T, function: BatchFunction[T, I, R], item: I) -> R:
        """Run `function(value, items)` with this item among others of the same key.

        Args:
            key: calls with equal keys may run together (the version, in practice).
            value: the object `function` gets as its first argument.
            function: gets the list of items, returns one result for each, in order.
            item: this caller's item.

        Raises:
            BatchResultError: `function` returned another number of results.
            QueueFullError: too many calls are waiting.
            DeadlineExceededError: no result within the timeout.
        """
        if self._placement == "inline":
            return self._inline(lambda: self._checked(function, value, [item])[0])
        self._check_admission(1)
        results: list[R] = await self._results([self._join(key, value, function, item)])
        return results[0]

    async def batch_many(
        self, key: Hashable, value: T, function: BatchFunction[T, I, R], items: Sequence[I]
    ) -> list[R]:
        """Like `batch` for many items of one caller; results come in the order of the items."""
        if not items:
            return []
        if self._placement == "inline":
            return list(self._inline(lambda: self._checked(function, value, list(items))))
        self._check_admission(min(len(items), self._max_queue))
        return await self._results([self._join(key, value, function, item) for item in items])

    async def close(self, grace: float = 0.0) -> None:
        """Refuse new calls, let the known ones finish for `grace` seconds, then end the threads."""
        self._is_closed = True
        if self._waiting or self._running:
            self._at_rest = asyncio.Event()
            try:
                async with asyncio.timeout(grace):
                    await self._at_rest.wait()
            except TimeoutError:
                self._refuse_waiting()
        for thread in self._idle:
            thread.close()
        self._idle.clear()

    # -- admission ---------------------------------------------------------------------------

    def _check_admission(self, count: int) -> None:
        if self._is_closed:
            raise NotReadyError(self.name, "the model is being unloaded", retry_after=1.0)
        if self._waiting + count > self._max_queue:
            self.statistics.rejected += count
            raise QueueFullError(
                self.name,
                f"the queue is full ({self._max_queue} calls may wait)",
                retry_after=self.statistics.queue_estimate(self._waiting, self._thread_count),
                hint="retry later; if this lasts, raise max_queue=, threads= or add workers",
            )

    def _add(self, job: _Job, item: object) -> _Call:
        loop = asyncio.get_running_loop()
        call = _Call(loop.create_future(), item, job)
        if self._timeout is not None:
            call.timer = loop.call_later(self._timeout, self._expire, call, self._timeout)
        job.calls.append(call)
        self._waiting += 1
        self._schedule_pump()
        return call

    def _join(self, key: Hashable, value: T, function: BatchFunction[T, I, R], item: I) -> _Call:
        batch_key = (key, function)
        job = self._gathering.get(batch_key)
        if job is None or len(job.calls) >= self._max_batch_size:
            job = _Job(batch_key, lambda items: self._checked(function, value, items))
            self._gathering[batch_key] = job
            self._queue.append(job)
        return self._add(job, item)

    async def _results(self, calls: list[_Call]) -> list[Any]:
        try:
            return [await call.future for call in calls]
        except asyncio.CancelledError:
            self.statistics.cancelled += len(calls)
            raise
        finally:
            for call in calls:
                self._withdraw(call)
                call.forget()

    def _withdraw(self, call: _Call) -> None:
        """Free the place of a caller that leaves before its turn: others may wait there."""
        job = call.job
        if job.is_running or call not in job.calls:
            return
        job.calls.remove(call)
        self._waiting -= 1
        if not job.calls:
            self._queue.remove(job)
            self._stop_gathering(job)
            self._schedule_pump()  # it may have been the last one that `close` waits for

    def _stop_gathering(self, job: _Job) -> None:
        if self._gathering.get(job.key) is job:
            del self._gathering[job.key]

    def _expire(self, call: _Call, timeout: float) -> None:
        where = "running" if call.job.is_running else "queue"
        error = DeadlineExceededError(self.name, timeout, where)
        self.statistics.expired += call.settle(None, error)

    # -- execution ---------------------------------------------------------------------------

    def _schedule_pump(self) -> None:
        # At the end of this turn of the loop: calls that arrive together run together.
        if not self._is_pump_scheduled:
            self._is_pump_scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._is_pump_scheduled = False
        while self._queue and self._idle:
            job = self._queue.popleft()
            self._stop_gathering(job)
            self._waiting -= len(job.calls)
            job.calls = [call for call in job.calls if not call.future.done()]
            if job.calls:
                self._start(job)
        if self._at_rest is not None and not self._waiting and not self._running:
            self._at_rest.set()

    def _start(self, job: _Job) -> None:
        thread = self._idle.pop()
        job.is_running = True
        self._running += 1
        started = time.monotonic()
        self.statistics.started(
            len(job.calls), [started - call.enqueued for call in job.calls], job.key is not None
        )
        items = [call.item for call in job.calls]
        future = thread.submit(lambda: job.work(items))
        future.add_done_callback(lambda done: self._finished(job, thread, started, done))

    def _finished(
        self, job: _Job, thread: WorkerThread, started: float, done: asyncio.Future[Sequence[Any]]
    ) -> None:
        self._running -= 1
        if self._is_closed and self._at_rest is None:
            thread.close()
        else:
            self._idle.append(thread)
        error = done.exception()
        self.statistics.finished(
            len(job.calls), time.monotonic() - started, is_error=error is not None
        )
        if error is None:
            for call, result in zip(job.calls, done.result(), strict=True):
                call.settle(result, None)
        else:
            for call in job.calls:
                call.settle(None, error)
        self._schedule_pump()

    def _refuse_waiting(self) -> None:
        error = NotReadyError(self.name, "the model was unloaded before this call's turn came")
        while self._queue:
            job = self._queue.popleft()
            calls, job.calls = job.calls, []
            for call in calls:
                call.settle(None, error)
        self._gathering.clear()
        self._waiting = 0
        self._at_rest = None

    def _inline(self, function: Callable[[], R]) -> R:
        if self._is_closed:
            raise NotReadyError(self.name, "the model is being unloaded", retry_after=1.0)
        started = time.monotonic()
        self.statistics.started(1, [0.0], False)
        try:
            result = function()
        except BaseException:
            self.statistics.finished(1, time.monotonic() - started, is_error=True)
            raise
        self.statistics.finished(1, time.monotonic() - started, is_error=False)
        return result

    def _checked(self, function: BatchFunction[T, I, R], value: T, items: list[I]) -> Sequence[R]:
        results = function(value, items)
        if not isinstance(results, list | tuple):
            try:
                results = list(results)  # a numpy array counts as its rows
            except TypeError:
                found = f"a {type(results).__name__}"
                raise BatchResultError(self.name, _name_of(function), len(items), found) from None
        if len(results) != len(items):
            found = f"{len(results)} results"
            raise BatchResultError(self.name, _name_of(function), len(items), found)
        return results


def _name_of(function: object) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__))
