"""Servers that run: found through /proc by the boards they have open, and looked at from outside.

Nothing is asked of them: a server that hangs is seen as well.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loadonce.errors import ConfigurationError
from loadonce.lifecycle.model import ModelStatus
from loadonce.lifecycle.reporting import Overview, Report
from loadonce.observe.memory import Memory, memory_of, written_bytes
from loadonce.observe.processes import children_of, descendants_of, name_of, seconds_of
from loadonce.observe.statistics import StatisticsSnapshot
from loadonce.owner.keeper import KEEPER

from .board import NAME, Board, Row
from .journal import overview_of
from .server_info import ServerInfo

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One process of a server.

    Attributes:
        role: "supervisor", "zygote", "keeper", "owner of forest", "worker 1", ...
        pid: its process id.
        seconds: for which it has run.
        memory: what it holds.
        written: bytes of its own by where they are: what it wrote to since it was forked.
        requests, restarts, connections: of a worker, if it has reported already.
        is_accepting: it takes new connections.
    """

    role: str
    pid: int
    seconds: float
    memory: Memory
    written: dict[str, int]
    requests: int = 0
    restarts: int = 0
    connections: int = 0
    is_accepting: bool = False


@dataclass(frozen=True, slots=True)
class LiveModel:
    """One model in all workers.

    Attributes:
        name: as `/readyz` shows it.
        states, versions: of the workers, each once.
        bytes_on_disk, bytes_in_memory: of its artifact, and what memory grew by when it loaded.
        statistics: counters of all workers, those that have ended included.
        median_batch: half of the batches had at most so many items; 0 if none ran.
        placements: how many pairs of a function and a size of batch run where.
    """

    name: str
    states: tuple[str, ...]
    versions: tuple[str, ...]
    bytes_on_disk: int
    bytes_in_memory: int
    statistics: StatisticsSnapshot
    median_batch: int
    placements: dict[str, int]


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """A server at one moment."""

    info: ServerInfo
    processes: tuple[ProcessStatus, ...]
    models: tuple[LiveModel, ...]


def find_server(pid: int | None = None, proc: Path = _PROC) -> ServerStatus:
    """The server of this user that runs, or the one that this process belongs to.

    Raises:
        ConfigurationError: none runs, several do, or it is one of another version.
    """
    return _status(*find_info(pid, proc), proc)


def find_info(pid: int | None = None, proc: Path = _PROC) -> tuple[ServerInfo, Board]:
    """What that server says of itself, and its board; raises as `find_server` does."""
    from loadonce import __version__

    found = {
        info.pid: (info, board)
        for info, board in _servers(proc)
        if pid is None or pid in (info.pid, *descendants_of(info.pid, proc))
    }
    if len(found) != 1:
        raise ConfigurationError(_which(pid, [info for info, _board in found.values()]))
    [(info, board)] = found.values()
    if info.version != __version__:
        raise ConfigurationError(
            f"process {info.pid} runs loadonce {info.version}, and this is {__version__}: use "
            "the command it was started with"
        )
    return info, board


def _which(pid: int | None, infos: list[ServerInfo]) -> str:
    if infos:
        known = "".join(f"\n  --pid {each.pid}: {each.target} on {each.url}" for each in infos)
        return f"several servers run, choose one:{known}"
    whose = "you have started" if pid is None else f"has a process {pid} that you may look at"
    return f"no `loadonce serve` that {whose} runs here"


def _servers(proc: Path) -> Iterator[tuple[ServerInfo, Board]]:
    for process in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            for link in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if NAME in os.readlink(link):
                        board = Board.opened(link)
                        info = _info(board)
                        if info is not None and info.pid == int(process.name):
                            yield info, board


def _info(board: Board) -> ServerInfo | None:
    text = board.info.read()
    return ServerInfo.from_json(text) if text else None


def _status(info: ServerInfo, board: Board, proc: Path) -> ServerStatus:
    overview = overview_of(board)
    return ServerStatus(
        info, tuple(_processes(info, board, overview, proc)), tuple(_models(overview))
    )


def _processes(
    info: ServerInfo, board: Board, overview: Overview, proc: Path
) -> Iterator[ProcessStatus]:
    reports = {report.pid: report for report in overview.reports}
    rows = {row.pid: row for row in board if row.pid}
    has_supervisor = info.pid not in rows  # else it serves by itself
    if has_supervisor:
        yield _process("supervisor", info.pid, proc)
    for pid in children_of(info.pid, proc):
        if name_of(pid, proc) == KEEPER:
            yield from _kept(pid, overview, proc)
        elif has_supervisor and pid not in rows:
            yield _process("zygote", pid, proc)
    for pid, row in rows.items():
        if pid in reports:
            yield _worker(row, reports[pid], proc)
        else:  # it starts
            yield _process("worker", pid, proc)


def _kept(keeper: int, overview: Overview, proc: Path) -> Iterator[ProcessStatus]:
    """A keeper, and the processes that have one model each."""
    yield _process("keeper", keeper, proc)
    models = {owner: name for name, owner in overview.owners()}
    for pid in children_of(keeper, proc):
        role = f"owner of {models[pid]}" if pid in models else "owner"
        yield _process(role, pid, proc)


def _process(role: str, pid: int, proc: Path) -> ProcessStatus:
    return ProcessStatus(
        role, pid, seconds_of(pid, proc), memory_of(pid, proc), written_bytes(pid, proc)
    )


def _worker(row: Row, report: Report, proc: Path) -> ProcessStatus:
    return ProcessStatus(
        f"worker {report.worker}",
        report.pid,
        seconds_of(report.pid, proc),
        memory_of(report.pid, proc),
        written_bytes(report.pid, proc),
        requests=report.requests,
        restarts=report.restarts,
        connections=row.connections,
        is_accepting=row.accepts,
    )


def _models(overview: Overview) -> Iterator[LiveModel]:
    counted = overview.counted().models
    found: dict[str, list[ModelStatus]] = {}
    for report in overview.reports:
        for name, status in report.models.items():
            found.setdefault(name, []).append(status)
    for name, statuses in found.items():
        yield LiveModel(
            name,
            tuple(dict.fromkeys(status.state.value for status in statuses)),
            tuple(dict.fromkeys(status.version for status in statuses)),
            max(status.bytes_on_disk for status in statuses),
            max(status.bytes_in_memory for status in statuses),
            counted[name],
            _median(counted[name]),
            _placements(statuses),
        )


def _median(snapshot: StatisticsSnapshot) -> int:
    half = sum(snapshot.batch_sizes.values()) / 2
    passed = 0
    for size, count in sorted(snapshot.batch_sizes.items()):
        passed += count
        if passed >= half:
            return size
    return 0


def _placements(statuses: list[ModelStatus]) -> dict[str, int]:
    found: dict[str, int] = {}
    for status in statuses:
        for places in status.statistics.placements.values():
            for place in places.values():
                found[place] = found.get(place, 0) + 1
    return found
