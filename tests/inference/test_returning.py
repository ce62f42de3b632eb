"""A batch waits for callers that were answered just now, as long as they do come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from loadonce.inference import Engine
from loadonce.inference.batching import patience
from loadonce.inference.jobs import Call, Job
from loadonce.inference.placement import Profile
from loadonce.inference.returning import _IN_VAIN, _NOT_AGAIN, Returning
from loadonce.observe.statistics import CallStatistics

FLAT = 0.1  # seconds that a batch takes, of whatever size


@pytest.mark.parametrize(
    ("apart", "together", "expected"),
    [
        (0.2, 0.1, 0.02),  # a forest: four rows take as long as one
        (0.2, 0.2, 0),  # twice the items take twice as long
        (0.2, 0.17, 0.0025),
        (0.004, 0.002, 0),  # a timer is no good for that
        (0, 0, 0),  # nothing is known
    ],
)
def test_a_batch_waits_for_a_part_of_what_that_saves(
    apart: float, together: float, expected: float
) -> None:
    assert patience(apart, together) == pytest.approx(expected)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def jobs(loop: asyncio.AbstractEventLoop) -> Callable[..., Job]:
    """`jobs(4)`: a batch of so many calls, of a function that takes always the same time."""
    profile = Profile("f", "thread", is_async=False)
    for number in range(7):
        profile.gauge(2**number).ran_in_thread(FLAT, FLAT, 0.0)

    def job(count: int, key: object = "f", profile: Profile = profile, price: float = 1.0) -> Job:
        made = Job(key, profile, len, None)
        for _ in range(count):
            made.add(Call(loop.create_future(), 0.0, [None], [price], False), 0)
        return made

    return job


@pytest.fixture
def returning() -> Returning:
    return Returning(64)


def test_those_that_waited_wait_for_those_that_were_answered(
    returning: Returning, jobs: Callable[..., Job]
) -> None:
    returning.answered(jobs(3), jobs(1), 10.0)
    assert returning.seconds_until_due(jobs(1), 10.0) == pytest.approx(0.02)
    assert returning.seconds_until_due(jobs(3), 10.015) == pytest.approx(0.005)
    assert returning.seconds_until_due(jobs(3), 10.03) == 0
    assert not returning.are_back(jobs(3))
    assert returning.are_back(jobs(4))
    assert not returning.are_back(jobs(4, key="g"))
    assert returning.seconds_until_due(jobs(4), 10.0) == 0


def test_the_first_one_back_waits_for_the_others(
    returning: Returning, jobs: Callable[..., Job]
) -> None:
    returning.answered(jobs(4), None, 10.0)
    assert returning.seconds_until_due(jobs(1), 10.0) > 0
    assert returning.seconds_until_due(jobs(4), 10.0) == 0


def test_nobody_waits_for_others_where_there_are_none(
    returning: Returning, jobs: Callable[..., Job]
) -> None:
    returning.answered(jobs(1), None, 10.0)  # who asks alone
    assert returning.seconds_until_due(jobs(1), 10.0) == 0
    returning.answered(jobs(4), None, 10.0)
    assert returning.seconds_until_due(jobs(1, key="g"), 10.0) == 0
    returning.answered(jobs(40), jobs(40), 10.0)  # who would not fit
    assert returning.seconds_until_due(jobs(40), 10.0) == 0


def test_nobody_waits_where_another_thread_is_free(jobs: Callable[..., Job]) -> None:
    of_several = Returning(0)
    of_several.answered(jobs(1), jobs(1), 10.0)
    assert of_several.seconds_until_due(jobs(1), 10.0) == 0


def test_nobody_waits_where_a_batch_takes_as_long_as_its_parts(
    returning: Returning, jobs: Callable[..., Job]
) -> None:
    profile = Profile("f", "thread", is_async=False)
    for number in range(7):
        profile.gauge(2**number).ran_in_thread(2**number * FLAT, 2**number * FLAT, 0.0)
    returning.answered(jobs(4, profile=profile), jobs(4, profile=profile), 10.0)
    assert returning.seconds_until_due(jobs(4), 10.0) == 0


def test_what_each_costs_counts_for_the_first_one_back(jobs: Callable[..., Job]) -> None:
    returning = Returning(1000)
    for wall, waits in ((FLAT, True), (2 * FLAT, False)):
        profile = Profile("f", "thread", is_async=False)
        profile.gauge(100).ran_in_thread(FLAT, FLAT, 0.0)
        profile.gauge(200).ran_in_thread(wall, wall, 0.0)
        returning.answered(jobs(2, profile=profile, price=100.0), None, 10.0)
        assert (returning.seconds_until_due(jobs(1, price=100.0), 10.0) > 0) is waits


def test_what_together_takes_is_found_out(returning: Returning, jobs: Callable[..., Job]) -> None:
    profile = Profile("f", "thread", is_async=False)
    profile.gauge(1).ran_in_thread(FLAT, FLAT, 0.0)
    returning.answered(jobs(1, profile=profile), jobs(1, profile=profile), 10.0)
    assert returning.seconds_until_due(jobs(1), 10.0) == pytest.approx(patience(2 * FLAT, FLAT))


def run_in_vain(returning: Returning, jobs: Callable[..., Job]) -> None:
    returning.answered(jobs(4), None, 10.0)
    returning.begins(jobs(1))


def is_tried(returning: Returning, jobs: Callable[..., Job]) -> bool:
    returning.answered(jobs(4), None, 10.0)
    return returning.seconds_until_due(jobs(1), 10.0) > 0


def test_callers_that_do_not_come_back_are_not_waited_for_any_more_for_a_while(
    returning: Returning, jobs: Callable[..., Job]
) -> None:
    for _ in range(_IN_VAIN):
        run_in_vain(returning, jobs)
    assert [is_tried(returning, jobs) for _ in range(_NOT_AGAIN)] == [False] * _NOT_AGAIN
    assert is_tried(returning, jobs)
    for _ in range(_IN_VAIN - 1):
        run_in_vain(returning, jobs)
    assert is_tried(returning, jobs)


def test_those_that_come_back_make_up_for_those_that_do_not(
    returning: Returning, jobs: Callable[..., Job]
) -> None:
    for _ in range(3 * _IN_VAIN):
        run_in_vain(returning, jobs)
        returning.answered(jobs(4), None, 10.0)
        returning.begins(jobs(2))
    assert is_tried(returning, jobs)


def test_a_batch_of_another_function_says_nothing_of_them(
    returning: Returning, jobs: Callable[..., Job]
) -> None:
    returning.answered(jobs(4), None, 10.0)
    returning.begins(jobs(1, key="g"))
    returning.begins(jobs(1, key=None))
    assert returning.seconds_until_due(jobs(1), 10.0) > 0


async def sizes_of_batches() -> list[int]:
    """Four clients, each of which asks again a moment after its answer; one begins, the others
    come while the model works for it."""
    sizes: list[int] = []
    began = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(_value: object, items: Sequence[int]) -> list[int]:
        sizes.append(len(items))
        loop.call_soon_threadsafe(began.set)
        time.sleep(FLAT)
        return list(items)

    engine = Engine("m", CallStatistics())

    async def client() -> None:
        for _ in range(5):
            await engine.batch(1, None, slow, 1)
            await asyncio.sleep(1e-3)

    first = asyncio.create_task(client())
    await began.wait()
    await asyncio.gather(first, *(client() for _ in range(3)))
    await engine.close()
    return sizes


@pytest.mark.anyio
async def test_clients_that_took_turns_are_answered_together() -> None:
    assert max(await sizes_of_batches()) == 4


@pytest.mark.anyio
async def test_else_they_go_on_taking_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    monkeypatch.setattr("loadonce.inference.returning.patience", lambda *_seconds: 0.0)
    assert max(await sizes_of_batches()) < 4
