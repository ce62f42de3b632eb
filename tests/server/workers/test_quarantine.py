"""Who is to blame for crashes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from loadonce import Model, Registry, Source, artifact, lock_directory, resource
from loadonce.server.board.board import Board
from loadonce.server.board.journal import Journal
from loadonce.server.workers.child_processes import WorkerProcess, ZygoteProcess
from loadonce.server.workers.quarantine import Quarantine, Suspect, suspects_of
from loadonce.system.channel import Channel

BAD, SLOW, OTHER = (Suspect(name, "1", name * 8) for name in ("bad", "slow", "other"))


def test_the_fifth_crash_within_a_minute_is_one_too_many() -> None:
    quarantine = Quarantine()
    verdicts = [quarantine.judge(12.0 * number, [BAD]) for number in range(5)]
    assert verdicts == [None, None, None, None, BAD]
    assert quarantine.kept == [{"model": "bad", "version": "1", "sha256": "bad" * 8}]


def test_crashes_that_are_rare_are_borne() -> None:
    quarantine = Quarantine()
    assert not any(quarantine.judge(15.0 * number, [BAD]) for number in range(50))
    assert quarantine.kept == []


def test_crashes_of_no_model_are_nobodys() -> None:
    quarantine = Quarantine()
    assert not any(quarantine.judge(number, []) for number in range(10))


@pytest.mark.parametrize("is_always_there", [True, False])
def test_who_was_there_by_chance_is_not_to_blame(is_always_there: bool) -> None:
    """One that is always in a call is there at each crash, but its call is not the latest."""
    quarantine = Quarantine()
    for number in range(4):
        bystanders = [SLOW] if is_always_there or number % 2 else []
        latest = [OTHER] if number == 1 else []
        assert quarantine.judge(number, [*latest, BAD, *bystanders]) is None
    assert quarantine.judge(5, [BAD, SLOW]) == BAD
    assert quarantine.judge(6, [SLOW]) is None  # what follows counts anew


def text(source: Source) -> str:
    return bytes(source.data).decode()


class Models(Registry):
    first: Model[str] = artifact("word.txt", loader=text)
    made: Model[str] = resource(nullcontext, first)
    second: Model[str] = artifact("word.txt", loader=text)


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    one, other = Channel.pair()
    yield WorkerProcess(1, ZygoteProcess(0, one, 0.0), Board(1)[0], other, 0.0)
    one.close()
    other.close()


def test_suspects_are_the_versions_that_were_in_a_call(
    worker: WorkerProcess, tmp_path: Path
) -> None:
    (tmp_path / "word.txt").write_text("word")
    lock_directory(tmp_path)
    models = Models(root=tmp_path)
    worker.models = ["first", "made", "second", "forgotten"]
    for number in (1, 2, 3, 4):
        worker.row.mark(number).begin()
    assert suspects_of(worker) == []  # it has reported nothing
    with models.loaded():
        journal = Journal(Board(1), worker.row)
        journal.publish(0)
        assert suspects_of(worker) == []  # somebody else has
        worker.pid = worker.row.pid
        found = suspects_of(worker)
        assert [each.model for each in found] == ["second", "first"]  # resources have no versions
        assert {each.sha256 for each in found} == {models.first.status().sha256}
    assert worker.in_call() == {"in_call": "forgotten, second, made, first"}
    worker.row.clear()
    assert suspects_of(worker) == []
    assert worker.in_call() == {}
