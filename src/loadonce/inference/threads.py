"""Daemon threads that run one job at a time and report back to the event loop that asked."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

R = TypeVar("R")

_Job = Callable[[], None]
_UNHOLDABLE = (
    *(StopIteration, KeyboardInterrupt, SystemExit, GeneratorExit),
    asyncio.CancelledError,
)


class WorkerThread:
    """One thread, one job at a time; the queue stays with the caller.

    The thread is a daemon: a job that hangs in foreign code must not keep the process alive.
    It starts with the first job and is reused until `close()`.

    Args:
        name: the thread's name, shown by debuggers and `py-spy`.
        prepare: runs in the thread before its first job; must not raise.
    """

    def __init__(self, name: str, prepare: Callable[[], None] | None = None) -> None:
        self.name = name
        self._prepare = prepare
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._busy_since = 0.0

    @property
    def busy_seconds(self) -> float:
        """For how long its present job runs; 0.0 if it has none."""
        since = self._busy_since
        return time.monotonic() - since if since else 0.0

    def submit(self, function: Callable[[], R]) -> asyncio.Future[R]:
        """Run `function` in the thread; the result is delivered on the running event loop.

        An exception of any kind, `SystemExit` included, becomes the future's exception: foreign
        code cannot end the thread.
        """
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()

        def outcome() -> Callable[[], None]:
            try:
                result = function()
            except BaseException as error:
                return partial(_settle, future, None, holdable(error))
            return partial(_settle, future, result, None)

        self.post(outcome)
        return future

    def post(self, function: Callable[[], Callable[[], None]]) -> None:
        """Run `function` in the thread, and then what it returns on the running event loop.

        `function` must not raise.
        """
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()

        def job() -> None:
            report = context.run(function)
            with suppress(RuntimeError):  # the loop has been closed meanwhile: nobody waits
                loop.call_soon_threadsafe(report)

        self.start()
        self._jobs.put(job)

    def start(self) -> None:
        """Start the thread, unless it runs.

        Raises:
            RuntimeError: the system has none left; another time it may.
        """
        if self._thread is None:
            thread = threading.Thread(target=self._work, name=self.name, daemon=True)
            thread.start()
            self._thread = thread

    def close(self) -> None:
        """Let the thread end after its present job. Does not wait for it."""
        self._jobs.put(None)

    def _work(self) -> None:
        if self._prepare is not None:
            self._prepare()
        while (job := self._jobs.get()) is not None:
            self._busy_since = time.monotonic()
            job()
            self._busy_since = 0.0
            del job  # the result must not live on until the next job arrives


async def run_in_thread(function: Callable[[], R], name: str) -> R:
    """Run one blocking `function` in a daemon thread of its own and return its result.

    Cancelling the caller abandons the thread: the job goes on, its result is dropped.
    """
    thread = WorkerThread(name)
    try:
        return await thread.submit(function)
    finally:
        thread.close()


def holdable(error: BaseException) -> BaseException:
    """An error that a future can hold and that does not end the loop, the process or its caller's
    task: foreign code can stop none of them."""
    if isinstance(error, _UNHOLDABLE):
        replacement = RuntimeError(f"the call raised {type(error).__name__}")
        replacement.__cause__ = error
        return replacement
    return error


def _settle(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
