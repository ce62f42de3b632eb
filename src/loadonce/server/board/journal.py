"""The journal: what one process reports of itself on the board, and what it reads there of all."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable

from loadonce.lifecycle.registry import Registry, registries
from loadonce.lifecycle.reporting import Former, Overview, Report, statuses
from loadonce.observe.events import log_fields

from .board import Board, Row
from .server_info import ServerInfo


class Journal:
    """Reports one process; a killed one loses what it counted since its last report.

    Args:
        board: where all reports are.
        row: this process's; what others had counted there is carried on.
        worker: the number of this process.
        restarts: how many processes had that number before.
    """

    def __init__(self, board: Board, row: Row, *, worker: int = 1, restarts: int = 0) -> None:
        self.row = row
        self._board = board
        self._worker = worker
        self._restarts = restarts
        self._started = time.time()
        self._former = _legacy(row) or Former()
        self._is_too_long = False
        row.pid = os.getpid()

    @classmethod
    def alone(cls, info: ServerInfo | None = None) -> Journal:
        """Of a process that serves alone, and is found if it says what it is."""
        board = Board(1)
        if info is not None:
            board.info.write(info.as_json())
        return cls(board, board[0])

    def publish(self, requests: int) -> None:
        """Report now, on the event loop, having answered so many requests."""
        self.row.requests = requests
        report = Report(
            worker=self._worker,
            pid=self.row.pid,
            started=self._started,
            restarts=self._restarts,
            requests=requests,
            models=statuses(known_registries()),
            former=self._former,
        )
        if not self.row.page.write(report.as_json()) and not self._is_too_long:
            self._is_too_long = True
            log_fields(logging.WARNING, "too many models for a report", {"worker": self._worker})

    def reload_failure(self) -> str:
        """Why the server's last reload failed, for everybody; "" if it did not."""
        info = self._board.info.read()
        return ServerInfo.from_json(info).reload_failure if info else ""

    def overview(self) -> Overview:
        """What all processes have reported."""
        return overview_of(self._board)


def overview_of(board: Board) -> Overview:
    """What all processes have reported; of those that have ended, what they had counted."""
    reports: list[Report] = []
    former: list[Former] = []
    for row in board:
        report = _report(row)
        if report is not None and report.pid == row.pid:
            reports.append(report)
        elif report is not None:
            former.append(report.legacy())
    return Overview(sorted(reports, key=lambda each: (each.worker, each.started)), former)


def known_registries() -> Iterable[Registry]:
    """Every registry of this process, in the same order in each of them."""
    return sorted(registries(), key=lambda registry: type(registry).__name__)


def _report(row: Row) -> Report | None:
    text = row.page.read()
    return Report.from_json(text) if text else None


def _legacy(row: Row) -> Former | None:
    report = _report(row)
    return report.legacy() if report is not None else None
