"""How much more memory may be taken: the machine's, and each control group's."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadonce.observe import memory
from loadonce.observe.memory import (
    Memory,
    available_bytes,
    format_bytes,
    give_back_freed,
    let_go_of_files,
    memory_of,
    resident_bytes,
    written_bytes,
)

MIB = 1024**2


def tree(base: Path, **files: str) -> Path:
    for name, text in files.items():
        path = base / name.replace("__", "/").replace("-", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return base


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    return tree(
        tmp_path / "proc",
        meminfo=f"MemTotal: 9 kB\nMemAvailable: {100 * 1024} kB\n",
        self__cgroup="0::/app.slice/me\n",
    )


FREES = """
import sys
from loadonce.observe.memory import give_back_freed, resident_bytes

kept = [bytes(2000) for _ in range(100_000)]
last = kept[-1]  # above all that is freed
del kept
before = resident_bytes()
if "control" not in sys.argv:
    give_back_freed()
print((before - resident_bytes()) // 2**20)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="no glibc")
@pytest.mark.parametrize("argument", ["control", "give back"])
def test_freed_memory_that_the_allocator_keeps_is_given_back(argument: str) -> None:
    done = subprocess.run([sys.executable, "-c", FREES, argument], capture_output=True, text=True)
    assert done.stderr == ""
    assert (int(done.stdout) > 100) is (argument == "give back")


def test_without_such_an_allocator_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _name: object())
    give_back_freed()


def test_the_machine_s_figure_where_no_group_limits(proc: Path, tmp_path: Path) -> None:
    assert available_bytes(proc, tmp_path / "none") == 100 * MIB


def test_the_tightest_group_up_to_the_root_counts_less_its_cache(
    proc: Path, tmp_path: Path
) -> None:
    groups = tmp_path / "cgroup"
    for relative, limit in (("app.slice/me", "max"), ("app.slice", str(50 * MIB))):
        directory = groups / relative
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "memory.max").write_text(limit)
        (directory / "memory.current").write_text(str(30 * MIB))
        (directory / "memory.stat").write_text(f"anon 1\ninactive_file {5 * MIB}\n")
    assert available_bytes(proc, groups) == 25 * MIB


def test_version_1_groups_count_too(tmp_path: Path) -> None:
    proc = tree(tmp_path / "proc", self__cgroup="3:cpu:/x\n4:memory:/docker/abc\n")
    groups = tmp_path / "cgroup"
    own = groups / "memory"  # inside the container its own group is the root of the hierarchy
    own.mkdir(parents=True)
    (own / "memory.limit_in_bytes").write_text(str(10 * MIB))
    (own / "memory.usage_in_bytes").write_text(str(4 * MIB))
    assert available_bytes(proc, groups) == 6 * MIB
    (own / "memory.limit_in_bytes").write_text(str(2**63 - 4096))  # how v1 says "no limit"
    assert available_bytes(proc, groups) is None


def test_a_group_that_hides_its_use_is_left_out(proc: Path, tmp_path: Path) -> None:
    directory = tmp_path / "cgroup/app.slice/me"
    directory.mkdir(parents=True)
    (directory / "memory.max").write_text(str(MIB))
    assert available_bytes(proc, tmp_path / "cgroup") == 100 * MIB


def test_nothing_known_is_none(tmp_path: Path) -> None:
    assert available_bytes(tmp_path, tmp_path) is None


def test_this_process_has_some(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert resident_bytes() > 10 * MIB
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    assert resident_bytes() == 0


def test_sizes_for_people() -> None:
    sizes = [0, 1023, 1536, 5 * MIB, 3 * 1024**3, 2 * 1024**4]
    assert [format_bytes(size) for size in sizes] == [
        *("0 B", "1023 B", "1.5 KiB", "5.0 MiB", "3.0 GiB", "2.0 TiB")
    ]


def test_the_memory_of_a_process_is_told_by_kind(tmp_path: Path) -> None:
    mine = memory_of(os.getpid())
    assert 0 < mine.proportional <= 2 * resident_bytes()
    assert 0 < mine.private_dirty <= mine.private
    assert memory_of(7, tmp_path) == Memory()
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "smaps_rollup").write_text("5583-7ffe ---p 0 00:00 0 [rollup]\nRss: 9 kB\n")
    assert memory_of(7, tmp_path) == Memory()
    lines = ["Pss:  3 kB", "Shared_Clean: 1 kB", "Shared_Dirty: 2 kB"]
    lines += ["Private_Clean: 4 kB", "Private_Dirty: 8 kB"]
    (tmp_path / "7" / "smaps_rollup").write_text("\n".join(lines))
    assert memory_of(7, tmp_path) == Memory(3072, 3072, 12288, 8192)


LETS_GO = """
import os, mmap, numpy, sys
from loadonce.observe.memory import let_go_of_files, memory_of

with open(sys.argv[1], "r+b") as file:
    pages = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE)
    unchanged = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE)
pages[0] = 65
assert unchanged[:] == b"x" * 2**20
before = memory_of(os.getpid())
let_go_of_files()
after = memory_of(os.getpid())
numpy.linalg.inv(numpy.ones((9, 9)) + numpy.eye(9))  # what is needed comes back
print(before.private + before.shared - after.private - after.shared)
print(before.private_dirty - after.private_dirty)
print(pages[:2], unchanged[:2], len(pages))
"""


def test_pages_of_files_are_let_go_unless_they_were_changed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 2**20)
    command = [sys.executable, "-c", LETS_GO, str(tmp_path / "file")]
    output = subprocess.check_output(command, text=True)
    given_back, dirty, kept = output.splitlines()
    assert int(given_back) > 4 * MIB
    assert abs(int(dirty)) < MIB  # none of what it had changed
    assert kept == "b'Ax' b'xx' 1048576"


def test_where_the_system_does_not_tell_nothing_is_let_go(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    let_go_of_files()


def test_what_was_written_to_is_told_by_place(tmp_path: Path) -> None:
    assert written_bytes(os.getpid())["anonymous"] > MIB
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "smaps").write_text(
        "55e0-55e1 rw-p 00000000 00:00 0    [heap]\nSize: 9 kB\nPrivate_Dirty:   8 kB\n"
        "7f00-7f10 rw-p 00001000 08:01 42   /usr/lib/libz so.1 (deleted)\nPrivate_Dirty: 4 kB\n"
        "7f20-7f30 rw-p 00000000 00:00 0 \nPrivate_Dirty: 12 kB\n"
        "7f40-7f50 r--p 00000000 00:00 0    [vvar]\nPrivate_Dirty: 0 kB\n"
        "7ffe-7fff rw-p 00000000 00:00 0    [stack]\nPrivate_Dirty: 2 kB\n"
    )
    expected = {"anonymous": 12288, "heap": 8192, "files": 4096, "stack": 2048}
    assert written_bytes(7, tmp_path) == expected
    assert list(written_bytes(7, tmp_path)) == list(expected)
    assert written_bytes(8, tmp_path) == {}
