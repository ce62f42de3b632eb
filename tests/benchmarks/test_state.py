"""Runs go on where they were interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.state import OtherRunError, State, Task, tasks

OPTIONS = {"rounds": 2, "seconds": 1.0}
PAIRS = [("pipeline", "a"), ("pipeline", "b"), ("forest", "a")]


def test_rounds_are_interleaved_and_start_with_another_contender() -> None:
    found = list(tasks(2, PAIRS))
    assert [task.round for task in found] == [1, 1, 1, 2, 2, 2]
    assert found[0] != Task(1, found[3].workload, found[3].contender)
    assert {(task.workload, task.contender) for task in found[3:]} == set(PAIRS)
    assert list(tasks(2, [])) == []


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state.json"
    first, second, *_ = tasks(2, PAIRS)
    state = State.open(path, OPTIONS)
    state.machine = {"cores": 2}
    state.add(first, {"start_seconds": 1.5})

    again = State.open(path, OPTIONS)

    assert again.is_done(first)
    assert not again.is_done(second)
    assert again.machine == {"cores": 2}
    assert again.rounds_of("pipeline", "a") == {1: {"start_seconds": 1.5}}
    assert again.pairs() == [("pipeline", "a")]


def test_who_was_skipped_is_skipped_in_later_rounds_and_tried_by_the_next_run(
    tmp_path: Path,
) -> None:
    path = tmp_path / "state.json"
    state = State.open(path, OPTIONS)
    state.skip(Task(1, "pipeline", "a"), "did not start")
    assert state.is_done(Task(2, "pipeline", "a"))
    assert not state.is_done(Task(2, "forest", "a"))
    assert not State.open(path, OPTIONS).is_done(Task(2, "pipeline", "a"))


def test_runs_with_other_options_are_not_mixed(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    State.open(path, OPTIONS).add(Task(1, "pipeline", "a"), {})
    with pytest.raises(OtherRunError, match="--name"):
        State.open(path, {**OPTIONS, "seconds": 2.0})
    assert State.open(path, {**OPTIONS, "seconds": 2.0}, is_fresh=True).records == {}
