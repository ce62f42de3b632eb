"""Collection pauses while a pickle is loaded and goes on afterwards."""

from __future__ import annotations

import gc
import threading

import pytest

from loadonce.observe import collection


def test_collection_is_off_inside_and_on_again_outside() -> None:
    assert gc.isenabled()
    with collection.paused():
        assert not gc.isenabled()
        with collection.paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_goes_on_after_an_error() -> None:
    with pytest.raises(KeyError), collection.paused():
        raise KeyError
    assert gc.isenabled()


def test_a_program_without_collection_is_left_without() -> None:
    gc.disable()
    try:
        with collection.paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_pauses_of_several_threads_end_together() -> None:
    inside, leave = threading.Event(), threading.Event()

    def pause() -> None:
        with collection.paused():
            inside.set()
            leave.wait(5)

    other = threading.Thread(target=pause)
    other.start()
    inside.wait(5)
    with collection.paused():
        pass
    assert not gc.isenabled()
    leave.set()
    other.join()
    assert gc.isenabled()


def test_millions_of_new_objects_are_not_walked_at_the_end() -> None:
    gc.unfreeze()
    with collection.paused():
        made: list[list[object]] = [[] for _ in range(200_000)]
    assert gc.get_freeze_count() >= len(made)
    gc.unfreeze()
    with collection.paused():
        few: list[list[object]] = [[] for _ in range(10)]
    assert gc.get_freeze_count() == 0
    assert len(few) == 10
