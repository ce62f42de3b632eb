"""The engine of one model: a bounded queue on the event loop's side, and places that drain it.

A call that is known to take microseconds runs on the event loop at once. Any other waits in the
queue until one of the model's threads is idle; a thread is handed one job at a time, so that event
loop and models share the interpreter fairly. Calls of one batch function for the same object join
the job of theirs that is still waiting: an idle model runs a lonely call at once, and while a batch
runs, the next one gathers.

What to decide is decided elsewhere: in `placement` where a job runs, in `batching` what runs
together, in `turns` who is next. The engine takes calls in and keeps their deadlines; its
dispatcher acts on the decisions.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any, Final, TypeVar

from loadonce.errors import (
    CallerLeftError,
    DeadlineExceededError,
    NotReadyError,
    QueueFullError,
)
from loadonce.observe.statistics import CallStatistics

from .batching import as_results, checked_price
from .dispatcher import Dispatcher, lend
from .jobs import Call, Job
from .marking import Mark
from .native_threads import limit_native_threads
from .placement import Gauge, Placement, Profile, Profiles
from .threads import WorkerThread, holdable

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741  # an item
R = TypeVar("R")

BatchFunction = Callable[[T, list[I]], Iterable[R] | Awaitable[Iterable[R]]]

LATER: Final = object()
"""What `run_now` and `batch_now` return where the call has to wait, or needs a thread."""

_ONE = (1.0,)  # the price of an item
_EARLY = 2e-3  # seconds that a timer may fire before its time


class Engine:
    """Runs the calls of one model.

    All methods but `__init__` belong to the event loop's thread.

    Args:
        name: the model's name, for errors and thread names.
        statistics: counts every call.
        placement: "thread" runs in threads of the model's own, "inline" on the event loop (for
            calls of microseconds), "auto" what was measured to be short on the loop.
        threads: how many jobs may run at the same time; 1 for objects that are not thread-safe.
        max_batch_size: the most that the items given to a batch function at once may cost.
        max_wait: seconds that a batch waits for company, although the model is idle.
        batch_cost: what an item costs; 1 each if None.
        max_queue: the most items that may wait, coroutines included, which wait for others; one
            more raises `QueueFullError`.
        timeout: the deadline of a call in seconds, waiting included; None for none.
        native_threads: how many threads libraries may start inside one call.
        mark: where to say that a call runs; by default where nobody reads it.
    """

    def __init__(
        self,
        name: str,
        statistics: CallStatistics,
        *,
        placement: Placement = "auto",
        threads: int = 1,
        max_batch_size: int = 64,
        max_wait: float = 0.0,
        batch_cost: Callable[[Any], float] | None = None,
        max_queue: int = 1024,
        timeout: float | None = 30.0,
        native_threads: int = 1,
        mark: Mark | None = None,
    ) -> None:
        self.name = name
        self.statistics = statistics
        self.timeout = timeout
        self._profiles = Profiles(placement)
        self._known = self._profiles.known
        mark = mark or Mark.unread()
        self._number, self._called_at_once = mark.number, mark.at_once
        self._dispatcher = Dispatcher(
            name,
            statistics,
            partial(limit_native_threads, native_threads),
            mark,
            threads=threads,
            max_batch_size=max_batch_size,
            max_wait=max_wait,
            timeout=timeout,
        )
        self._threads = threads
        self._max_wait = max_wait
        self._batch_cost = batch_cost
        self._max_queue = max_queue
        self._calls: dict[Call, None] = {}  # that wait for a result, the earliest deadline first
        self._deadline_timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<Engine {self.name}: {self._dispatcher!r}>"

    # -- calls that need not wait --------------------------------------------------------------

    def run_now(
        self, function: Callable[..., R], value: object, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Any:
        """`function(value, *args, **kwargs)` if that may run on the loop at once, else `LATER`."""
        statistics = self.statistics
        try:
            profile = self._known.get(function)
        except TypeError:  # a callable that cannot be hashed
            return LATER
        if (
            profile is None
            or not profile.single.runs_at_once
            or statistics.waiting
            or not self._dispatcher.free
        ):
            return LATER
        started = perf_counter()
        self._called_at_once[0] = self._number
        try:
            result = function(value, *args, **kwargs)
        except BaseException as error:
            raise self._failed_now(profile.single, started, error)  # noqa: B904  # the same error
        self._called_at_once[0] = 0
        seconds = perf_counter() - started
        statistics.calls += 1
        statistics.compute_seconds += seconds
        profile.single.ran_at_once(seconds)
        return result

    def batch_now(self, value: T, function: BatchFunction[T, I, R], item: I) -> Any:
        """The item's result if a batch of it alone may run on the loop at once, else `LATER`."""
        statistics = self.statistics
        try:
            profile = self._known.get(function)
        except TypeError:
            return LATER
        if profile is None or profile.gathers or statistics.waiting or not self._dispatcher.free:
            return LATER
        gauge = profile.single
        if self._batch_cost is not None:
            gauge = profile.gauge(checked_price(self.name, self._batch_cost, item))
        if not gauge.runs_at_once or self._max_wait:
            return LATER
        task = asyncio.current_task()
        if profile.asked_by is None:
            profile.asked_by = task
            asyncio.get_running_loop().call_soon(profile.end_turn)
        elif profile.met(task, statistics.calls):
            return LATER
        started = perf_counter()
        self._called_at_once[0] = self._number
        try:
            results: Any = function(value, [item])
            if type(results) is not list or len(results) != 1:
                results = as_results(self.name, profile.name, results, 1)
            result = results[0]
            if isinstance(result, Exception):
                raise result
        except BaseException as error:
            raise self._failed_now(gauge, started, error)  # noqa: B904  # the same error
        self._called_at_once[0] = 0
        seconds = perf_counter() - started
        statistics.calls += 1
        statistics.compute_seconds += seconds
        statistics.single_batches += 1
        gauge.ran_at_once(seconds)
        return result

    def _failed_now(self, gauge: Gauge, started: float, error: BaseException) -> BaseException:
        seconds = perf_counter() - started
        self._called_at_once[0] = 0
        self.statistics.calls += 1
        self.statistics.errors += 1
        self.statistics.compute_seconds += seconds
        gauge.ran_at_once(seconds)
        return holdable(error)

    # -- calls that wait -----------------------------------------------------------------------

    async def run(self, function: Callable[..., R], /, *args: Any, **kwargs: Any) -> R:
        """Run one call and return its result; a coroutine function's is what it awaited.

        Raises:
            QueueFullError: too many calls are waiting, or too many coroutines.
            DeadlineExceededError: no result within the timeout.
        """
        self._check_admission(1)  # before the function is known, as `close` forgets them all
        profile, dispatcher = self.profile(function), self._dispatcher
        if profile.is_async:
            self._check_admission(1, dispatcher.coroutines)
        job = Job(None, profile, partial(function, *args, **kwargs), None)
        place = dispatcher.await_now if profile.is_async else dispatcher.add
        results: list[R] = await self._results(self._lonely_call(job, place))
        return results[0]

    async def batch(self, key: Hashable, value: T, function: BatchFunction[T, I, R], item: I) -> R:
        """Run `function(value, items)` with this item among others of the same key.

        Args:
            key: calls with equal keys may run together (the version, in practice).
            value: the object `function` gets as its first argument.
            function: gets the list of items, returns one result for each, in order; an exception
                among the results is raised to that item's caller.
            item: this caller's item.

        Raises:
            BatchResultError: `function` returned another number of results.
            ConfigurationError: `batch_cost` returned what no item can cost.
            TypeError: `function` cannot be hashed, so none can be told to be the same.
            QueueFullError: too many calls are waiting.
            DeadlineExceededError: no result within the timeout.
        """
        self._check_admission(1)
        call = self._batch_call(key, value, function, (item,), False)
        try:  # as in `_results`, without a coroutine more
            results: list[R] = await call.future
        except BaseException as error:
            self._leave(call, error)
            raise
        self._forget(call)
        return results[0]

    async def batch_many(
        self,
        key: Hashable,
        value: T,
        function: BatchFunction[T, I, R],
        items: Sequence[I],
        *,
        return_exceptions: bool = False,
    ) -> list[R]:
        """Like `batch` for many items of one caller; results come in the order of the items.

        Args:
            return_exceptions: an item's error stands at its place among the results; otherwise the
                first one is raised and the other results are lost.
        """
        if not items:
            return []
        self._check_admission(min(len(items), self._max_queue))
        return await self._results(self._batch_call(key, value, function, items, return_exceptions))

    async def borrow(self, function: Callable[..., object]) -> WorkerThread:
        """A thread of the model's own, once it is this caller's turn, until `give_back`."""
        self._check_admission(1)
        job = Job(None, self.profile(function), lend, None)
        call = self._lonely_call(job, self._dispatcher.add)
        try:
            threads: list[WorkerThread] = await self._results(call)
        except asyncio.CancelledError:
            if not call.future.cancelled() and call.future.exception() is None:
                self.give_back(call.future.result()[0], 0.0)
            raise
        return threads[0]

    def give_back(self, thread: WorkerThread, seconds: float, *, errors: int = 0) -> None:
        """The caller that borrowed this thread has used it for so long."""
        self.statistics.finished(1, seconds, errors=errors)
        self._dispatcher.release(thread)

    @property
    def hung_seconds(self) -> float:
        """For how long each of the model's threads has been in a call that nobody waits for any
        more, because its deadline has passed; 0.0 while one is free, or may be in time."""
        timeout = math.inf if self.timeout is None else self.timeout
        return max(0.0, self._dispatcher.busy_seconds - timeout)

    def profile(self, function: Callable[..., object]) -> Profile:
        """What is known of a function."""
        return self._profiles.of(function)

    def placements(self) -> Mapping[str, Mapping[int, str]]:
        """Where calls run: for each function by name, by the largest size of batches."""
        return self._profiles.placements()

    def drop_calls_of(self, task: asyncio.Task[Any]) -> None:
        """Nobody wants the results of this caller any more: what it waits for does not run. What
        runs already goes on."""
        for call in [each for each in self._calls if each.task is task]:
            if not any(job.is_running for job in call.jobs):
                call.fail(CallerLeftError(self.name))
                self._dispatcher.withdraw(call)

    def forget_costs(self) -> None:
        """Another object is asked from now on: what calls cost is to be measured anew."""
        self._profiles.forget()

    async def close(self, grace: float = 0.0) -> None:
        """Refuse new calls, let the known ones finish for `grace` seconds, then end the threads."""
        self._is_closed = True
        self._profiles.forget()  # so that no call runs at once any more
        await self._dispatcher.close(grace)
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()

    # -- admission -----------------------------------------------------------------------------

    def _check_admission(self, count: int, coroutines: int = 0) -> None:
        if self._is_closed:
            raise NotReadyError(self.name, "the model is being unloaded", retry_after=1.0)
        waiting = self.statistics.waiting
        if waiting + coroutines + count > self._max_queue:
            self.statistics.rejected += count
            raise QueueFullError(
                self.name,
                f"the queue is full ({self._max_queue} calls may wait)",
                retry_after=self.statistics.queue_estimate(waiting, self._threads),
                hint="retry later; if this lasts, raise max_queue=, threads= or add workers",
            )

    def _prices(self, items: Sequence[Any]) -> Sequence[float]:
        cost = self._batch_cost
        if cost is None:
            return _ONE if len(items) == 1 else [1.0] * len(items)
        return [checked_price(self.name, cost, item) for item in items]

    def _call(
        self, items: Sequence[Any], prices: Sequence[float], returns_exceptions: bool
    ) -> Call:
        loop = asyncio.get_running_loop()
        call = Call(
            *(loop.create_future(), loop.time(), items, prices, returns_exceptions),
            asyncio.current_task(),
        )
        self._calls[call] = None
        if self.timeout is not None and self._deadline_timer is None:
            self._deadline_timer = loop.call_later(self.timeout, self._expire, self.timeout)
        return call

    def _batch_call(
        self,
        key: Hashable,
        value: T,
        function: BatchFunction[T, I, R],
        items: Sequence[I],
        return_exceptions: bool,
    ) -> Call:
        batch_key = (key, function)
        hash(batch_key)  # what raises does so before the call is known
        call = self._call(items, self._prices(items), return_exceptions)
        self._dispatcher.gather(
            call, batch_key, lambda: Job(batch_key, self.profile(function), function, value)
        )
        return call

    def _lonely_call(self, job: Job, place: Callable[[Job], None]) -> Call:
        call = self._call((None,), _ONE, True)
        job.add(call, 0)
        place(job)
        return call

    async def _results(self, call: Call) -> list[Any]:
        try:
            results: list[Any] = await call.future
        except BaseException as error:
            self._leave(call, error)
            raise
        self._forget(call)
        return results

    def _forget(self, call: Call) -> None:
        del self._calls[call]
        call.jobs.clear()  # which know the call: a cycle, that would wait for the collector

    def _leave(self, call: Call, error: BaseException) -> None:
        """Free the place of a caller that leaves, before its turn perhaps: others may wait."""
        if isinstance(error, asyncio.CancelledError | CallerLeftError):
            self.statistics.cancelled += len(call.items)
        call.forget()
        self._dispatcher.withdraw(call)
        self._forget(call)

    def _expire(self, timeout: float) -> None:
        loop = asyncio.get_running_loop()
        self._deadline_timer = None
        for call in self._calls:
            left = call.enqueued + timeout - loop.time()
            if left > _EARLY:
                self._deadline_timer = loop.call_later(left, self._expire, timeout)
                return
            is_running = any(job.is_running for job in call.jobs)
            error = DeadlineExceededError(self.name, timeout, "running" if is_running else "queue")
            self.statistics.expired += len(call.items) if call.fail(error) else 0
