"""Functions take turns; within one, first come, first served."""

from __future__ import annotations

from dataclasses import dataclass

from loadonce.inference.turns import Turns


@dataclass(frozen=True)
class Waiting:
    lane: str
    number: int
    delay: float = 0.0


def due(job: Waiting) -> float:
    return job.delay


def drain(turns: Turns[Waiting]) -> list[tuple[str, int]]:
    found = []
    while turns:
        job, _seconds = turns.first(due)
        assert job is not None
        turns.pass_on(job, is_done=True)
        found.append((job.lane, job.number))
    return found


def test_a_function_with_many_calls_does_not_hold_up_another() -> None:
    turns: Turns[Waiting] = Turns()
    for number in range(3):
        turns.add(Waiting("many", number))
    turns.add(Waiting("one", 0))
    assert drain(turns) == [("many", 0), ("one", 0), ("many", 1), ("many", 2)]


def test_what_is_not_done_stays_first_in_its_lane_but_has_had_its_turn() -> None:
    turns: Turns[Waiting] = Turns()
    for lane, number in [("a", 0), ("a", 1), ("b", 0)]:
        turns.add(Waiting(lane, number))
    turns.pass_on(Waiting("a", 0), is_done=False)
    assert drain(turns) == [("b", 0), ("a", 0), ("a", 1)]


def test_what_is_not_due_is_passed_over() -> None:
    turns: Turns[Waiting] = Turns()
    turns.add(Waiting("a", 0, delay=0.5))
    turns.add(Waiting("b", 0, delay=0.25))
    turns.add(Waiting("d", 0, delay=0.75))
    assert turns.first(due) == (None, 0.25)
    turns.add(Waiting("c", 0))
    assert turns.first(due) == (Waiting("c", 0), 0.0)
    assert Turns[Waiting]().first(due) == (None, 0.0)


def test_jobs_are_taken_out() -> None:
    turns: Turns[Waiting] = Turns()
    jobs = [Waiting("a", 0), Waiting("a", 1), Waiting("b", 0)]
    for job in jobs:
        turns.add(job)
    turns.remove(jobs[0])
    turns.remove(jobs[2])
    assert turns.clear() == [jobs[1]]
    assert not turns
