"""The board: what one process writes, another reads."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from loadonce.server.board.board import NAME, Board


def test_a_forked_process_writes_what_its_parent_reads() -> None:
    board = Board(2)
    child = os.fork()
    if child == 0:
        board[1].connections = 7
        board[1].accepts = True
        board[1].beat()
        os._exit(0)
    os.waitpid(child, 0)
    row = board[1]
    assert (row.connections, row.accepts) == (7, True)
    assert row.silence < 20
    assert (board[0].connections, board[0].accepts) == (0, False)
    assert board[0].silence > row.silence
    row.clear()
    assert (row.connections, row.accepts) == (0, False)


def test_the_models_that_a_process_was_calling_are_known_when_it_has_ended() -> None:
    board = Board(2)
    child = os.fork()
    if child == 0:
        marks = {number: board[1].mark(number) for number in (1, 2, 3, 247, 248)}
        for number in (1, 247, 3, 2):
            marks[number].begin()
        marks[3].rest()
        marks[1].begin()  # again, in another thread
        marks[248].begin()  # one too many: it is not known of
        marks[3].at_once[0] = marks[3].number
        os._exit(0)
    os.waitpid(child, 0)
    assert board[1].in_call == [3, 1, 2, 247]  # the latest first
    assert board[0].in_call == []
    board[1].mark(3).at_once[0] = 0
    assert board[1].in_call == [1, 2, 247]
    board[1].clear()
    assert board[1].in_call == []


def test_another_program_finds_and_reads_it() -> None:
    gc.collect()  # those of other tests
    board = Board(3)
    board[2].connections = 5
    board[2].page.write(b"report")
    board.info.write(b"server")
    links = [path for path in Path("/proc/self/fd").iterdir() if is_board(path)]
    boards = [Board.opened(path) for path in links]
    [found] = [each for each in boards if each.info.read() == b"server"]
    assert [row.connections for row in found] == [0, 0, 5]
    assert found[2].page.read() == b"report"


def test_one_that_is_being_made_is_none_yet(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(OSError, match="not made yet"):
        Board.opened(tmp_path / "empty")


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_a_process_that_is_started_afresh_opens_it_by_its_descriptor(
    monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    board = Board.inheritable(3)
    assert os.get_inheritable(board.descriptor)
    other = Board.inherited(os.dup(board.descriptor))
    board[2].connections = 5
    assert [row.connections for row in other] == [0, 0, 5]
    os.close(board.descriptor)


def test_it_is_gone_with_the_last_who_has_it() -> None:
    gc.collect()
    before = sum(map(is_board, Path("/proc/self/fd").iterdir()))
    board = Board(1)
    assert sum(map(is_board, Path("/proc/self/fd").iterdir())) == before + 1
    del board
    gc.collect()
    assert sum(map(is_board, Path("/proc/self/fd").iterdir())) == before


def is_board(path: Path) -> bool:
    try:
        return NAME in os.readlink(path)
    except FileNotFoundError:  # the descriptor that looks
        return False
