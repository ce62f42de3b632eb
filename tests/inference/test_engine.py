"""The engine: where calls run, what runs together, and what happens when too many come."""

from __future__ import annotations

import asyncio
import gc
import math
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from loadonce.errors import (
    BatchResultError,
    CallerLeftError,
    ConfigurationError,
    DeadlineExceededError,
    NotReadyError,
    QueueFullError,
)
from loadonce.inference import Engine, dispatcher
from loadonce.inference.engine import LATER
from loadonce.inference.marking import Mark
from loadonce.inference.placement import ALONE, IN_VAIN, OVERRUN, TRIALS, Profile
from loadonce.observe.statistics import CallStatistics
from loadonce.testing import FakeClock

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
    assert engine.statistics.snapshot({}).batch_sizes == {64: 1, 36: 1}
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


async def test_a_thread_that_waited_for_the_loop_gets_half_of_the_next_batch() -> None:
    def by_rows(value: int, items: list[int]) -> list[int]:
        calls.append(len(items))
        time.sleep(0.02 * len(items))
        return [value * item for item in items]

    engine = make(placement="thread")
    for _ in range(2):
        results = await asyncio.gather(*(batch(engine, by_rows, item) for item in range(8)))
        assert results == [2 * item for item in range(8)]
        time.sleep(0.1)  # noqa: ASYNC251  # what the loop has to do for its callers
    assert calls == [8, 4, 4]
    calls.clear()
    await engine.run(by_rows, 2, [1])  # the last one was of another function
    await asyncio.gather(*(batch(engine, by_rows, item) for item in range(8)))
    assert calls == [1, 8]
    await engine.close()


async def test_a_batch_that_costs_as_much_as_its_half_stays_whole() -> None:
    def vectorised(value: int, items: list[int]) -> list[int]:
        calls.append(len(items))
        time.sleep(0.1)
        return [value * item for item in items]

    engine = make(placement="thread")
    for count in (4, 8, 8):
        await asyncio.gather(*(batch(engine, vectorised, item) for item in range(count)))
    assert calls == [4, 8, 8]
    await engine.close()


async def test_calls_that_gather_for_a_thread_stop_once_they_are_alone() -> None:
    engine = make(placement="thread")
    profile = engine.profile(doubled)
    profile.gathers = True
    for _ in range(ALONE):
        assert profile.gathers
        await batch(engine, doubled, 1)
    assert not engine.profile(doubled).gathers
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


class Marks:
    """Where an engine says that it is in a call."""

    def __init__(self) -> None:
        self.at_once = [0]
        self.began = [0, 0, 0]
        self.mark = Mark(2, self.at_once, self.began)

    @property
    def is_set(self) -> tuple[bool, bool]:
        return self.at_once[0] == 2, bool(self.began[2])


async def test_calls_are_marked_while_they_run_wherever_that_is() -> None:
    marks = Marks()
    seen: list[tuple[bool, bool]] = []

    def look(*_values: object) -> list[int]:
        seen.append(marks.is_set)
        return [1]

    def fail(*_values: object) -> list[int]:
        raise ValueError(marks.is_set)

    engine = make(placement="inline", mark=marks.mark)
    await engine.run(look, 1)
    assert engine.run_now(look, 1, (), {}) == [1]
    await engine.batch(1, 1, look, 1)
    assert engine.batch_now(1, look, 1) == 1
    with pytest.raises(ValueError, match="False, True"):
        await engine.run(fail, 1)
    with pytest.raises(ValueError, match="True, False"):
        engine.run_now(fail, 1, (), {})
    assert marks.is_set == (False, False)
    with pytest.raises(ValueError, match="True, False"):
        engine.batch_now(1, fail, 1)
    assert marks.is_set == (False, False)
    await engine.close()
    engine = make(placement="thread", threads=2, mark=marks.mark)
    gates = [Gate(), Gate()]
    tasks = [asyncio.create_task(engine.run(gate)) for gate in gates]
    for gate, task in zip(gates, tasks, strict=True):
        await gate.started()
        assert marks.is_set == (False, True)  # while one of them runs
        gate.release.set()
        await task
    await engine.run(look, 1)
    assert marks.is_set == (False, False)
    assert seen == [(False, True), (True, False), (False, True), (True, False), (False, True)]
    await engine.close()


