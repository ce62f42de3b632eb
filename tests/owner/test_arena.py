"""Blocks of shared memory: never two in one place, and all given back."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loadonce.owner.arena import Arena, Blocks


@given(st.lists(st.one_of(st.integers(0, 40_000), st.integers(-9, -1))))
def test_blocks_never_overlap_and_all_come_back(steps: list[int]) -> None:
    blocks = Blocks(2**18)
    held: list[tuple[int, int]] = []
    for step in steps:
        if step >= 0:
            offset = blocks.reserve(step)
            if offset is not None:
                for start, size in held:
                    assert offset >= start + size or offset + step <= start
                held.append((offset, max(step, 1)))
        elif held:
            blocks.release(held.pop(step % len(held))[0])
        assert len(blocks) == len(held)
    for offset, _size in held:
        blocks.release(offset)
    assert blocks.reserve(2**18) == 0


def test_what_does_not_fit_is_refused() -> None:
    blocks = Blocks(2**14)
    assert blocks.reserve(2**14 + 1) is None
    assert blocks.reserve(2**14) == 0
    assert blocks.reserve(1) is None


def test_both_sides_see_the_same_memory_and_a_block_is_the_readers_until_nobody_has_it() -> None:
    writer, descriptor = Arena.pair()
    reader = Arena(descriptor)
    reserved = writer.reserve(5)
    assert reserved is not None
    reserved[1][:] = b"hello"
    assert bytes(reader.read(reserved[0], 5)) == b"hello"
    done: list[int] = []
    array = reader.borrow(reserved[0], 5, done.append)
    part = array.view("S1").reshape(5)[1:3]
    del array
    assert part.tolist() == [b"e", b"l"]
    assert done == []
    del part
    gc.collect()
    assert done == [reserved[0]]


def test_an_array_outlives_its_arena() -> None:
    writer, descriptor = Arena.pair()
    reader = Arena(descriptor)
    reserved = writer.reserve(3)
    assert reserved is not None
    reserved[1][:] = b"abc"
    array = reader.borrow(reserved[0], 3, lambda _offset: None)
    del writer, reader, reserved
    gc.collect()
    assert bytes(array) == b"abc"


def test_memory_that_was_needed_once_is_given_back() -> None:
    writer, descriptor = Arena.pair()
    size = 64 * 2**20
    reserved = writer.reserve(size)
    assert reserved is not None
    np.frombuffer(reserved[1], np.uint8)[:] = 1
    assert os.stat(descriptor).st_blocks * 512 >= size
    writer.release(reserved[0])
    assert os.stat(descriptor).st_blocks * 512 < size // 3
    os.close(descriptor)


def test_descriptors_go_with_the_arenas() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        _writer, descriptor = Arena.pair()
        Arena(descriptor)
    del _writer
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
