"""Running one job, in whatever place it was given: the function, its errors, its cost."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

try:
    import resource
except ImportError:  # pragma: no cover  # not on this system
    resource = None  # type: ignore[assignment]

from loadonce.errors import BatchResultError

from .batching import Split, as_results
from .jobs import Job
from .threads import holdable


@dataclass(slots=True)
class Ran:
    """What became of a job: a result or an exception for each item, or an error of them all.

    `wall`, `busy` and `idle` are seconds: until it was done, in which its thread computed, in which
    its thread waited of its own accord while no other thread of the process computed. What is
    missing from the first went to other processes, or to the thread that had the interpreter lock.
    """

    outcomes: Sequence[Any] = ()
    error: BaseException | None = None
    wall: float = 0.0
    busy: float = 0.0
    idle: float = 0.0


def run_job(model: str, job: Job, items: list[Any]) -> Ran:
    """Run a job here and now. Raises nothing, whatever the function raises."""
    if not job.profile.is_measured:
        return _run(model, job, items)
    waits, process, thread = _waits(), time.process_time(), time.thread_time()
    ran = _run(model, job, items)
    ran.busy = time.thread_time() - thread
    computed = time.process_time() - process
    if _waits() != waits:
        ran.idle = max(0.0, ran.wall - max(ran.busy, computed))
    return ran


def _run(model: str, job: Job, items: list[Any]) -> Ran:
    ran, started = Ran(), time.perf_counter()
    try:
        ran.outcomes = (job.function(),) if job.key is None else _run_batch(model, job, items)
    except BaseException as error:
        ran.error = holdable(error)
    ran.wall = ran.busy = time.perf_counter() - started
    return ran


async def run_job_here(model: str, job: Job, items: list[Any]) -> Ran:
    """Run a job whose function returns an awaitable, in a task of its own. Raises `CancelledError`
    only, and only if that task was cancelled."""
    ran, started = Ran(), time.perf_counter()
    try:
        if job.key is None:
            ran.outcomes = (await job.function(),)
        else:
            ran.outcomes = await _run_batch_here(model, job, items)
    except BaseException as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        ran.error = holdable(error)
    ran.wall = time.perf_counter() - started
    return ran


def _run_batch(model: str, job: Job, items: list[Any]) -> Sequence[Any]:
    attempts = _attempts(model, job, items)
    some = next(attempts)
    try:
        while True:
            try:
                results = job.function(job.value, some)
            except Exception as error:
                some = attempts.throw(error)
            else:
                some = attempts.send(results)
    except StopIteration as end:
        outcomes: Sequence[Any] = end.value
        return outcomes


async def _run_batch_here(model: str, job: Job, items: list[Any]) -> Sequence[Any]:
    attempts = _attempts(model, job, items)
    some = next(attempts)
    try:
        while True:
            try:
                results = await job.function(job.value, some)
            except Exception as error:
                some = attempts.throw(error)
            else:
                some = attempts.send(results)
    except StopIteration as end:
        outcomes: Sequence[Any] = end.value
        return outcomes


def _attempts(model: str, job: Job, items: list[Any]) -> Generator[list[Any], Any, Sequence[Any]]:
    """Yields the items to call the function with next, is sent what it returns or thrown what it
    raises, and returns a result or an exception for each item."""
    name = job.profile.name
    try:
        return as_results(model, name, (yield items), len(items))
    except Exception as error:
        if len(items) == 1 or _is_final(job, range(len(items)), error):
            raise
    split = Split(len(items))
    while (part := split.next_part()) is not None:
        some = items[part.start : part.stop]
        try:
            results = as_results(model, name, (yield some), len(some))
        except Exception as error:
            split.failed(part, error, is_final=_is_final(job, part, error))
        else:
            split.succeeded(part, results)
    return split.outcomes


def _is_final(job: Job, part: range, error: Exception) -> bool:
    """Whether halving is useless: the function itself is wrong, or nobody waits any more."""
    return isinstance(error, BatchResultError) or not job.is_wanted(part)


def count_waits(of: ModuleType | None) -> Callable[[], int]:
    """What tells how often the present thread has waited of its own accord; where that is not
    counted, it may have each time it is asked."""
    if of is None or not hasattr(of, "RUSAGE_THREAD"):
        return itertools.count().__next__
    return lambda: int(of.getrusage(of.RUSAGE_THREAD).ru_nvcsw)


_waits = count_waits(resource)
