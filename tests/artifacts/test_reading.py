"""Start-up reads each file once and refuses whatever differs from the lock file (A1 to A8)."""

from __future__ import annotations

import hashlib
import os
import random
import resource
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadonce.artifacts import LockFile, measure, read_verified, walk_files
from loadonce.errors import (
    ArtifactCorruptError,
    ArtifactError,
    ArtifactNotFoundError,
    ArtifactNotLockedError,
    ArtifactUnreadableError,
    LockFileError,
)

CONTENT = random.Random(0).randbytes(5000)
pytestmark = pytest.mark.usefixtures("open_fds")


def refusal(root: Path, path: str, lock: LockFile) -> str:
    with pytest.raises(ArtifactError) as caught:
        read_verified(root, path, lock)
    return str(caught.value)


def test_the_locked_bytes_are_handed_out(root: Any) -> None:
    root.write("m/a.bin", CONTENT)
    source = read_verified(root.path, "m/a.bin", root.lock("m/a.bin"))
    assert bytes(source.data) == CONTENT
    assert source.sha256 == hashlib.sha256(CONTENT).hexdigest()
    source.close()


def test_an_empty_file_can_be_locked(root: Any) -> None:
    root.write("a", b"")
    source = read_verified(root.path, "a", root.lock("a"))
    assert bytes(source.data) == b""
    source.close()


def test_each_file_is_opened_once(root: Any) -> None:
    root.write("a.bin", CONTENT)
    lock = root.lock("a.bin")
    opened: list[object] = []
    active = True

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        if active and event == "open" and arguments[0] == "a.bin":
            opened.append(arguments)

    sys.addaudithook(audit)
    source = read_verified(root.path, "a.bin", lock)
    source.open().read()
    active = False
    source.close()
    assert len(opened) == 1


@pytest.mark.parametrize("size", [0, 1, 2500, 4999])
def test_a_truncated_file_is_refused_naming_both_sizes(root: Any, size: int) -> None:
    file = root.write("a.bin", CONTENT)
    lock = root.lock("a.bin")
    file.write_bytes(CONTENT[:size])
    message = refusal(root.path, "a.bin", lock)
    assert "a.bin: differs from models.lock" in message
    assert f"expected: sha256 {hashlib.sha256(CONTENT).hexdigest()[:12]}, 5000 bytes" in message
    assert f"found: {size} bytes" in message
    assert "to do: restore the file, or run `loadonce lock DIR` if you meant to" in message


def test_a_thousand_single_bit_flips_are_refused(root: Any) -> None:
    file = root.write("a.bin", CONTENT)
    lock = root.lock("a.bin")
    draw = random.Random(1)
    for _ in range(1000):
        flipped = bytearray(CONTENT)
        flipped[draw.randrange(len(flipped))] ^= 1 << draw.randrange(8)
        file.write_bytes(flipped)
        with pytest.raises(ArtifactCorruptError) as caught:
            read_verified(root.path, "a.bin", lock)
        assert caught.value.found.startswith("sha256 ")


def test_two_files_swapped_are_both_refused(root: Any) -> None:
    a, b = root.write("a.bin", CONTENT), root.write("b.bin", CONTENT[::-1])
    lock = root.lock("a.bin", "b.bin")
    a.write_bytes(CONTENT[::-1])
    b.write_bytes(CONTENT)
    for name in ("a.bin", "b.bin"):
        assert "differs from models.lock" in refusal(root.path, name, lock)


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))


def _zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _hard_link(path: Path) -> None:
    path.write_bytes(CONTENT)
    os.link(path, path.with_suffix(".other"))


def _outside(path: Path) -> None:
    path.symlink_to("../" * 40 + "etc/passwd")


def _circle(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Path.mkdir, "a directory, not a file"),
        (_fifo, "not a regular file"),
        (_socket, "cannot be read"),
        (_zero, "symbolic link is absolute"),
        (_hard_link, "2 hard links"),
        (_outside, "symbolic link leaves the root"),
        (_circle, "symbolic links run in a circle"),
    ],
)
@pytest.mark.timeout(1)
def test_what_is_not_a_plain_file_is_refused_at_once(
    root: Any, make: Callable[[Path], None], words: str
) -> None:
    file = root.write("a.bin", CONTENT)
    lock = root.lock("a.bin")
    file.unlink()
    make(file)
    message = refusal(root.path, "a.bin", lock)
    assert words in message
    assert message.startswith("a.bin: ")