async def test_a_model_hangs_once_each_of_its_threads_is_beyond_its_deadline() -> None:
    engine = make(threads=2, timeout=0.05)
    gates = [Gate(), Gate()]
    assert engine.hung_seconds == 0.0
    for gate in gates:
        assert engine.hung_seconds == 0.0  # one is free: it serves on
        with pytest.raises(DeadlineExceededError):
            await engine.run(gate)
    await asyncio.sleep(0.05)
    assert engine.hung_seconds > 0.0
    gates[1].release.set()
    while engine.hung_seconds:  # noqa: ASYNC110  # until that thread is free: no event tells
        await asyncio.sleep(0.01)
    gates[0].release.set()
    await engine.close(10.0)  # no thread of it outlives the test


async def test_a_model_without_deadlines_never_hangs() -> None:
    engine = make(timeout=None)
    gate = Gate()
    task = asyncio.create_task(engine.run(gate))
    await gate.started()
    await asyncio.sleep(0.02)
    assert engine.hung_seconds == 0.0
    gate.release.set()
    assert await task == "done"
    await engine.close()


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


@pytest.mark.parametrize(("placement", "least"), [("thread", 1000.0), ("inline", 0.0)])
async def test_a_batch_that_is_gathered_for_a_thread_costs_the_hop_too(
    monkeypatch: pytest.MonkeyPatch, placement: str, least: float
) -> None:
    seen: list[float] = []
    monkeypatch.setattr(dispatcher, "HOP", 1000.0)
    monkeypatch.setattr(Profile, "gathered", lambda *told: seen.append(told[3]))
    engine = make(placement=placement)
    engine.profile(doubled).gathers = True
    await batch(engine, doubled, 1)
    assert least < seen[0] < least + 100
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


async def test_a_closed_engine_runs_nothing_on_the_loop_either() -> None:
    engine = make(placement="inline")
    assert here((await run(engine, place))[0])
    await engine.close()
    for _ in range(2):
        with pytest.raises(NotReadyError):
            await run(engine, place)
    assert engine.statistics.calls == 1


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


# -- calls on the loop -------------------------------------------------------------------------


async def batch(engine: Engine, function: Any, item: Any) -> Any:
    """As a handle does it."""
    result = engine.batch_now(2, function, item)
    return await engine.batch(1, 2, function, item) if result is LATER else result


async def run(engine: Engine, function: Any, *args: Any) -> Any:
    """As a handle does it."""
    result = engine.run_now(function, 2, args, {})
    return await engine.run(function, 2, *args) if result is LATER else result


def place(_value: int, items: Sequence[int] = (0,)) -> list[int]:
    """Where it was called, for each item."""
    return [threading.get_ident()] * len(items)


def here(found: int) -> bool:
    return found == threading.get_ident()


async def warm_up(engine: Engine, function: Any) -> None:
    """Call until the engine has moved the calls to the loop."""
    for _ in range(1000):
        await batch(engine, function, 0)
        if engine.placements()[function.__qualname__].get(1) == "inline":
            return
    raise AssertionError("never moved to the loop")


@pytest.mark.parametrize("call", [batch, run])
async def test_a_short_call_moves_to_the_loop_once_it_was_measured(call: Any) -> None:
    engine = make()
    found = [await call(engine, place, *([0] if call is batch else [])) for _ in range(200)]
    threads = [one if call is batch else one[0] for one in found]
    assert not any(map(here, threads[:TRIALS]))  # unknown calls never run on the loop
    assert any(map(here, threads))
    assert engine.statistics.calls == 200
    assert engine.statistics.snapshot({}).batch_sizes == ({1: 200} if call is batch else {})
    await engine.close()
    with pytest.raises(NotReadyError):
        await call(engine, place, *([0] if call is batch else []))


async def test_a_call_that_waits_never_runs_on_the_loop() -> None:
    """Short in computing, but it sleeps: the processor's time tells."""

    def waits(value: int, items: list[int]) -> list[int]:
        time.sleep(0.001)
        return place(value, items)

    engine = make()
    found = [await batch(engine, waits, 0) for _ in range(4 * TRIALS)]
    assert not any(map(here, found))
    assert engine.placements()[waits.__qualname__] == {1: "thread"}
    await engine.close()


