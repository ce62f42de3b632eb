"""The journal: what a process reports, and what stays of it."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from loadonce import Model, Registry, Source, artifact, lock_directory
from loadonce.lifecycle.reporting import Former, Report
from loadonce.server.board import board as board_module
from loadonce.server.board.board import Board
from loadonce.server.board.journal import Journal


def text(source: Source) -> str:
    return bytes(source.data).decode()


class Models(Registry):
    journalled: Model[str] = artifact("word.txt", loader=text)


@pytest.fixture
def models(tmp_path: Path) -> Models:
    (tmp_path / "word.txt").write_text("word")
    lock_directory(tmp_path)
    return Models(root=tmp_path)


def calls_of(former: Former) -> int:
    return former.models["journalled"].calls


def test_a_report_tells_what_was_counted(models: Models) -> None:
    journal = Journal.alone()
    assert journal.overview().reports == []
    with models.loaded():
        models.journalled.run(len)
        journal.publish(7)
        [report] = journal.overview().reports
        assert report.models["journalled"] == models.journalled.status()
    assert (report.worker, report.pid, report.requests) == (1, os.getpid(), 7)
    assert Report.from_json(report.as_json()) == report


def test_counters_of_the_dead_are_kept_their_gauges_are_not(models: Models) -> None:
    board = Board(2)
    with models.loaded():
        models.journalled.run(len)
        one, other = Journal(board, board[0]), Journal(board, board[1], worker=2)
        one.publish(3)
        other.publish(5)
        overview = one.overview()
        assert len(overview.reports) == 2
        assert overview.counted().requests == {1: 3, 2: 5}
        assert calls_of(overview.counted()) == 2  # each has the same models here
        board[1].clear()  # it has died
        overview = one.overview()
        assert [report.worker for report in overview.reports] == [1]
        assert overview.counted().requests == {1: 3, 2: 5}
        assert calls_of(overview.counted()) == 2


def test_hundreds_of_successors_count_on_in_the_same_space(models: Models) -> None:
    board = Board(1)
    sizes = set()
    with models.loaded():
        models.journalled.run(len)
        Journal(board, board[0]).publish(2)
        for restarts in range(1, 300):
            before = Journal(board, board[0]).overview().counted()
            journal = Journal(board, board[0], restarts=restarts)
            journal.publish(2)
            counted = journal.overview().counted()
            assert counted.requests[1] == before.requests.get(1, 0) + 2  # nothing ever falls
            sizes.add(len(board[0].page.read()))
        [report] = journal.overview().reports
    assert counted.requests == {1: 600}
    assert calls_of(counted) == 300
    assert counted.models["journalled"].batch_sizes == {}
    assert max(sizes) - min(sizes) < 20 * len(report.models)  # digits; other tests have models too


def test_models_that_are_too_many_are_told_once(
    models: Models, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(board_module, "_PAGE", 1024)
    journal = Journal.alone()
    with caplog.at_level(logging.WARNING, "loadonce"):
        journal.publish(1)
        journal.publish(2)
    assert caplog.text.count("too many models for a report") == 1
    assert journal.overview().reports == []
    assert [model.name for model in models] == ["journalled"]  # alive until here