@pytest.mark.parametrize(
    "path", ["../a", "/etc/passwd", "a\0", "a\udcff", "", ".", "x/../a", "a\n"]
)
def test_names_that_could_mean_something_else_are_refused(root: Any, path: str) -> None:
    root.write("a")
    message = refusal(root.path, path, root.lock("a"))
    assert "path" in message
    assert "to do: name a file below the root; one elsewhere has its own" in message
    assert "\0" not in message
    message.encode()


def test_a_missing_file_says_so_whether_locked_or_not(root: Any) -> None:
    file = root.write("a.bin")
    lock = root.lock("a.bin")
    file.unlink()
    for path in ("a.bin", "b.bin", "x/y"):
        with pytest.raises(ArtifactNotFoundError, match="nothing exists at this path"):
            read_verified(root.path, path, lock)


def test_a_missing_root_says_so(tmp_path: Path) -> None:
    with pytest.raises(ArtifactNotFoundError):
        read_verified(tmp_path / "no", "a", LockFile())


def test_an_unlocked_file_is_refused_and_told_how_to_lock(root: Any) -> None:
    root.write("a.bin")
    os.mkfifo(root.path / "fifo")
    for path in ("a.bin", "fifo"):
        with pytest.raises(ArtifactNotLockedError, match=rf"run `loadonce lock {root.path}`"):
            read_verified(root.path, path, LockFile())


def test_a_file_without_permission_names_the_user(unprivileged: Any) -> None:
    file = unprivileged.write("x/a.bin")
    lock = unprivileged.lock("x/a.bin")
    for secret in (file, file.parent):
        os.chmod(secret, 0o000)
        if os.geteuid() == 0:
            os.seteuid(65534)
        with pytest.raises(ArtifactUnreadableError, match="Permission denied") as caught:
            read_verified(unprivileged.path, "x/a.bin", lock)
        assert f"let user {os.geteuid()} read" in caught.value.hint
        os.seteuid(os.getuid())
        os.chmod(secret, 0o700)