async def test_one_overrun_moves_calls_back_to_a_thread() -> None:
    is_slow = False

    def sometimes(value: int, items: list[int]) -> list[int]:
        until = time.perf_counter() + (2 * OVERRUN if is_slow else 0)
        while time.perf_counter() < until:
            pass
        return place(value, items)

    engine = make()
    await warm_up(engine, sometimes)
    is_slow = True
    assert here(await batch(engine, sometimes, 0))
    for _ in range(2 * TRIALS):
        assert not here(await batch(engine, sometimes, 0))
    assert engine.placements()[sometimes.__qualname__] == {1: "thread"}
    await engine.close()


async def test_a_call_that_waits_seldom_is_found_out_when_it_returns_to_the_loop() -> None:
    naps: list[float] = []

    def seldom(value: int, items: list[int]) -> list[int]:
        time.sleep(naps.pop() if naps else 0)
        return place(value, items)

    async def until(wanted: str) -> int:
        for calls in range(1000):
            if engine.placements().get(seldom.__qualname__, {}).get(1) == wanted:
                return calls
            await batch(engine, seldom, 0)
        raise AssertionError("never moved")

    engine = make()
    await until("inline")
    for trials in (TRIALS, 2 * TRIALS, 4 * TRIALS):  # the first overrun tells nothing yet
        naps.append(2 * OVERRUN)
        assert here(await batch(engine, seldom, 0))
        assert engine.placements()[seldom.__qualname__] == {1: "thread"}
        assert await until("inline") >= trials
    await engine.close()


async def test_a_call_on_the_loop_does_not_join_one_in_a_thread() -> None:
    """An object with one thread is never called by two."""
    engine, gate = make(), Gate()
    await warm_up(engine, place)
    busy = asyncio.create_task(engine.run(gate))
    await gate.started()
    later = [asyncio.create_task(batch(engine, place, 0)), asyncio.create_task(run(engine, place))]
    await asyncio.sleep(0)
    assert repr(engine) == "<Engine m: 2 waiting, 1 running>"
    gate.release.set()
    await asyncio.gather(busy, *later)
    await engine.close()


async def test_the_first_call_of_a_function_that_cannot_be_hashed_works_too() -> None:
    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, value: int) -> int:
            return value

    engine = make(placement="inline")
    assert await run(engine, Unhashable()) == 2
    assert engine.batch_now(2, Unhashable(), 1) is LATER  # type: ignore[arg-type]
    await engine.close()


@pytest.mark.parametrize("error", [ValueError, SystemExit, GeneratorExit])
async def test_an_error_on_the_loop_reaches_the_caller_and_ends_nothing(error: Any) -> None:
    def fail(value: int, items: Any = ()) -> list[int]:
        raise error("no")

    engine = make(placement="inline")
    expected = ValueError if error is ValueError else RuntimeError
    for _ in range(2):
        with pytest.raises(expected):
            await batch(engine, fail, 0)
        with pytest.raises(expected):
            await run(engine, fail)
    assert (engine.statistics.calls, engine.statistics.errors) == (4, 4)
    await engine.close()


async def test_on_the_loop_too_a_result_may_be_an_error_and_a_wrong_number_is_one() -> None:
    def odd(value: int, items: list[Any]) -> Any:
        return {0: [1, 2], 1: [KeyError(items[0])], 2: (7,)}[items[0]]

    engine = make(placement="inline")
    for _ in range(2):
        assert await batch(engine, odd, 2) == 7
        with pytest.raises(KeyError):
            await batch(engine, odd, 1)
        with pytest.raises(BatchResultError):
            await batch(engine, odd, 0)
    await engine.close()


async def test_calls_of_one_turn_gather_on_the_loop_where_that_pays() -> None:
    def vectorised(value: int, items: list[int]) -> list[int]:
        calls.append(len(items))
        time.sleep(0.005)  # as much for one as for many
        return [value * item for item in items]

    engine = make(placement="inline")
    await batch(engine, vectorised, 0)
    results = await asyncio.gather(*(batch(engine, vectorised, item) for item in range(20)))
    assert results == [2 * item for item in range(20)]
    assert calls == [1, 1, 19]  # the second of the turn met the first
    calls.clear()
    results = await asyncio.gather(*(batch(engine, vectorised, item) for item in range(20)))
    assert results == [2 * item for item in range(20)]
    assert calls == [20]
    calls.clear()
    for item in range(ALONE):  # each waits for the end of its turn, then none does
        assert engine.batch_now(2, vectorised, item) is LATER
        assert await batch(engine, vectorised, item) == 2 * item
    assert engine.batch_now(2, vectorised, 4) == 8
    await engine.close()


