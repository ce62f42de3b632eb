"""How a running server is shown."""

from __future__ import annotations

import time
from dataclasses import replace

from rich.console import Console

from loadonce.cli.live import show_live
from loadonce.observe.memory import Memory
from loadonce.observe.statistics import CallStatistics
from loadonce.server.board.running import LiveModel, ProcessStatus, ServerStatus
from loadonce.server.board.server_info import ServerInfo


def shown(server: ServerStatus) -> list[str]:
    console = Console(width=250)
    with console.capture() as captured:
        show_live(console, server)
    return [" ".join(line.split()) for line in captured.get().splitlines()]


def test_workers_are_shown_with_what_they_do() -> None:
    worker = ProcessStatus(
        *("worker 1", 8, 90.0, Memory(3 * 2**20, 2**20, 2**21, 2**20), {"heap": 2**20}),
        requests=7,
        restarts=2,
        connections=1,
        is_accepting=True,
    )
    leaving = replace(worker, role="worker 2", is_accepting=False, seconds=7200)
    loading = ProcessStatus("zygote", 9, 0.5, Memory(), {})
    statistics = CallStatistics(calls=4, errors=1, rejected=3).snapshot({})
    model = LiveModel(
        "a", ("pending", "ready"), ("", "v1", "v2"), 2048, 4096, statistics, 2, {"inline": 5}
    )
    info = ServerInfo("0", 7, "main:[app]", "http://h", 2, time.time() - 3 * 86400)
    lines = shown(ServerStatus(info, (loading, worker, leaving), (model,)))
    assert lines[0] == "main:[app] on http://h, pid 7, for 3.0 d"
    assert lines[3] == "zygote 9 0 B 0 B 0 B 0.5 s"
    assert lines[4] == "worker 1 8 3.0 MiB 1.0 MiB 2.0 MiB heap 1.0 MiB 7 2 1 1.5 min"
    assert lines[5].startswith("worker 2, leaving 8")
    assert lines[5].endswith(" 2.0 h")
    assert lines[6] == "together 6.0 MiB"
    assert lines[9] == "a pending, ready v1, v2 2.0 KiB 4.0 KiB 4 1 3 2 5 inline"
