"""Servers that run, found in a /proc of the test's own."""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from loadonce import ConfigurationError, Model, Registry, __version__, artifact
from loadonce.lifecycle.reporting import Report, statuses
from loadonce.lifecycle.version import State
from loadonce.observe.statistics import StatisticsSnapshot
from loadonce.owner.keeper import KEEPER
from loadonce.server.board.board import _LINE, _PAGE, NAME, Board
from loadonce.server.board.running import find_server
from loadonce.server.board.server_info import ServerInfo


class Models(Registry):
    shown: Model[str] = artifact("shown.txt")


def board_at(path: Path, rows: int) -> Board:
    size = (rows + 1) * _PAGE + rows * _LINE
    path.write_bytes(b"\0" * size)
    with path.open("r+b") as file:
        return Board(rows, mmap.mmap(file.fileno(), size))


def process(
    proc: Path, pid: int, parent: int = 1, board: Path | None = None, *, name: str = "python"
) -> None:
    """An entry in /proc, of a program whose name looks like more than that."""
    (proc / str(pid) / "fd").mkdir(parents=True)
    fields = " ".join(["0"] * 17)
    (proc / str(pid) / "stat").write_text(f"{pid} (a) 1 (b) S {parent} {fields} 500 0 0")
    (proc / str(pid) / "comm").write_text(name + "\n")
    (proc / str(pid) / "fd" / "1").symlink_to("/dev/null")
    (proc / str(pid) / "fd" / "2").mkdir()  # no link: it was closed
    if board is not None:
        (proc / str(pid) / "fd" / "3").symlink_to(board)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    found = tmp_path / "proc"
    process(found, 1, 0)
    (found / "5").mkdir()  # of somebody else
    (found / "uptime").write_text("100.0 1.0")
    return found


@pytest.fixture
def serve(proc: Path, tmp_path: Path) -> Callable[..., Board]:
    """`serve(pid)`: a server and its board, which its children have too."""

    def start(pid: int, *, version: str = __version__) -> Board:
        path = tmp_path / f"{NAME}-{pid}"
        board = board_at(path, 3)
        info = ServerInfo(version, pid, "main:app", f"http://127.0.0.1:{pid}", 2, time.time())
        board.info.write(info.as_json())
        process(proc, pid, 1, path)
        process(proc, pid + 1, pid, path)
        return board

    return start


Serve = Callable[..., Board]


def test_none_is_told(proc: Path, tmp_path: Path) -> None:
    board_at(tmp_path / NAME, 1)  # of a process that says nothing of itself
    process(proc, 7, 1, tmp_path / NAME)
    with pytest.raises(ConfigurationError, match="that you have started runs here"):
        find_server(None, proc)
    with pytest.raises(ConfigurationError, match="has a process 7 that you may look at"):
        find_server(7, proc)


def test_several_are_told_apart(proc: Path, serve: Serve) -> None:
    serve(10)
    serve(20)
    with pytest.raises(ConfigurationError, match=r"--pid 10: main:app on http://127.0.0.1:10"):
        find_server(None, proc)
    assert find_server(20, proc).info.pid == 20
    assert find_server(11, proc).info.pid == 10  # one of its processes


def test_another_version_is_not_guessed_at(proc: Path, serve: Serve) -> None:
    serve(10, version="0.0.1")
    with pytest.raises(ConfigurationError, match=r"process 10 runs loadonce 0\.0\.1"):
        find_server(None, proc)


def test_workers_and_their_models_are_told(proc: Path, serve: Serve) -> None:
    board = serve(10)
    process(proc, 12, 10)
    process(proc, 13, 10)
    [status] = statuses([Models()]).values()
    sizes = {1: 1, 4: 2, 8: 1}
    placements = {"f": {1: "inline", 4: "thread"}, "g": {1: "thread"}}
    counted = StatisticsSnapshot(17, 1, 2, 3, 4, 0, 0, 5.0, 6.0, sizes, placements)
    ready = replace(status, state=State.READY, version="v", statistics=counted)
    for row, pid, each in ((0, 12, ready), (1, 13, replace(status, version="w"))):
        report = Report(row + 1, pid, 0.0, row, 40, {"shown": each})
        board[row].pid = pid
        board[row].page.write(report.as_json())
    board[0].accepts, board[0].connections = True, 3
    board[2].pid = 14  # it starts
    found = find_server(None, proc)
    assert [(each.role, each.pid) for each in found.processes] == [
        *(("supervisor", 10), ("zygote", 11), ("worker 1", 12), ("worker 2", 13), ("worker", 14))
    ]
    first = found.processes[2]
    assert (first.requests, first.restarts, first.connections) == (40, 0, 3)
    assert (first.is_accepting, found.processes[3].is_accepting) == (True, False)
    assert first.seconds == 95.0
    assert found.processes[4].seconds == 100.0  # it has ended meanwhile
    [model] = found.models
    assert (model.states, model.versions) == (("ready", "pending"), ("v", "w"))
    assert (model.statistics.calls, model.median_batch) == (17, 4)
    assert model.placements == {"inline": 1, "thread": 2}


@pytest.mark.parametrize("is_alone", [False, True])
def test_models_in_processes_of_their_own_are_told_with_these(
    proc: Path, serve: Serve, is_alone: bool
) -> None:
    board = serve(10)
    worker = 10 if is_alone else 13
    process(proc, 13, 10)
    process(proc, 14, 10, name=KEEPER)
    process(proc, 15, 14)
    process(proc, 16, 14)  # it loads
    [status] = statuses([Models()]).values()
    board[0].pid = worker
    report = Report(1, worker, 0.0, 0, 1, {"shown": replace(status, owner=15)})
    board[0].page.write(report.as_json())
    found = [(each.role, each.pid) for each in find_server(None, proc).processes]
    kept = [("keeper", 14), ("owner of shown", 15), ("owner", 16)]
    if is_alone:  # what the app has started itself is none of ours
        assert found == [*kept, ("worker 1", 10)]
    else:
        assert found == [("supervisor", 10), ("zygote", 11), *kept, ("worker 1", 13)]


def test_one_that_serves_alone_has_one_process(proc: Path, serve: Serve) -> None:
    board = serve(10)
    [status] = statuses([Models()]).values()
    board[0].pid = 10
    board[0].page.write(Report(1, 10, 0.0, 0, 1, {"shown": status}).as_json())
    found = find_server(None, proc)
    assert [each.role for each in found.processes] == ["worker 1"]
    assert found.models[0].median_batch == 0


def test_without_a_clock_nothing_is_told_of_time(proc: Path, serve: Serve) -> None:
    serve(10)
    (proc / "uptime").unlink()
    assert find_server(None, proc).processes[0].seconds == 0.0


def test_what_a_server_of_another_version_says_more_is_left_out() -> None:
    info = ServerInfo("9", 7, "main:app", "http://h", 1, 0.0)
    more = info.as_json().replace(b"{", b'{"colour": "red", ', 1)
    assert ServerInfo.from_json(more) == info
