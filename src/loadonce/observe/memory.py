"""Memory: what this process holds, what it can spare, and how much more it may take."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_CGROUP = Path("/sys/fs/cgroup")
_DONTNEED = 4  # MADV_DONTNEED
_HEADER = re.compile(r"[0-9a-f]+-[0-9a-f]+ \S{4} \S+ \S+ \d+ *(.*)")
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) ...p \S+ \S+ [1-9]\d* +/")


def resident_bytes() -> int:
    """The resident set of this process in bytes; 0 where the system does not tell."""
    try:
        pages = int((_PROC / "self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Memory:
    """What one process holds, in bytes.

    Attributes:
        proportional: each page that it shares counted by its part (PSS); the sum over processes is
            what they hold together.
        shared: pages that others have too.
        private: pages that only this process has; read from a file, or written to.
        private_dirty: those that were written to: after a fork, what is not shared any more.
    """

    proportional: int = 0
    shared: int = 0
    private: int = 0
    private_dirty: int = 0


def memory_of(pid: int, proc: Path = _PROC) -> Memory:
    """What a process of this user holds; zeros where the system does not tell."""
    found: dict[str, int] = {}
    for line in _lines(proc / str(pid) / "smaps_rollup"):
        if line.endswith(" kB"):
            name, count, _unit = line.split()
            found[name] = int(count) * 1024
    return Memory(
        proportional=found.get("Pss:", 0),
        shared=found.get("Shared_Clean:", 0) + found.get("Shared_Dirty:", 0),
        private=found.get("Private_Clean:", 0) + found.get("Private_Dirty:", 0),
        private_dirty=found.get("Private_Dirty:", 0),
    )


def written_bytes(pid: int, proc: Path = _PROC) -> dict[str, int]:
    """Where the pages are that only this process has because it wrote to them, in bytes.

    "heap" and "anonymous" hold objects, "stack" the main thread's calls, "files" what libraries
    change of themselves when they are loaded.
    """
    found: dict[str, int] = {}
    where = ""
    for line in _lines(proc / str(pid) / "smaps"):
        if header := _HEADER.match(line):
            where = _place(header[1])
        elif line.startswith("Private_Dirty:") and (count := int(line.split()[1])):
            found[where] = found.get(where, 0) + count * 1024
    return dict(sorted(found.items(), key=lambda each: -each[1]))


def _place(name: str) -> str:
    if name.startswith("/"):
        return "files"
    return {"[heap]": "heap", "[stack]": "stack"}.get(name, "anonymous")


def give_back_freed() -> None:
    """Give the system back what was freed and what the C allocator keeps for later.

    Reading a model frees about as much again as it holds: an ONNX forest of 10 MiB left 218 MB
    behind, 63 MB of them in use. A no-op where the C library has no `malloc_trim` (glibc does).
    """
    import ctypes

    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def let_go_of_files() -> None:
    """Unmap the pages of libraries, and of other files, that this process has not changed.

    They stay in the system's cache of files and come back by themselves where they are needed. A
    process that only waits would hold what it once ran for as long as it lives: 60 MB of
    scikit-learn's libraries. Call it while no other thread runs. A no-op but on Linux.
    """
    import ctypes

    with contextlib.suppress(AttributeError, OSError, TypeError):
        unmap = ctypes.CDLL(None).madvise
        for begin, end in _unchanged_files(_lines(_PROC / "self/smaps")):
            unmap(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _DONTNEED)


def _unchanged_files(lines: Iterable[str]) -> Iterator[tuple[int, int]]:
    """The private mappings of files without a page of their own: all of it is in the file."""
    mapping: tuple[int, int] | None = None
    for line in lines:
        if found := _MAPPING.match(line):
            mapping = (int(found[1], 16), int(found[2], 16))
        elif line.startswith("Anonymous:") and line.split()[1] == "0" and mapping is not None:
            yield mapping
        elif line.startswith("VmFlags"):
            mapping = None


def available_bytes(proc: Path = _PROC, cgroup: Path = _CGROUP) -> int | None:
    """How many more bytes this process can take before the machine or its control group is full.

    The smaller of /proc/meminfo's MemAvailable and, for each control group (v2, then v1) this
    process is in, its limit less its use, reclaimable file cache not counted as use. None where
    the system does not tell.
    """
    known = [_machine_available(proc)]
    for directory in group_directories(proc, cgroup, "memory"):
        known.append(_group_available(directory))
    figures = [figure for figure in known if figure is not None]
    return min(figures) if figures else None


def _machine_available(proc: Path) -> int | None:
    for line in _lines(proc / "meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def group_directories(proc: Path, cgroup: Path, controller: str) -> list[Path]:
    """Every directory from this process's control group up to the root of the hierarchy.

    Args:
        proc, cgroup: where the two file systems are mounted.
        controller: "memory" or "cpu": v1 has a hierarchy for each.
    """
    found: list[Path] = []
    for line in _lines(proc / "self/cgroup"):
        _number, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        base = cgroup / controller if controllers else cgroup
        relative = Path(path.lstrip("/"))
        # Inside a container the path is that of the host, while its own group is the root here.
        found += [base / parent for parent in (relative, *relative.parents)]
    return found


def _group_available(directory: Path) -> int | None:
    for limit_name, usage_name, cache_key in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit = _number(directory / limit_name)
        if limit is None or limit > sys.maxsize // 2:
            continue  # most groups: nothing else is read
        usage = _number(directory / usage_name)
        if usage is not None:
            cache = 0
            for line in _lines(directory / "memory.stat"):
                if line.startswith(cache_key + " "):
                    cache = int(line.split()[1])
            return max(0, limit - usage + cache)
    return None


def _number(path: Path) -> int | None:
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].isdigit() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def format_bytes(count: int) -> str:
    """A size for people: 1536 -> "1.5 KiB"."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
