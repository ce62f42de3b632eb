"""What was read cannot change: not through the view, not through the path, not by anyone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from loadonce.artifacts.buffer import SealedBuffer


def reading(content: bytes, at_a_time: int = 3) -> Callable[[memoryview], int]:
    rest = bytearray(content)

    def read_into(target: memoryview) -> int:
        piece = bytes(rest[: min(at_a_time, len(target))])
        del rest[: len(piece)]
        target[: len(piece)] = piece
        return len(piece)

    return read_into


@pytest.fixture(params=["memfd", "without memfd"])
def _platform(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "memfd":
        monkeypatch.delattr(os, "memfd_create")


@pytest.mark.usefixtures("_platform", "open_fds")
def test_view_and_path_show_what_was_read() -> None:
    buffer = SealedBuffer.fill(10, reading(b"0123456789"))
    assert bytes(buffer.view) == b"0123456789"
    assert buffer.view.readonly
    assert Path(buffer.path).read_bytes() == b"0123456789"
    path = buffer.path
    assert path == buffer.path
    buffer.close()
    buffer.close()
    assert not os.path.exists(path)


@pytest.mark.usefixtures("_platform", "open_fds")
@pytest.mark.parametrize("content", [b"", b"01234"])
def test_a_short_file_gives_a_short_view(content: bytes) -> None:
    buffer = SealedBuffer.fill(10 if content else 0, reading(content))
    assert bytes(buffer.view) == content
    assert Path(buffer.path).read_bytes().rstrip(b"\0") == content
    buffer.close()


@pytest.mark.usefixtures("_platform", "open_fds")
def test_a_failed_read_leaves_nothing_open() -> None:
    def fail(target: memoryview) -> int:
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        SealedBuffer.fill(10, fail)


def test_not_even_the_owner_can_write_to_it() -> None:
    buffer = SealedBuffer.fill(10, reading(b"0123456789"))
    for flags in (os.O_WRONLY, os.O_RDWR):
        fd = os.open(buffer.path, flags)
        with pytest.raises(PermissionError):
            os.write(fd, b"x")
        with pytest.raises(PermissionError):
            os.ftruncate(fd, 0)
        os.close(fd)
    buffer.close()


def test_a_temporary_file_is_private(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    buffer = SealedBuffer.fill(1, reading(b"x"))
    assert os.stat(buffer.path).st_mode & 0o777 == 0o600
    buffer.close()


@pytest.mark.usefixtures("open_fds")
def test_a_forgotten_buffer_closes_itself() -> None:
    SealedBuffer.fill(1, reading(b"x"))


def test_memory_outlives_the_buffer_for_whoever_still_looks_into_it() -> None:
    buffer = SealedBuffer.fill(10, reading(b"0123456789"))
    inner = memoryview(buffer.view)[3:5]
    buffer.close()
    assert bytes(inner) == b"34"