def test_too_few_file_descriptors_are_told_what_to_do_about(root: Any) -> None:
    root.write("a.bin")
    lock = root.lock("a.bin")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(ArtifactUnreadableError, match="Too many open files") as caught:
            read_verified(root.path, "a.bin", lock)
        with pytest.raises(LockFileError, match="ulimit -n"):
            LockFile.read(root.path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "ulimit -n" in caught.value.hint


def test_an_io_error_is_refused(root: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    root.write("a.bin")
    lock = root.lock("a.bin")

    def broken(fd: int, buffers: list[memoryview]) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "readv", broken)
    with pytest.raises(ArtifactUnreadableError, match="Input/output error"):
        read_verified(root.path, "a.bin", lock)


def test_a_file_that_shrinks_while_it_is_read_is_refused(
    root: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = root.write("a.bin", CONTENT)
    lock = root.lock("a.bin")
    real = os.readv

    def shrinking(fd: int, buffers: list[memoryview]) -> int:
        file.write_bytes(CONTENT[:7])
        return real(fd, buffers)

    monkeypatch.setattr(os, "readv", shrinking)
    with pytest.raises(ArtifactCorruptError, match="7 bytes"):
        read_verified(root.path, "a.bin", lock)


def test_a_thousand_races_never_give_unverified_bytes(root: Any) -> None:
    """Another thread replaces and overwrites the file all the time, good and evil in turn."""
    file = root.write("a.bin", CONTENT)
    lock = root.lock("a.bin")
    evil = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    stop = threading.Event()

    def meddle() -> None:
        while not stop.is_set():
            for content in (evil, CONTENT):
                root.write("new", content).replace(file)
            for content in (evil, CONTENT):
                with open(file, "r+b") as same:
                    same.write(content)

    meddler = threading.Thread(target=meddle)
    meddler.start()
    outcomes = {"verified": 0, "refused": 0}
    try:
        for _ in range(1000):
            try:
                source = read_verified(root.path, "a.bin", lock)
            except ArtifactCorruptError:
                outcomes["refused"] += 1
                continue
            assert bytes(source.data) == CONTENT
            source.close()
            outcomes["verified"] += 1
    finally:
        stop.set()
        meddler.join()
    assert min(outcomes.values()) > 0


def test_bytes_do_not_change_under_a_source(root: Any) -> None:
    """The control for the races: what was verified stays, whatever happens to the file."""
    file = root.write("a.bin", CONTENT)
    source = read_verified(root.path, "a.bin", root.lock("a.bin"))
    with open(file, "r+b") as same:
        same.write(bytes(5000))
    file.unlink()
    assert bytes(source.data) == CONTENT
    assert Path(source).read_bytes() == CONTENT
    source.close()


def test_a_half_written_file_is_refused_until_it_is_whole(root: Any) -> None:
    root.write("a.bin", CONTENT)
    lock = root.lock("a.bin")
    root.write("a.bin", CONTENT[:3000])
    assert "found: 3000 bytes" in refusal(root.path, "a.bin", lock)
    root.write("whole", CONTENT).replace(root.path / "a.bin")
    read_verified(root.path, "a.bin", lock).close()


def test_a_directory_is_its_locked_files_and_no_others(root: Any) -> None:
    for name in ("net/model.onnx", "net/x/weights.bin", "other", "net/.hidden"):
        root.write(name, name.encode())
    lock = root.lock("net/model.onnx", "net/x/weights.bin")
    source = read_verified(root.path, "net", lock)
    assert {name: bytes(file.data) for name, file in source.files.items()} == {
        "model.onnx": b"net/model.onnx",
        "x/weights.bin": b"net/x/weights.bin",
    }
    assert source.size == sum(file.size for file in source.files.values())
    source.close()
    root.write("net/extra")
    assert "net/extra: not in models.lock" in refusal(root.path, "net", lock)
    (root.path / "net/extra").unlink()
    (root.path / "net/x/weights.bin").unlink()
    assert "net/x/weights.bin: nothing exists" in refusal(root.path, "net", lock)


def test_several_files_are_one_artifact(root: Any) -> None:
    for name in ("mean.bin", "q05.bin"):
        root.write(name, name.encode())
    lock = root.lock("mean.bin", "q05.bin")
    source = read_verified(root.path, {"q05": "q05.bin", "mean": "mean.bin"}, lock)
    lines = "".join(f"{name}:{source.files[name].sha256}\n" for name in ("mean", "q05"))
    assert source.sha256 == hashlib.sha256(lines.encode()).hexdigest()
    assert source.version == source.sha256[:12]
    assert list(source.files) == ["mean", "q05"]
    source.close()
    root.write("q05.bin", b"changed")
    with pytest.raises(ArtifactCorruptError, match=r"q05\.bin"):
        read_verified(root.path, {"q05": "q05.bin", "mean": "mean.bin"}, lock)


def test_several_files_of_one_declared_version_have_that_version(root: Any) -> None:
    import dataclasses

    lock = root.lock(str(root.write("a").name), str(root.write("b").name))
    for name in ("a", "b"):
        lock = lock.with_entry(dataclasses.replace(lock.entries[name], version="v7"))
    source = read_verified(root.path, {"x": "a", "y": "b"}, lock)
    assert source.version == "v7"
    source.close()


def test_measuring_trusts_nothing_and_locks_nothing(root: Any) -> None:
    root.write("a.bin", CONTENT)
    source = measure(root.path, "a.bin")
    assert (source.entry.size, source.entry.format) == (5000, "")
    source.close()
    with pytest.raises(ArtifactUnreadableError):
        measure(root.path, "../a")


def test_walking_leaves_hidden_files_and_lock_files_out(root: Any) -> None:
    for name in ("models.lock", "b", "a/x", "a/models.lock", ".git/config", "a/.x"):
        root.write(name)
    (root.path / "link").symlink_to("a")
    assert walk_files(root.path) == ["a/x", "b", "link/x"]
    with pytest.raises(ArtifactNotFoundError):
        walk_files(root.path, "no")


def test_walking_in_a_circle_ends(root: Any) -> None:
    (root.path / "a").mkdir()
    (root.path / "a" / "again").symlink_to(".")
    with pytest.raises(ArtifactUnreadableError, match="nested more than 32 deep"):
        walk_files(root.path)


def test_names_that_are_not_utf8_are_refused(root: Any) -> None:
    with open(os.fsencode(root.path) + b"/bad\xff", "wb"):
        pass
    with pytest.raises(ArtifactUnreadableError, match="not valid UTF-8"):
        measure(root.path, walk_files(root.path)[0])
