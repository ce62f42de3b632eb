"""The CPUs a process may use, control groups included."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadonce.observe.cpus import available_cpus


@pytest.fixture(autouse=True)
def _eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))


def _write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("DOT", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000", 8), ("150000 100000", 2), ("10000 100000", 1)]
)
def test_a_quota_counts_in_whole_cpus(tmp_path: Path, quota: str, expected: int) -> None:
    _write(tmp_path, proc__self__cgroup="0::/app\n", group__app__cpuDOTmax=quota)
    assert available_cpus(tmp_path / "proc", tmp_path / "group") == expected


def test_the_first_version_of_control_groups_too(tmp_path: Path) -> None:
    _write(
        tmp_path,
        proc__self__cgroup="3:memory:/m\n4:cpu,cpuacct:/app\n",
        group__cpu__app__cpuDOTcfs_quota_us="300000",
        group__cpu__app__cpuDOTcfs_period_us="100000",
        group__cpu__cpuDOTcfs_quota_us="-1",
        group__cpu__cpuDOTcfs_period_us="100000",
    )
    assert available_cpus(tmp_path / "proc", tmp_path / "group") == 3


def test_without_control_groups_the_affinity_counts(tmp_path: Path) -> None:
    assert available_cpus(tmp_path, tmp_path) == 8
