"""Hands a model's jobs to the places that run them: the event loop, threads, tasks."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from time import perf_counter
from typing import Any

from loadonce.errors import NotReadyError
from loadonce.observe.statistics import CallStatistics

from .batching import affordable_size, halves_pay, seconds_until_due
from .execution import Ran, run_job, run_job_here
from .jobs import Call, Job
from .marking import Mark
from .placement import HOP, Gauge
from .returning import Returning
from .threads import WorkerThread
from .turns import Turns

# Callers that are given their results in one turn of the loop, in which each goes on with what is
# left of its request. With 64 at once /livez waited 30 ms beside a forest (p99), so it waits 20,
# at the same rate.
_AT_ONCE = 8
_TURN = 1e-3  # seconds that batches may take on the loop before others have their turn


class Dispatcher:
    """The jobs of one model that wait, and those that run.

    Belongs to the event loop's thread. The arguments are the engine's. Nobody else changes
    `statistics.waiting`, the sum of the counts of the jobs in the queue.

    Attributes:
        free: how many more jobs may run now.
    """

    def __init__(
        self,
        name: str,
        statistics: CallStatistics,
        prepare: Callable[[], None],
        mark: Mark,
        *,
        threads: int,
        max_batch_size: float,
        max_wait: float,
        timeout: float | None,
    ) -> None:
        self.free = threads
        self._name = name
        self._statistics = statistics
        self._mark = mark
        self._all = tuple(WorkerThread(f"{name}-{number}", prepare) for number in range(threads))
        self._idle = list(self._all)
        self._threads = threads
        self._max_batch_size = max_batch_size
        self._max_wait = max_wait
        self._returning = Returning(max_batch_size if threads == 1 else 0)
        self._timeout = timeout
        self._queue: Turns[Job] = Turns()
        self._gathering: dict[Hashable, Job] = {}
        self._due_timer: asyncio.TimerHandle | None = None
        self._is_pump_scheduled = False
        self._is_draining = False
        self._is_ended = False
        self._at_rest: asyncio.Event | None = None
        self._starved: tuple[Hashable, float] | None = None  # the batch's key, since when
        self._tasks: set[asyncio.Task[Ran]] = set()  # of batches
        self._coroutines: set[asyncio.Task[Ran]] = set()  # of plain calls, which take no place

    def __repr__(self) -> str:
        running = self._threads - self.free + len(self._coroutines)
        return f"{self._statistics.waiting} waiting, {running} running"

    @property
    def coroutines(self) -> int:
        """How many calls of coroutine functions run."""
        return len(self._coroutines)

    def add(self, job: Job) -> None:
        """Put a job into the queue; it is looked at once this turn of the loop is over, so that
        calls that arrive together run together."""
        self._queue.add(job)
        self._statistics.waiting += job.count
        self._schedule_pump()

    def await_now(self, job: Job) -> None:
        """Run a call of a coroutine function on the event loop. It takes no place: it waits for
        others, who answer many at a time."""
        self._began(job)
        self._start_task(job, job.profile.single, self._coroutines, ())

    def gather(self, call: Call, key: Hashable, make: Callable[[], Job]) -> None:
        """Put the call's items into the batch of this key that waits, and into new ones."""
        job = self._gathering.get(key)
        for number, price in enumerate(call.prices):
            if job is None or (job.count and job.size + price > self._max_batch_size):
                job = self._gathering[key] = make()
                self.add(job)
            job.add(call, number)
        self._statistics.waiting += len(call.prices)
        if job is not None and self._returning.are_back(job):
            self._schedule_pump()

    def withdraw(self, call: Call) -> None:
        """A caller leaves; what was only for it does not run, or not on."""
        for job in tuple(call.jobs):
            if not job.is_running:
                self._statistics.waiting -= job.remove(call)
                if not job.count:
                    self._queue.remove(job)
                    self._stop_gathering(job)
                    self._schedule_pump()  # it may have been the last one that `close` waits for
            elif job.task is not None and not job.is_wanted(range(job.count)):
                job.task.cancel()

    def release(self, thread: WorkerThread) -> None:
        """A place is free again, and the thread that had it."""
        self._freed()
        if self._is_ended:
            thread.close()
        else:
            self._idle.append(thread)
        self._schedule_pump()

    @property
    def busy_seconds(self) -> float:
        """For how long no thread has come to the end of a job, all having one; 0.0 otherwise."""
        return min(thread.busy_seconds for thread in self._all)

    async def close(self, grace: float) -> None:
        """Let what waits and runs finish for `grace` seconds, then refuse and end the rest."""
        self._is_draining = True
        if not self._rests:
            self._at_rest = asyncio.Event()
            self._schedule_pump()
            try:
                async with asyncio.timeout(grace):
                    await self._at_rest.wait()
            except TimeoutError:
                self._refuse_waiting()
        self._is_ended = True
        for thread in self._idle:
            thread.close()
        self._idle.clear()
        for task in self._tasks | self._coroutines:
            task.cancel()

    @property
    def _rests(self) -> bool:
        return not (self._queue or self._coroutines) and self.free == self._threads

    def _refuse_waiting(self) -> None:
        error = NotReadyError(self._name, "the model was unloaded before this call's turn came")
        for job in self._queue.clear():
            self._statistics.waiting -= job.count
            job.fail(error)
            for call in job.parts:
                call.jobs.remove(job)
        self._gathering.clear()

    def _stop_gathering(self, job: Job) -> None:
        if self._gathering.get(job.key) is job:
            del self._gathering[job.key]

    # -- whose turn it is ----------------------------------------------------------------------

    def _schedule_pump(self) -> None:
        if not self._is_pump_scheduled:
            self._is_pump_scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._is_pump_scheduled = False
        if self._due_timer is not None:
            self._due_timer.cancel()
            self._due_timer = None
        until = perf_counter() + _TURN
        while self._queue and self.free:
            if perf_counter() > until:
                self._schedule_pump()
                return
            job, seconds = self._queue.first(self._seconds_until_due)
            if job is None:
                loop = asyncio.get_running_loop()
                self._due_timer = loop.call_later(seconds, self._schedule_pump)
                return
            self._start(self._taken(job))
        if self._at_rest is not None and self._rests:
            self._at_rest.set()

    def _seconds_until_due(self, job: Job) -> float:
        if job.key is None or self._is_draining:
            return 0.0
        now = asyncio.get_running_loop().time()
        if not self._max_wait:
            return self._returning.seconds_until_due(job, now)
        waited = now - job.first.enqueued
        return seconds_until_due(job.size, self._max_batch_size, waited, self._max_wait)

    def _taken(self, job: Job) -> Job:
        """As much of a job as can be done in time, without those that have left."""
        taken = job
        self._returning.begins(job)
        if job.count > 1:
            timeout = math.inf if self._timeout is None else self._timeout
            left = job.first.enqueued + timeout - asyncio.get_running_loop().time()
            size = affordable_size(job.profile.curve, left, self._max_batch_size)
            taken = job.take(min(size, self._size_in_turn(job)))
        self._queue.pass_on(job, is_done=taken is job)
        if taken is job:
            self._stop_gathering(job)
        self._statistics.waiting -= taken.count
        for call in [call for call in taken.parts if call.future.done()]:
            taken.remove(call)
        return taken

    def _size_in_turn(self, job: Job) -> float:
        """How much of a batch runs now: half of it, where the thread had to wait for the loop."""
        starved, self._starved = self._starved, None
        if starved is None or starved[0] != job.key:
            return job.size
        profile, turn = job.profile, perf_counter() - starved[1]
        whole, half = profile.gauge(job.size), profile.gauge(job.size / 2)
        if whole.is_inline or not halves_pay(whole.wall, half.wall or whole.wall / 2, turn):
            return job.size
        return math.ceil(job.size / 2)

    # -- where it runs -------------------------------------------------------------------------

    def _start(self, job: Job) -> None:
        if not job.count:
            return
        gauge = job.profile.gauge(job.size)
        self.free -= 1
        self._began(job)
        items = job.items()
        if job.profile.is_async and job.function is not lend:
            self._start_task(job, gauge, self._tasks, items)
        elif gauge.is_inline and job.function is not lend:
            self._ran_inline(job, gauge, run_job(self._name, job, items))
        else:
            self._start_in_thread(job, gauge, items)

    def _start_in_thread(self, job: Job, gauge: Gauge, items: list[Any]) -> None:
        thread = self._idle.pop()
        try:
            thread.start()
        except RuntimeError as error:  # the system has none left
            refusal = NotReadyError(self._name, "no thread can be started now", retry_after=1.0)
            refusal.__cause__ = error
            self._settle(job, Ran(error=refusal))
            self.release(thread)
            return
        if job.function is lend:
            job.settle((thread,))
            return
        thread.post(
            lambda: partial(
                self._ran_in_thread, job, gauge, thread, run_job(self._name, job, items)
            )
        )

    def _began(self, job: Job) -> None:
        now = asyncio.get_running_loop().time()
        waited = sum((now - call.enqueued) * len(part) for call, part in job.parts.items())
        self._statistics.started(job.count, waited, is_batch=job.key is not None)
        job.is_running = True
        self._mark.begin()

    def _start_task(
        self, job: Job, gauge: Gauge, tasks: set[asyncio.Task[Ran]], items: Sequence[Any]
    ) -> None:
        task = asyncio.get_running_loop().create_task(run_job_here(self._name, job, list(items)))
        job.task = task
        tasks.add(task)

        def ended(task: asyncio.Task[Ran]) -> None:
            tasks.discard(task)
            if task.cancelled():
                ran = Ran(error=NotReadyError(self._name, "the model was unloaded meanwhile"))
            else:
                ran = task.result()
                gauge.ran_in_thread(ran.wall, ran.wall, 0.0)
            self._settle(job, ran)
            self._freed(int(tasks is self._tasks))
            self._schedule_pump()

        task.add_done_callback(ended)

    def _ran_in_thread(self, job: Job, gauge: Gauge, thread: WorkerThread, ran: Ran) -> None:
        gauge.ran_in_thread(ran.wall, ran.busy, ran.idle)
        self._starved = None if self._queue else (job.key, perf_counter())
        self._settle(job, ran, _AT_ONCE)
        if job.profile.gathers:
            seconds = ran.busy + ran.idle + HOP
            job.profile.gathered(job.count, job.size, seconds, self._statistics.calls)
        if job.key is not None:
            waiting, now = self._gathering.get(job.key), asyncio.get_running_loop().time()
            self._returning.answered(job, waiting, now)
        self.release(thread)

    def _ran_inline(self, job: Job, gauge: Gauge, ran: Ran) -> None:
        gauge.ran_inline(ran.busy, ran.idle)
        self._settle(job, ran)
        if job.profile.gathers:
            seconds = ran.busy + ran.idle
            job.profile.gathered(job.count, job.size, seconds, self._statistics.calls)
        self._freed()

    def _freed(self, places: int = 1) -> None:
        self.free += places
        if self.free == self._threads and not self._coroutines:
            self._mark.rest()

    def _settle(self, job: Job, ran: Ran, at_once: int = 0) -> None:
        errors = job.count if ran.error is not None else 0
        if ran.error is not None:
            job.fail(ran.error)
        else:
            errors = job.settle(ran.outcomes, at_once)
        self._statistics.finished(job.count, ran.wall, errors=errors)


def lend() -> None:
    """The function of a job that is given a thread for as long as its caller wants it."""
