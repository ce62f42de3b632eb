"""The walk below a root follows what stays below it, and never leaves it."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from loadonce.artifacts.opening import RefusedError, list_beneath, open_beneath


def content(root: Path, path: str) -> bytes:
    with open(open_beneath(root, path), "rb") as file:
        return file.read()


@pytest.mark.usefixtures("open_fds")
def test_files_and_directories_below_the_root_are_opened(root: Any) -> None:
    root.write("a", b"1")
    root.write("x/y/b", b"2")
    assert content(root.path, "a") == b"1"
    assert content(root.path, "x/y/b") == b"2"
    assert list_beneath(root.path, "") == [("a", False), ("x", True)]
    assert list_beneath(root.path, "x/y") == [("b", False)]


@pytest.mark.usefixtures("open_fds")
def test_a_root_may_be_a_link(root: Any, tmp_path: Path) -> None:
    root.write("v2/a", b"1")
    (tmp_path / "current").symlink_to("v2")
    assert content(tmp_path / "current", "a") == b"1"
    assert list_beneath(tmp_path / "current", "") == [("a", False)]


@pytest.mark.usefixtures("open_fds")
def test_a_mounted_config_map_works(root: Any) -> None:
    """Kubernetes: the files are links into ..data, which is a link to a dated directory."""
    root.write("..2026_11_21/a.joblib", b"1")
    (root.path / "..data").symlink_to("..2026_11_21")
    (root.path / "a.joblib").symlink_to("..data/a.joblib")
    assert content(root.path, "a.joblib") == b"1"


@pytest.mark.usefixtures("open_fds")
def test_links_with_dots_may_wander_below_the_root(root: Any) -> None:
    root.write("x/a", b"1")
    root.write("y/z/here", b"2")
    (root.path / "y/z/up").symlink_to("../../x//./a")
    assert content(root.path, "y/z/up") == b"1"
    (root.path / "dirs").symlink_to("y/z")
    assert list_beneath(root.path, "dirs") == [("here", False), ("up", False)]
    assert ("dirs", True) in list_beneath(root.path, "")


@pytest.mark.usefixtures("open_fds")
@pytest.mark.parametrize("target", ["../outside", "x/../../outside", "/etc/passwd", "/"])
def test_links_out_of_the_root_are_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "outside").write_bytes(b"secret")
    inner = tmp_path / "root"
    (inner / "x").mkdir(parents=True)
    (inner / "link").symlink_to(target)
    with pytest.raises(RefusedError, match="symbolic link"):
        open_beneath(inner, "link")
    assert list_beneath(inner, "") == [("link", False), ("x", True)]


@pytest.mark.usefixtures("open_fds")
def test_a_link_in_a_parent_directory_is_followed_by_the_same_rules(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a").write_bytes(b"secret")
    inner = tmp_path / "root"
    inner.mkdir()
    (inner / "x").symlink_to("../outside")
    with pytest.raises(RefusedError, match="leaves the root"):
        open_beneath(inner, "x/a")


@pytest.mark.usefixtures("open_fds")
def test_links_in_a_circle_end(root: Any) -> None:
    (root.path / "a").symlink_to("b")
    (root.path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        open_beneath(root.path, "a")


@pytest.mark.usefixtures("open_fds")
def test_what_is_not_a_regular_file_is_refused_without_waiting(root: Any) -> None:
    os.mkfifo(root.path / "fifo")
    (root.path / "directory").mkdir()
    (root.path / "directory-link").symlink_to("directory")
    (root.path / "dots").symlink_to("directory/.")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(root.path / "socket"))
        with pytest.raises(OSError, match="No such device"):
            open_beneath(root.path, "socket")
    with pytest.raises(RefusedError, match="not a regular file"):
        open_beneath(root.path, "fifo")
    for name in ("directory", "directory-link", "dots"):
        with pytest.raises(IsADirectoryError):
            open_beneath(root.path, name)
    with pytest.raises(NotADirectoryError):
        open_beneath(root.path, "fifo/x")
    with pytest.raises(NotADirectoryError):
        list_beneath(root.path, "fifo")


@pytest.mark.usefixtures("open_fds")
def test_devices_are_refused() -> None:
    with pytest.raises(RefusedError, match="not a regular file"):
        open_beneath(Path("/dev"), "zero")


@pytest.mark.usefixtures("open_fds")
def test_hard_links_are_refused(root: Any) -> None:
    os.link(root.write("a"), root.path / "b")
    with pytest.raises(RefusedError, match="2 hard links"):
        open_beneath(root.path, "a")


@pytest.mark.usefixtures("open_fds")
def test_a_file_replaced_just_after_it_was_opened_is_not_mistaken_for_a_hard_link(
    root: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no name left, not one too many; found by the thousand races of test_reading."""
    file = root.write("a", b"old")
    real = os.fstat

    def replaced(fd: int) -> os.stat_result:
        file.unlink(missing_ok=True)
        return real(fd)

    monkeypatch.setattr(os, "fstat", replaced)
    assert content(root.path, "a") == b"old"


def test_directories_that_are_swapped_for_links_never_lead_out(tmp_path: Path) -> None:
    """While another thread swaps a directory for a link to the outside, 1,000 opens stay inside."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a").write_bytes(b"secret")
    inner = tmp_path / "root"
    (inner / "real").mkdir(parents=True)
    (inner / "real" / "a").write_bytes(b"good")
    (inner / "evil").symlink_to("../outside")
    (inner / "fine").symlink_to("real")
    stop = threading.Event()

    def swap() -> None:
        for turn in range(10**9):
            if stop.is_set():
                return
            os.symlink(("../outside", "real")[turn % 2], inner / "new")
            os.replace(inner / "new", inner / "x")

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen = set()
    try:
        for _ in range(1000):
            try:
                seen.add(content(inner, "x/a"))
            except (RefusedError, FileNotFoundError):
                seen.add(b"refused")
    finally:
        stop.set()
        swapper.join()
    assert seen <= {b"good", b"refused"}
