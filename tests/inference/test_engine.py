"""The engine: where calls run, what runs together, and what happens when too many come."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from loadonce.errors import (
    BatchResultError,
    DeadlineExceededError,
    NotReadyError,
    QueueFullError,
)
from loadonce.inference import Engine
from loadonce.observe.statistics import CallStatistics

pytestmark = pytest.mark.anyio


def make(**options: Any) -> Engine:
    return Engine("m", CallStatistics(), **options)


class Gate:
    """A call that runs until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.release = threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.release.wait(10)
        return "done"

    async def started(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 10)


def doubled(value: int, items: list[int]) -> list[int]:
    calls.append(len(items))
    return [value * item for item in items]


calls: list[int] = []


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    calls.clear()


async def test_a_call_runs_in_a_thread_of_the_model() -> None:
    engine = make()
    assert (await engine.run(threading.current_thread)).name == "m-0"
    await engine.close()


async def test_an_inline_call_runs_on_the_loop() -> None:
    engine = make(placement="inline")
    assert await engine.run(threading.get_ident) == threading.get_ident()
    assert await engine.batch(1, 2, doubled, 3) == 6
    assert await engine.batch_many(1, 2, doubled, [3, 4]) == [6, 8]
    with pytest.raises(ZeroDivisionError):
        await engine.run(lambda: 1 / 0)
    assert engine.statistics.errors == 1
    await engine.close()
    with pytest.raises(NotReadyError):
        await engine.run(lambda: 1)


async def test_one_thread_runs_one_call_at_a_time_and_two_run_two() -> None:
    for threads in (1, 2):
        engine = make(threads=threads)
        gates = [Gate(), Gate()]
        tasks = [asyncio.create_task(engine.run(gate)) for gate in gates]
        await gates[0].started()
        if threads == 2:
            await gates[1].started()
        assert gates[1].begun.is_set() == (threads == 2)
        assert repr(engine) == f"<Engine m: {2 - threads} waiting, {threads} running>"
        for gate in gates:
            gate.release.set()
        assert await asyncio.gather(*tasks) == ["done", "done"]
        await engine.close()


async def test_calls_that_arrive_together_run_together() -> None:
    engine = make(max_batch_size=64)
    results = await asyncio.gather(*(engine.batch(1, 2, doubled, item) for item in range(100)))
    assert results == [2 * item for item in range(100)]
    assert calls == [64, 36]
    assert engine.statistics.snapshot().batch_sizes == {64: 1, 36: 1}
    await engine.close()


async def test_an_idle_model_runs_a_lonely_item_at_once() -> None:
    engine = make()
    assert await engine.batch(1, 2, doubled, 4) == 8
    assert calls == [1]
    await engine.close()


async def test_while_a_batch_runs_the_next_one_gathers() -> None:
    engine, gate = make(), Gate()
    first = asyncio.create_task(engine.run(gate))
    await gate.started()
    later = [asyncio.create_task(engine.batch(1, 2, doubled, item)) for item in range(5)]
    await asyncio.sleep(0)
    gate.release.set()
    await first
    assert await asyncio.gather(*later) == [0, 2, 4, 6, 8]
    assert calls == [5]
    await engine.close()


async def test_versions_and_functions_do_not_mix() -> None:
    engine = make()

    def other(value: int, items: list[int]) -> list[int]:
        calls.append(-len(items))
        return items

    results = await asyncio.gather(
        engine.batch(1, 2, doubled, 1),
        engine.batch(2, 3, doubled, 1),
        engine.batch(1, 2, other, 1),
    )
    assert list(results) == [2, 3, 1]
    assert sorted(calls) == [-1, 1, 1]
    await engine.close()


async def test_many_items_of_one_request_come_back_in_order() -> None:
    engine = make(max_batch_size=4)
    assert await engine.batch_many(1, 2, doubled, range(10)) == list(range(0, 20, 2))
    assert calls == [4, 4, 2]
    assert await engine.batch_many(1, 2, doubled, []) == []
    await engine.close()


@pytest.mark.parametrize("returned", [[], [1], [1, 2, 3]])
async def test_a_wrong_number_of_results_is_an_error_for_all(returned: list[int]) -> None:
    engine = make()

    def wrong(_value: object, _items: list[int]) -> Sequence[int]:
        return returned

    with pytest.raises(BatchResultError, match=f"returned {len(returned)} results for 2"):
        await engine.batch_many(1, None, wrong, [1, 2])
    await engine.close()


async def test_a_single_value_is_no_list_of_results() -> None:
    engine = make()

    def wrong(_value: object, _items: list[int]) -> Any:
        return 0.5

    with pytest.raises(BatchResultError, match="returned a float for 1 items"):
        await engine.batch(1, None, wrong, 1)
    await engine.close()


async def test_an_array_counts_as_its_rows() -> None:
    import numpy as np

    engine = make()
    assert await engine.batch_many(1, None, lambda _v, items: np.array(items), [1, 2]) == [1, 2]
    await engine.close()


