"""`loadonce inspect --live`: what a running server holds and does, seen from outside."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from loadonce.observe.memory import format_bytes

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from loadonce.server.board.running import LiveModel, ProcessStatus, ServerStatus

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def as_json(server: ServerStatus) -> dict[str, object]:
    """For programs."""
    return {
        **asdict(server.info),
        "processes": [asdict(each) for each in server.processes],
        "models": [asdict(each) for each in server.models],
    }


def show_live(out: Console, server: ServerStatus) -> None:
    """For people."""
    info = server.info
    since = _duration(time.time() - info.started)
    out.print(
        f"{info.target} on {info.url}, pid {info.pid}, for {since}", markup=False, soft_wrap=True
    )
    out.print()
    out.print(_processes(server.processes))
    out.print()
    out.print(_models(server.models))


def _processes(found: tuple[ProcessStatus, ...]) -> Table:
    table = _table(
        *("process", "pid", "PSS", "shared", "private", "written to", "requests", "restarts"),
        *("connections", "for"),
    )
    for each in found:
        is_worker = each.role.startswith("worker")
        written = ", ".join(f"{name} {format_bytes(size)}" for name, size in each.written.items())
        serves = (str(each.requests), str(each.restarts), str(each.connections))
        table.add_row(
            each.role if each.is_accepting or not is_worker else f"{each.role}, leaving",
            str(each.pid),
            format_bytes(each.memory.proportional),
            format_bytes(each.memory.shared),
            format_bytes(each.memory.private),
            written,
            *(serves if is_worker else ("", "", "")),
            _duration(each.seconds),
        )
    total = sum(each.memory.proportional for each in found)
    table.add_row("together", "", format_bytes(total))
    return table


def _models(found: tuple[LiveModel, ...]) -> Table:
    table = _table(
        *("model", "state", "version", "on disk", "in memory", "calls", "errors", "refused"),
        *("median batch", "placement"),
    )
    for each in found:
        places = ", ".join(f"{count} {name}" for name, count in each.placements.items())
        table.add_row(
            each.name,
            ", ".join(each.states),
            ", ".join(filter(None, each.versions)),
            format_bytes(each.bytes_on_disk),
            format_bytes(each.bytes_in_memory),
            str(each.statistics.calls),
            str(each.statistics.errors),
            str(each.statistics.rejected),
            str(each.median_batch),
            places,
        )
    return table


def _table(*headings: str) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="dim", pad_edge=False)
    left = ("process", "written to", "model", "state", "version", "placement")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in left else "right")
    return table


def _duration(seconds: float) -> str:
    """Seconds for people: 90 -> "1.5 min"."""
    for length, unit in _UNITS:
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"
