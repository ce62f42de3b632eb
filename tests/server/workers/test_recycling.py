"""Which worker is replaced, and when."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

from loadonce.server.board.board import Board
from loadonce.server.options import ServeOptions
from loadonce.server.workers.child_processes import WorkerProcess, ZygoteProcess
from loadonce.server.workers.recycling import measure_new, next_to_recycle, request_limit
from loadonce.system.channel import Channel


@pytest.fixture
def workers() -> Iterator[list[WorkerProcess]]:
    board = Board(2)
    ours, theirs = Channel.pair()
    zygote = ZygoteProcess(0, ours, 0.0)
    made = [WorkerProcess(number, zygote, board[number - 1], ours, 0.0) for number in (1, 2)]
    for worker in made:
        worker.ready_at, worker.pid = 1.0, os.getpid()
        worker.request_limit = 100
        worker.row.requests = 99
    yield made
    ours.close()
    theirs.close()


def test_limits_are_spread() -> None:
    options = ServeOptions(target="main:app", workers=2, max_worker_requests=1000)
    assert request_limit(options, lambda: 0.0) == 1000
    assert request_limit(options, lambda: 0.999) == 1099
    assert request_limit(ServeOptions(target="main:app")) == 0


def test_one_that_has_answered_enough_is_next(workers: list[WorkerProcess]) -> None:
    assert next_to_recycle(workers, 0) is None  # the control
    workers[1].row.requests = 100
    found = next_to_recycle(workers, 0)
    assert found is not None
    assert (found.worker, found.figure) == (workers[1], {"requests": 100})
    workers[1].request_limit = 0
    assert next_to_recycle(workers, 0) is None


def test_one_that_has_grown_too_big_is_next(workers: list[WorkerProcess]) -> None:
    assert next_to_recycle(workers, 2**40) is None  # the control
    found = next_to_recycle(workers, 2**20)
    assert found is not None
    assert found.worker is workers[0]
    assert found.what == "worker too big, replacing it"


def test_one_whose_successor_would_be_too_big_at_once_stays_and_that_is_told_once(
    workers: list[WorkerProcess], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "loadonce")
    for worker in workers:
        measure_new(worker, 0)
        assert worker.base_bytes == 0
        measure_new(worker, 2**20)
    for _ in range(3):
        assert next_to_recycle(workers, 2**20) is None
    assert caplog.text.count("a new worker is bigger than --max-worker-memory") == 2  # of each


@pytest.mark.parametrize("state", ["is_leaving", "is_retiring"])
def test_one_at_a_time(workers: list[WorkerProcess], state: str) -> None:
    workers[1].row.requests = 100
    setattr(workers[0], state, True)
    assert next_to_recycle(workers, 1) is None


def test_one_that_is_not_ready_is_left_alone(workers: list[WorkerProcess]) -> None:
    workers[0].row.requests = 100
    workers[0].ready_at = 0.0
    assert next_to_recycle(workers, 0) is None
