"""What others serve, a process that comes is to serve; the rest is in
tests/integration/test_late_models.py."""

from __future__ import annotations

import pytest

from loadonce import Model, Registry, Source, artifact, lock_directory
from loadonce.server.board.board import Board
from loadonce.server.workers.child_processes import WorkerProcess, ZygoteProcess
from loadonce.server.workers.expecting import expect, expected_of, tell_late
from loadonce.system.channel import Channel


def text(source: Source) -> str:
    return bytes(source.data).decode()


class Models(Registry):
    expected_at_start: Model[str] = artifact("a.txt", loader=text)
    expected_late: Model[str] = artifact("a.txt", loader=text, when="first_use")


def test_only_of_workers_that_serve_and_stay_is_anything_expected() -> None:
    ours, theirs = Channel.pair()
    zygote, board = ZygoteProcess(0, theirs, 0.0), Board(4)
    workers = [WorkerProcess(each, zygote, board[each], ours, 0.0) for each in range(4)]
    for worker, late in zip(workers, (["b", "a"], ["a", "c"], ["leaves"], ["starts"]), strict=True):
        worker.late, worker.ready_at = late, 1.0
    workers[2].is_leaving = True
    workers[3].ready_at = 0.0
    assert expected_of(workers) == ["a", "b", "c"]
    assert expected_of([]) == []
    ours.close()
    theirs.close()


def test_what_is_expected_loads_at_the_start() -> None:
    models = Models()
    before = models.expected_late.slot.when
    expect(["expected_late", "of another version"])
    assert (before, models.expected_late.slot.when) == ("first_use", "startup")


@pytest.mark.anyio
async def test_the_supervisor_is_told_once_of_each_change(tmp_path: object) -> None:
    ours, theirs = Channel.pair()
    theirs.set_blocking(False)
    models = Models(root=str(tmp_path))
    (models.root / "a.txt").write_text("a")
    lock_directory(models.root)
    tell_late(ours)

    def told() -> object:
        received = theirs.receive()
        return received and received[0]

    async with models.running():
        with pytest.raises(BlockingIOError):
            theirs.receive()  # what loads at the start is no news
        async with models.expected_late.lease():
            assert told() == {"what": "late", "models": ["expected_late"]}
        await models.expected_late.reload()
        with pytest.raises(BlockingIOError):
            theirs.receive()
    assert told() == {"what": "late", "models": []}
    ours.close()
    theirs.close()


def test_who_has_no_such_model_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadonce.server.workers.expecting.known_registries", tuple)
    ours, theirs = Channel.pair()
    tell_late(ours)
    ours.close()
    assert theirs.receive() is None
    theirs.close()
