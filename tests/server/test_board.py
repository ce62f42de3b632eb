"""The board: what one process writes, another reads."""

from __future__ import annotations

import os

from loadonce.server.board import Board


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
