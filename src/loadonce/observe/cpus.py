"""How many CPUs this process may use: its affinity, and the quota of its control group."""

from __future__ import annotations

import math
import os
from pathlib import Path

from .memory import group_directories

_PROC = Path("/proc")
_CGROUP = Path("/sys/fs/cgroup")


def available_cpus(proc: Path = _PROC, cgroup: Path = _CGROUP) -> int:
    """Whole CPUs, at least one; a quota of 1.5 counts as two."""
    known = [float(_affinity())]
    for directory in group_directories(proc, cgroup, "cpu"):
        known.append(_quota(directory))
    return max(1, math.ceil(min(known)))


def _affinity() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # pragma: no cover - macOS and Windows
        return os.cpu_count() or 1


def _quota(directory: Path) -> float:
    """CPUs by the limit of one control group (v2, then v1); infinity where there is none."""
    v2 = _words(directory / "cpu.max")
    if len(v2) == 2 and v2[0].isdigit():
        return int(v2[0]) / int(v2[1])
    quota, period = _words(directory / "cpu.cfs_quota_us"), _words(directory / "cpu.cfs_period_us")
    if quota and period and quota[0].isdigit():
        return int(quota[0]) / int(period[0])
    return math.inf


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