async def test_calls_of_a_turn_gather_where_that_pays_whatever_an_item_costs() -> None:
    def vectorised(value: int, items: list[str]) -> list[str]:
        calls.append(len(items))
        time.sleep(0.005)
        return items

    engine = make(placement="inline", batch_cost=len, max_batch_size=10_000)
    await batch(engine, vectorised, "x" * 100)
    for _ in range(2 * IN_VAIN):
        await asyncio.gather(*(batch(engine, vectorised, "x" * 100) for _ in range(5)))
    assert calls[3:] == [5] * (len(calls) - 3)
    await engine.close()


async def test_calls_that_cost_the_same_together_do_not_gather() -> None:
    def row_by_row(value: int, items: list[int]) -> list[int]:
        calls.append(len(items))
        if len(items) > 1:
            time.sleep(0.005)  # much more than 20 calls of one item
        return items

    engine = make(placement="inline")
    await batch(engine, row_by_row, 0)
    for _ in range(IN_VAIN):
        await asyncio.gather(*(batch(engine, row_by_row, item) for item in range(20)))
    assert calls[-1] == 20  # tried
    calls.clear()
    for _ in range(2):
        await asyncio.gather(*(batch(engine, row_by_row, item) for item in range(20)))
    assert set(calls) == {1}
    await engine.close()


async def test_batches_on_the_loop_leave_it_to_others_in_between() -> None:
    engine = make(placement="inline", max_batch_size=1)
    turns: list[int] = []

    def slow(_value: int, items: list[int]) -> list[int]:
        until = time.perf_counter() + 2e-3
        while time.perf_counter() < until:
            pass
        turns.append(turn)
        return items

    turn = 0
    many = asyncio.create_task(engine.batch_many(1, 2, slow, range(4)))
    while not many.done():  # counts the turns of the loop
        turn += 1
        await asyncio.sleep(0)
    assert len(set(turns)) == 4  # each took longer than a turn may
    await engine.close()


# -- items that fail ---------------------------------------------------------------------------


def poisoned(value: int, items: list[int]) -> list[int]:
    calls.append(len(items))
    if 13 in items:
        raise ValueError("13")
    return [value * item for item in items]


async def async_poisoned(value: int, items: list[int]) -> list[int]:
    await asyncio.sleep(0)
    return poisoned(value, items)


@pytest.mark.parametrize("function", [poisoned, async_poisoned])
@pytest.mark.parametrize("placement", ["thread", "inline"])
async def test_one_bad_item_among_32_fails_one_caller(function: Any, placement: str) -> None:
    engine = make(placement=placement)
    outcomes = await asyncio.gather(
        *(engine.batch(1, 2, function, item) for item in range(32)), return_exceptions=True
    )
    assert isinstance(outcomes.pop(13), ValueError)
    assert outcomes == [2 * item for item in range(32) if item != 13]
    assert engine.statistics.errors == 1
    assert calls[0] == 32
    assert len(calls) == 11  # the batch, and twice its logarithm
    await engine.close()


