"""A page: what is read was written whole."""

from __future__ import annotations

import mmap
import os
import signal

import pytest

from loadonce.system.page import Page


def page_of(size: int = 4096) -> Page:
    return Page(memoryview(mmap.mmap(-1, size)))


def test_the_newest_text_is_read() -> None:
    page = page_of()
    assert page.read() == b""
    for text in (b"first", b"second, longer", b""):
        assert page.write(text)
        assert page.read() == text


def test_a_text_that_does_not_fit_changes_nothing() -> None:
    page = page_of(64)
    assert page.write(b"x" * 20)
    assert not page.write(b"x" * 21)
    assert page.read() == b"x" * 20


def test_a_reader_never_sees_half_of_a_text_while_another_process_writes() -> None:
    page = page_of(2**20)
    page.write(b"0" * 400_000)
    writer = os.fork()
    if writer == 0:
        while True:
            for digit in b"0123456789":
                page.write(bytes([digit]) * 400_000)
    try:
        seen: set[int] = set()
        while len(seen) < 5:
            text = page.read()
            assert len(text) == 400_000
            assert len(set(text)) == 1
            seen.add(text[0])
    finally:
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
    assert len(set(page.read())) == 1  # wherever the end found it


@pytest.mark.parametrize("is_written", [True, False])
def test_a_text_replaced_while_it_is_copied_is_read_again(is_written: bool) -> None:
    page = page_of()
    page.write(b"old")
    halves = page._halves

    class Slow:
        """A half that is replaced, twice, when its length was read and before its text is."""

        def __getitem__(self, part: slice) -> bytes:
            if part.start:
                page._halves = halves
                if is_written:
                    page.write(b"other")
                    page.write(b"newer")
            return bytes(halves[page._turn[0] % 2][part])

    page._halves = (Slow(), Slow())  # type: ignore[assignment]
    assert page.read() == (b"newer" if is_written else b"old")