async def test_an_error_reaches_every_caller_of_the_batch() -> None:
    engine = make()

    def fail(_value: object, _items: list[int]) -> list[int]:
        raise ValueError("no")

    outcomes = await asyncio.gather(
        *(engine.batch(1, None, fail, item) for item in range(3)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [ValueError] * 3
    assert engine.statistics.errors == 3
    await engine.close()


async def test_one_call_too_many_is_refused_at_once() -> None:
    engine, gate = make(max_queue=2), Gate()
    first = asyncio.create_task(engine.run(gate))
    await gate.started()
    waiting = [asyncio.create_task(engine.run(lambda: 1)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(QueueFullError) as caught:
        await engine.run(lambda: 1)
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 1
    with pytest.raises(QueueFullError):
        await engine.batch_many(1, 2, doubled, [1, 2, 3, 4])
    gate.release.set()
    assert await asyncio.gather(first, *waiting) == ["done", 1, 1]
    assert await engine.batch_many(1, 2, doubled, [1, 2, 3, 4]) == [2, 4, 6, 8]
    await engine.close()


@pytest.mark.parametrize("where", ["queue", "running"])
async def test_the_deadline_covers_waiting_and_running(where: str) -> None:
    engine, gate = make(timeout=0.05), Gate()
    first = asyncio.create_task(engine.run(gate))
    await gate.started()
    late = first if where == "running" else asyncio.create_task(engine.run(lambda: 1))
    with pytest.raises(DeadlineExceededError, match=where):
        await late
    gate.release.set()
    await asyncio.gather(first, return_exceptions=True)
    await engine.close(1)
    assert engine.statistics.in_flight == 0


async def test_without_a_timeout_a_call_may_take_its_time() -> None:
    engine = make(timeout=None)
    assert await engine.run(lambda: 1) == 1
    await engine.close()


async def test_a_caller_that_leaves_the_queue_costs_no_execution() -> None:
    engine, gate = make(), Gate()
    first = asyncio.create_task(engine.run(gate))
    await gate.started()
    ran: list[int] = []
    leaving = [asyncio.create_task(engine.run(lambda: ran.append(1))) for _ in range(100)]
    staying = asyncio.create_task(engine.batch(1, 2, doubled, 21))
    batched = [asyncio.create_task(engine.batch(1, 2, doubled, item)) for item in range(100)]
    await asyncio.sleep(0)
    for task in leaving + batched:
        task.cancel()
    gate.release.set()
    assert await staying == 42
    await first
    assert ran == []
    assert sum(calls) == 1
    assert engine.statistics.cancelled == 200
    await engine.close()


async def test_a_caller_of_many_that_leaves_takes_all_its_items_along() -> None:
    engine, gate = make(max_batch_size=2, timeout=None), Gate()
    first = asyncio.create_task(engine.run(gate))
    await gate.started()
    many = asyncio.create_task(engine.batch_many(1, 2, doubled, range(9)))
    await asyncio.sleep(0)
    many.cancel()
    with pytest.raises(asyncio.CancelledError):
        await many
    gate.release.set()
    await first
    await engine.close(1)
    assert calls == []


async def test_leaving_while_it_runs_disturbs_nobody_in_the_same_batch() -> None:
    engine = make()
    begun, release = threading.Event(), threading.Event()

    def slow(_value: object, items: list[int]) -> list[int]:
        begun.set()
        release.wait(10)
        return items

    tasks = [asyncio.create_task(engine.batch(1, None, slow, item)) for item in range(3)]
    await asyncio.to_thread(begun.wait, 10)
    tasks[1].cancel()
    await asyncio.sleep(0)
    release.set()
    assert list(await asyncio.gather(tasks[0], tasks[2])) == [0, 2]
    await engine.close()


async def test_closing_lets_known_calls_finish_and_refuses_new_ones() -> None:
    engine, gate = make(), Gate()
    first = asyncio.create_task(engine.run(gate))
    second = asyncio.create_task(engine.run(lambda: "second"))
    await gate.started()
    closing = asyncio.create_task(engine.close(5))
    await asyncio.sleep(0)
    with pytest.raises(NotReadyError):
        await engine.run(lambda: 1)
    gate.release.set()
    await closing
    assert list(await asyncio.gather(first, second)) == ["done", "second"]


async def test_closing_without_grace_refuses_what_waits() -> None:
    engine, gate = make(), Gate()
    first = asyncio.create_task(engine.run(gate))
    second = asyncio.create_task(engine.batch(1, 2, doubled, 1))
    await gate.started()
    await engine.close()
    with pytest.raises(NotReadyError):
        await second
    gate.release.set()
    assert await first == "done"
    assert calls == []


@pytest.mark.parametrize("kind", ["run", "batch"])
async def test_whoever_leaves_the_queue_makes_room(kind: str) -> None:
    engine, gate = make(max_queue=2), Gate()

    def wait_in_line(number: int) -> asyncio.Task[int]:
        if kind == "run":
            return asyncio.create_task(engine.run(lambda: number * 2))
        return asyncio.create_task(engine.batch(1, 2, doubled, number))

    first = asyncio.create_task(engine.run(gate))
    await gate.started()
    leaving = [wait_in_line(number) for number in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(QueueFullError):
        await engine.run(lambda: 1)
    for task in leaving:
        task.cancel()
    await asyncio.wait(leaving)
    assert repr(engine).endswith("0 waiting, 1 running>")
    staying = [wait_in_line(number) for number in (3, 4)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(engine.close(5))
    await asyncio.sleep(0)
    gate.release.set()
    assert list(await asyncio.gather(*staying)) == [6, 8]
    await closing
    assert await first == "done"


async def test_whoever_leaves_at_once_costs_no_execution() -> None:
    engine = make()
    ran: list[int] = []
    leaving = asyncio.create_task(engine.run(lambda: ran.append(1)))
    await asyncio.sleep(0)  # it waits; the queue has not been looked at yet
    leaving.cancel()
    await asyncio.wait([leaving])
    await engine.close(5)
    assert ran == []
