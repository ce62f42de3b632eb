"""Worker threads: one job at a time, every outcome reported, nothing held back."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest

from loadonce.inference.threads import WorkerThread, run_in_thread

pytestmark = pytest.mark.anyio


async def test_runs_off_the_loop_in_a_daemon_thread_of_that_name() -> None:
    thread = await run_in_thread(threading.current_thread, "m-0")
    assert (thread.name, thread.daemon) == ("m-0", True)
    assert thread is not threading.current_thread()


@pytest.mark.parametrize("kind", [ValueError, MemoryError, RecursionError])
async def test_exceptions_reach_the_caller(kind: type[Exception]) -> None:
    def fail() -> None:
        raise kind("no")

    with pytest.raises(kind):
        await run_in_thread(fail, "x")


@pytest.mark.parametrize(
    "kind",
    [StopIteration, KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError],
)
async def test_what_would_end_a_thread_or_a_loop_becomes_an_ordinary_error(
    kind: type[BaseException],
) -> None:
    worker = WorkerThread("x")

    def fail() -> None:
        raise kind

    with pytest.raises(RuntimeError, match=kind.__name__):
        await worker.submit(fail)
    assert await worker.submit(lambda: "still alive") == "still alive"
    worker.close()


async def test_an_abandoned_job_goes_on_and_its_result_is_dropped() -> None:
    begun, release, ended = threading.Event(), threading.Event(), threading.Event()

    def job() -> None:
        begun.set()
        release.wait(5)
        ended.set()

    task = asyncio.create_task(run_in_thread(job, "x"))
    await asyncio.to_thread(begun.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()
    assert await asyncio.to_thread(ended.wait, 5)
    await asyncio.sleep(0.01)


async def test_the_thread_keeps_no_result_alive_between_jobs() -> None:
    class Big:
        pass

    worker = WorkerThread("x")
    big = await worker.submit(Big)
    reference = weakref.ref(big)
    del big
    await worker.submit(lambda: None)
    gc.collect()
    assert reference() is None
    worker.close()


def test_a_result_for_a_closed_loop_is_dropped() -> None:
    release, ended = threading.Event(), threading.Event()
    worker = WorkerThread("x")

    def job() -> None:
        release.wait(5)

    async def leave() -> None:
        worker.submit(job)

    asyncio.run(leave())
    release.set()
    asyncio.run(_after(worker, ended))
    assert ended.is_set()


async def _after(worker: WorkerThread, ended: threading.Event) -> None:
    await worker.submit(ended.set)
    worker.close()
