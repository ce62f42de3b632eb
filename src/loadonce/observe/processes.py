"""Processes of this machine, as /proc shows them, and as this one wants to be seen there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_PARENT, _START = 1, 19  # among the fields of /proc/PID/stat that follow the name


def children_of(pid: int, proc: Path = _PROC) -> list[int]:
    """Its children that live, by their ids."""
    return sorted(
        int(path.name) for path in proc.glob("[0-9]*") if _field(path, _PARENT, default=0) == pid
    )


def descendants_of(pid: int, proc: Path = _PROC) -> Iterator[int]:
    """Its children, theirs, and so on."""
    for child in children_of(pid, proc):
        yield child
        yield from descendants_of(child, proc)


def seconds_of(pid: int, proc: Path = _PROC) -> float:
    """For how long it has run; 0 if it has ended, or nobody knows."""
    with contextlib.suppress(OSError):
        uptime = float((proc / "uptime").read_text().split()[0])
        began = _field(proc / str(pid), _START, default=0) / os.sysconf("SC_CLK_TCK")
        return max(0.0, uptime - began)
    return 0.0


def name_of(pid: int, proc: Path = _PROC) -> str:
    """The name it goes by, as `ps` and `top` show it; "" if it has ended."""
    try:
        return (proc / str(pid) / "comm").read_text().rstrip("\n")
    except OSError:
        return ""


def take_name(name: str) -> None:
    """Let this process go by this name, of 15 bytes at most."""
    with contextlib.suppress(OSError):
        (_PROC / "self/comm").write_text(name)


def _field(process: Path, index: int, *, default: int) -> int:
    try:  # the name, in parentheses, may hold anything
        return int((process / "stat").read_text().rpartition(")")[2].split()[index])
    except OSError:  # it has ended
        return default