async def test_a_function_may_return_an_error_in_an_item_s_place() -> None:
    def some(_value: int, items: list[int]) -> list[Any]:
        calls.append(len(items))
        return [KeyError(item) if item == 2 else item for item in items]

    engine = make()
    outcomes = await asyncio.gather(
        *(engine.batch(1, 2, some, item) for item in range(4)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [int, int, KeyError, int]
    assert calls == [4]
    assert engine.statistics.errors == 1
    assert isinstance(await engine.run(lambda: KeyError()), KeyError)  # of a plain call a result
    await engine.close()


def exhausted(_value: int, items: list[int]) -> list[int]:
    return [next(iter(range(item, 9))) for item in items]


async def async_exhausted(value: int, items: list[int]) -> list[Any]:
    return [item if item < 9 else StopIteration() for item in items]


@pytest.mark.parametrize("function", [exhausted, async_exhausted])
@pytest.mark.parametrize("placement", ["thread", "inline"])
async def test_an_item_that_runs_out_of_something_fails_its_caller_alone(
    function: Any, placement: str
) -> None:
    """No future holds a `StopIteration`: its callers would wait, and the place would be lost."""
    engine = make(placement=placement)
    outcomes = await asyncio.gather(
        *(engine.batch(1, 2, function, item) for item in (7, 8, 9)), return_exceptions=True
    )
    assert outcomes[:2] == [7, 8]
    assert isinstance(outcomes[2], RuntimeError)
    assert await engine.run(lambda: "on") == "on"
    await engine.close()


@pytest.mark.parametrize("kind", ["run", "borrow"])
async def test_where_no_thread_can_be_started_the_caller_is_told_and_the_next_one_served(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    engine = make(placement="thread")
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(NotReadyError, match="no thread can be started now"):
            await (engine.run(int) if kind == "run" else engine.borrow(int))
    assert await engine.run(lambda: "on") == "on"
    await engine.close()


async def test_many_items_of_one_caller_fail_together_or_each_by_itself() -> None:
    engine = make(max_batch_size=8)
    with pytest.raises(ValueError, match="13"):
        await engine.batch_many(1, 2, poisoned, range(20))
    found: list[Any] = await engine.batch_many(*(1, 2, poisoned, range(20)), return_exceptions=True)
    assert isinstance(found.pop(13), ValueError)
    assert found == [2 * item for item in range(20) if item != 13]
    await engine.close()


async def test_nobody_is_asked_again_for_items_that_nobody_waits_for() -> None:
    begun, release = threading.Event(), threading.Event()

    def slow_and_poisoned(_value: int, items: list[int]) -> list[int]:
        calls.append(len(items))
        begun.set()
        assert release.wait(10)
        raise ValueError

    engine = make()
    tasks = [asyncio.create_task(engine.batch(1, 2, slow_and_poisoned, i)) for i in range(8)]
    assert await asyncio.to_thread(begun.wait, 10)
    for task in tasks[2:]:
        task.cancel()
    await asyncio.wait(tasks[2:])
    release.set()
    for task in tasks[:2]:
        with pytest.raises(ValueError):
            await task
    assert calls == [8, 4, 2, 1, 1, 2, 4]  # the halves without callers are not halved again
    await engine.close()


# -- who is next, and how many -----------------------------------------------------------------


async def test_functions_of_one_model_take_turns() -> None:
    engine, gate, order = make(max_batch_size=1), Gate(), list[str]()

    def often(_value: int, items: list[int]) -> list[int]:
        order.append("often")
        return items

    def seldom(_value: int, items: list[int]) -> list[int]:
        order.append("seldom")
        return items

    first = asyncio.create_task(engine.run(gate))
    await gate.started()
    many = asyncio.create_task(engine.batch_many(1, 2, often, range(50)))
    await asyncio.sleep(0)
    one = asyncio.create_task(engine.batch(1, 2, seldom, 0))
    await asyncio.sleep(0)
    gate.release.set()
    await asyncio.gather(first, many, one)
    assert order.index("seldom") <= 1
    await engine.close()


async def test_models_do_not_wait_for_each_other() -> None:
    busy, idle, gate = make(), make(), Gate()
    stuck = [asyncio.create_task(busy.run(gate)) for _ in range(20)]
    await gate.started()
    assert await idle.batch(1, 2, doubled, 3) == 6
    gate.release.set()
    await asyncio.gather(*stuck)
    await asyncio.gather(busy.close(), idle.close())


async def test_items_count_as_what_they_cost() -> None:
    engine = make(max_batch_size=10, batch_cost=len)

    def lengths(_value: int, items: list[str]) -> list[int]:
        calls.append(len(items))
        return [len(item) for item in items]

    texts = ["a" * 4, "b" * 4, "c" * 4, "d" * 100, "e", "f"]
    assert await engine.batch_many(1, 2, lengths, texts) == [4, 4, 4, 100, 1, 1]
    assert calls == [2, 1, 1, 2]
    assert set(engine.placements()[lengths.__qualname__]) == {4, 8, 128, 2}
    assert (
        await engine.run(lambda: "no item, so it costs nothing") == "no item, so it costs nothing"
    )
    await engine.close()


async def test_what_an_item_costs_decides_where_it_runs_alone() -> None:
    engine = make(placement="inline", batch_cost=len)

    def lengths(_value: int, items: list[str]) -> list[int]:
        return [len(item) for item in items]

    assert await batch(engine, lengths, "aaa") == 3
    assert engine.batch_now(2, lengths, "bbbbb") == 5
    assert engine.placements() == {lengths.__qualname__: {4: "inline", 8: "inline"}}
    await engine.close()


class Unhashable:
    __hash__ = None  # type: ignore[assignment]

    def __call__(self, _value: int, items: list[int]) -> list[int]:
        return items


def endless(_item: int) -> float:
    return math.inf


@pytest.mark.parametrize(
    ("function", "cost", "error"),
    [(Unhashable(), None, TypeError), (doubled, endless, ConfigurationError)],
)
async def test_a_call_that_is_refused_leaves_nothing_behind(
    function: Any, cost: Any, error: type[Exception]
) -> None:
    engine = make(max_queue=2, batch_cost=cost)
    for _ in range(3):  # more than may wait
        with pytest.raises(error):
            await engine.batch(1, 2, function, 3)
        with pytest.raises(error):
            await engine.batch_many(1, 2, function, [3, 4])
    assert engine.statistics.waiting == 0
    assert repr(engine) == "<Engine m: 0 waiting, 0 running>"
    assert await engine.run(lambda: 1) == 1
    assert engine.statistics.waiting == 0
    await engine.close()


async def test_what_no_item_can_cost_is_told_where_it_would_run_at_once() -> None:
    engine = make(placement="inline", batch_cost=endless)
    engine.profile(doubled)
    with pytest.raises(ConfigurationError, match="batch_cost 'endless'"):
        engine.batch_now(2, doubled, 3)
    await engine.close()


def test_a_batch_waits_for_company_if_it_is_told_to() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        engine = make(max_wait=0.5, max_batch_size=3, placement="inline")
        first = asyncio.create_task(batch(engine, doubled, 1))
        await asyncio.sleep(0.2)
        assert calls == []
        second = asyncio.create_task(batch(engine, doubled, 2))
        assert list(await asyncio.gather(first, second)) == [2, 4]
        assert (calls, round(loop.time(), 3)) == ([2], 0.5)  # since the first one came
        assert await engine.batch_many(1, 2, doubled, [1, 2, 3]) == [2, 4, 6]
        assert await engine.run(lambda: 1) == 1
        assert round(loop.time(), 3) == 0.5  # a full batch does not wait, nor a plain call
        last = asyncio.create_task(batch(engine, doubled, 1))
        await asyncio.sleep(0.1)
        await engine.close(5)  # nor does anything while the engine closes
        assert (await last, round(loop.time(), 3)) == (2, 0.6)

    FakeClock().run(main())


@pytest.mark.parametrize("callers", [1, 20, 40])
async def test_a_batch_is_made_smaller_where_it_would_come_too_late(callers: int) -> None:
    """Measured at 20 ms an item, half of the second that is left allows 16 of 64 at a time."""

    def slow(_value: int, items: list[int]) -> list[int]:
        calls.append(len(items))
        time.sleep(0.02)
        return items

    engine, gate = make(timeout=1.0, max_batch_size=64), Gate()
    engine.profile(slow).single.ran_in_thread(0.02, 0.0, 0.02)
    first = asyncio.create_task(engine.run(gate))
    await gate.started()
    each = 40 // callers
    many = [
        asyncio.create_task(engine.batch_many(1, 2, slow, range(n * each, (n + 1) * each)))
        for n in range(callers)
    ]
    await asyncio.sleep(0)
    gate.release.set()
    assert [one for part in await asyncio.gather(*many) for one in part] == list(range(40))
    assert calls[0] <= 16
    await first
    await engine.close()


# -- many who leave, and time ------------------------------------------------------------------


async def test_a_thousand_who_leave_the_queue_cost_no_execution() -> None:
    engine, gate = make(max_queue=2000), Gate()
    first = asyncio.create_task(engine.run(gate))
    await gate.started()
    tasks = [asyncio.create_task(engine.batch(1, 2, doubled, item)) for item in range(500)]
    tasks += [asyncio.create_task(run(engine, doubled, [item])) for item in range(500)]
    await asyncio.sleep(0)
    assert engine.statistics.waiting == 1000
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert engine.statistics.waiting == 0
    gate.release.set()
    await first
    await engine.close(1)
    assert calls == []
    assert engine.statistics.cancelled == 1000


async def test_what_a_departed_caller_waits_for_does_not_run_and_what_runs_goes_on() -> None:
    engine, gate = make(), Gate()
    first = asyncio.create_task(engine.run(gate))
    await gate.started()
    departed, other = (asyncio.create_task(engine.batch(1, 2, doubled, each)) for each in (3, 4))
    await asyncio.sleep(0)
    engine.drop_calls_of(first)
    engine.drop_calls_of(departed)
    gate.release.set()
    assert await first == "done"
    with pytest.raises(CallerLeftError):
        await departed
    assert await other == 8
    await engine.close(1)
    assert calls == [1]
    assert engine.statistics.cancelled == 1


def test_each_call_has_its_own_deadline_and_one_timer_keeps_them_all() -> None:
    async def main() -> None:
        loop, engine, gate = asyncio.get_running_loop(), make(timeout=10.0), Gate()
        first = asyncio.create_task(engine.run(gate))
        await gate.started()
        late: list[float] = []

        async def wait() -> None:
            with pytest.raises(DeadlineExceededError):
                await engine.run(lambda: 1)
            late.append(loop.time())

        tasks = []
        for _ in range(3):
            tasks.append(asyncio.create_task(wait()))
            await asyncio.sleep(1)
        with pytest.raises(DeadlineExceededError):
            await first
        await asyncio.gather(*tasks)
        assert [round(time) for time in late] == [10, 11, 12]
        assert engine.statistics.expired == 4
        gate.release.set()
        await engine.close(1)

    FakeClock().run(main())


# -- asynchronous batch functions --------------------------------------------------------------


async def test_an_async_batch_function_runs_on_the_loop_and_the_next_batch_gathers() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(value: int, items: list[int]) -> list[int]:
        calls.append(len(items))
        begun.set()
        await go_on.wait()
        assert here(place(0)[0])
        return [value * item for item in items]

    engine = make()
    first = asyncio.create_task(engine.batch(1, 2, slow, 1))
    await begun.wait()
    later = [asyncio.create_task(engine.batch(1, 2, slow, item)) for item in range(5)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert calls == [1]
    go_on.set()
    assert await asyncio.gather(first, *later) == [2, 0, 2, 4, 6, 8]
    assert calls == [1, 5]
    assert engine.placements()[slow.__qualname__][1] == "async"
    await engine.close()


@pytest.mark.parametrize(("error", "expected"), [(KeyError, KeyError), (SystemExit, RuntimeError)])
async def test_what_an_async_batch_raises_reaches_the_caller(error: Any, expected: Any) -> None:
    async def fail(_value: int, items: list[int]) -> list[int]:
        raise error("no")

    engine = make()
    with pytest.raises(expected):
        await engine.batch(1, 2, fail, 1)
    assert engine.statistics.errors == 1
    await engine.close()


async def test_an_error_of_all_does_not_mind_who_has_left() -> None:
    begun, release = threading.Event(), threading.Event()

    def ends(_value: int, items: list[int]) -> list[int]:
        begun.set()
        assert release.wait(10)
        raise SystemExit

    engine = make()
    tasks = [asyncio.create_task(engine.batch(1, 2, ends, item)) for item in range(2)]
    assert await asyncio.to_thread(begun.wait, 10)
    tasks[0].cancel()
    await asyncio.wait(tasks[:1])
    release.set()
    with pytest.raises(RuntimeError, match="SystemExit"):
        await tasks[1]
    await engine.close()


async def test_an_async_batch_that_nobody_waits_for_is_cancelled() -> None:
    begun, ended = asyncio.Event(), list[str]()

    async def slow(_value: int, items: list[int]) -> list[int]:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return items

    engine = make()
    tasks = [asyncio.create_task(engine.batch(1, 2, slow, item)) for item in range(2)]
    await begun.wait()
    tasks[0].cancel()
    await asyncio.wait(tasks[:1])
    assert ended == []  # the other one still waits
    tasks[1].cancel()
    await asyncio.wait(tasks)
    assert await engine.batch(1, 2, doubled, 1) == 2  # its place is free again
    assert ended == ["cancelled"]
    assert engine.statistics.in_flight == 0
    await engine.close()


async def test_closing_ends_async_batches_after_the_grace() -> None:
    begun = asyncio.Event()

    async def slow(_value: int, items: list[int]) -> list[int]:
        begun.set()
        await asyncio.Event().wait()
        return items

    engine = make()
    task = asyncio.create_task(engine.batch(1, 2, slow, 1))
    await begun.wait()
    await engine.close()
    with pytest.raises(NotReadyError):
        await task


@pytest.mark.parametrize(("placement", "most"), [("thread", 8), ("inline", 64)])
async def test_the_loop_sees_to_others_while_the_callers_of_a_batch_go_on(
    placement: Any, most: int
) -> None:
    """What ran in a thread may have many callers; what ran on the loop has taken its turn."""
    engine, gate = make(placement=placement), Gate()
    turns, resumed = 0, []

    async def ask(item: int) -> None:
        assert await engine.batch("v", 2, doubled, item) == 2 * item
        resumed.append(turns)

    if placement == "thread":
        first = asyncio.create_task(engine.run(gate))
        await gate.started()
    callers = [asyncio.create_task(ask(item)) for item in range(64)]
    await asyncio.sleep(0)
    gate.release.set()
    while len(resumed) < 64:
        turns += 1
        await asyncio.sleep(0)
    await asyncio.gather(*callers)
    if placement == "thread":
        assert await first == "done"
    assert max(Counter(resumed).values()) == most
    assert calls == [64]
    await engine.close()


# -- what a function may do and be called ------------------------------------------------------


async def test_a_function_may_name_its_arguments_as_it_likes() -> None:
    def named(value: int, self: int, function: int) -> list[int]:
        return [value, self, function]

    engine = make()
    assert await engine.run(named, 1, self=2, function=3) == [1, 2, 3]
    await engine.close()


def cancelled(*_values: object) -> list[int]:
    raise asyncio.CancelledError


async def cancelled_later(*_values: object) -> list[int]:
    raise asyncio.CancelledError


@pytest.mark.parametrize("placement", ["thread", "inline"])
@pytest.mark.parametrize("function", [cancelled, cancelled_later])
async def test_a_function_cannot_cancel_its_caller(function: Any, placement: Any) -> None:
    engine = make(placement=placement)
    engine.profile(function)

    async def caller() -> str:
        for ask in (engine.run(function, 1), engine.batch(1, 1, function, 1)):
            with pytest.raises(RuntimeError, match="CancelledError"):
                await ask
        if function is cancelled and placement == "inline":
            with pytest.raises(RuntimeError, match="CancelledError"):
                engine.run_now(function, 1, (), {})
        return "goes on"

    assert await asyncio.create_task(caller()) == "goes on"
    assert engine.statistics.cancelled == 0
    assert engine.statistics.errors == engine.statistics.calls
    await engine.close()


# -- callers that are closed instead of cancelled ----------------------------------------------


async def test_a_caller_that_is_closed_ends_its_async_batch() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def slow(_value: int, items: list[int]) -> list[int]:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return items

    engine = make()
    caller = engine.batch(1, 2, slow, 1)
    caller.send(None)
    await begun.wait()
    caller.close()
    async with asyncio.timeout(10):
        await ended.wait()
    await engine.close(5)
    assert engine.statistics.in_flight == 0


async def test_the_error_of_a_caller_that_was_closed_is_not_reported_as_lost() -> None:
    lost: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: lost.append(context))
    engine = make(placement="inline")
    caller = engine.run(lambda: 1 / 0)
    caller.send(None)
    for _ in range(5):
        await asyncio.sleep(0)
    assert engine.statistics.errors == 1
    caller.close()
    del caller
    gc.collect()
    assert lost == []
    await engine.close()


async def test_calls_that_have_ended_leave_nothing_to_the_collector() -> None:
    engine = make(placement="thread")

    async def every_kind() -> None:
        assert await engine.batch("key", 2, doubled, 3) == 6
        assert await engine.batch_many("key", 2, doubled, [1, 2]) == [2, 4]
        assert await engine.run(len, "four") == 4

    await every_kind()
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        await every_kind()
        await engine.close(grace=10)
        gc.collect()
        left = [one for one in gc.garbage if type(one).__module__.startswith("loadonce")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert left == []
