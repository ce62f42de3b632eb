"""The reader is a file like any other, and lets other threads run between its chunks."""

from __future__ import annotations

import gc
import io
import pickle
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadonce.artifacts.reader import Reader

operations = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.none() | st.integers(-1, 50)),
        st.tuples(st.just("read1"), st.integers(-1, 50)),
        st.tuples(st.just("readline"), st.none() | st.integers(-1, 50)),
        st.tuples(st.just("seek"), st.integers(0, 120)),
    ),
    max_size=12,
)


@given(
    content=st.binary(max_size=100) | st.lists(st.sampled_from([b"\n", b"ab"])).map(b"".join),
    script=operations,
)
def test_it_reads_like_a_file_in_memory(content: bytes, script: list[tuple[str, int]]) -> None:
    ours, theirs = Reader(memoryview(content)), io.BytesIO(content)
    for name, argument in script:
        assert getattr(ours, name)(argument) == getattr(theirs, name)(argument)
        assert ours.tell() == theirs.tell()


def test_it_seeks_from_all_three_places() -> None:
    reader = Reader(memoryview(b"0123456789"))
    assert reader.readable()
    assert reader.seekable()
    assert reader.seek(2) == 2
    assert reader.seek(3, io.SEEK_CUR) == 5
    assert reader.seek(-1, io.SEEK_END) == 9
    assert reader.read() == b"9"
    with pytest.raises(ValueError, match="before the beginning"):
        reader.seek(-11, io.SEEK_END)


def test_it_reads_into_buffers_of_any_kind() -> None:
    content = bytes(range(256)) * 10_000
    reader = Reader(memoryview(content))
    target = bytearray(len(content) + 5)
    assert reader.readinto(target) == len(content)
    assert target[: len(content)] == content
    assert reader.readinto1(target) == 0
    reader.seek(len(content) + 10)
    assert reader.readinto(target) == 0


def test_peek_looks_without_moving_and_in_small_pieces() -> None:
    reader = Reader(memoryview(bytes(10**6)))
    assert len(reader.peek(10**6)) == 2**15
    assert len(reader.peek()) == 1
    assert reader.tell() == 0


def test_lines_longer_than_a_piece_come_whole() -> None:
    content = b"x" * 100_000 + b"\n" + b"y" * 70_000
    reader = Reader(memoryview(content))
    assert reader.readlines() == content.splitlines(keepends=True)


def longest_silence(load: Callable[[], object]) -> float:
    """How long another thread had to wait for the interpreter while `load` ran, in seconds."""
    done = threading.Event()
    kept: list[object] = []

    def work() -> None:
        kept.append(load())
        done.set()

    worker = threading.Thread(target=work)
    worst, last = 0.0, time.perf_counter()
    worker.start()
    while not done.is_set():
        time.sleep(0.001)
        worst, last = max(worst, time.perf_counter() - last), time.perf_counter()
    worker.join()
    return max(worst, time.perf_counter() - last)


@pytest.fixture
def _no_gc_callbacks() -> Iterator[None]:
    """Hypothesis has one, in Python: each collection would let other threads run."""
    callbacks = gc.callbacks[:]
    gc.callbacks.clear()
    yield
    gc.callbacks.extend(callbacks)


@pytest.mark.usefixtures("_no_gc_callbacks")
def test_a_million_small_objects_do_not_silence_other_threads() -> None:
    """Read from bytes they do: the control. The reader's worst pause is a small part of that."""
    content = pickle.dumps([{"a": number, "b": 0.5} for number in range(500_000)])
    silenced = min(longest_silence(lambda: pickle.loads(content)) for _ in range(3))
    paced = min(
        longest_silence(lambda: pickle.Unpickler(Reader(memoryview(content))).load())
        for _ in range(3)
    )
    assert paced < silenced / 2
