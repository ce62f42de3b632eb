"""New objects do not lie between old ones once the gaps are filled."""

from __future__ import annotations

import sys

import pytest

from loadonce.observe import gaps
from loadonce.observe.gaps import fill_gaps

_SIZE = 400  # bytes that few other objects have


def pool_of(value: object) -> int:
    return id(value) // 2**14


def new_objects(count: int) -> list[bytes]:
    return [bytes(_SIZE - 33) for _ in range(count)]


@pytest.fixture
def kept() -> list[bytes]:
    """Objects with gaps between them."""
    objects = new_objects(1000)
    del objects[::2]
    return objects


def test_new_objects_lie_elsewhere_once_the_gaps_are_filled(kept: list[bytes]) -> None:
    fillers = fill_gaps()
    old = {pool_of(each) for each in kept}
    assert sum(pool_of(each) in old for each in new_objects(300)) < 50
    assert sum(map(sys.getsizeof, fillers)) > 400 * _SIZE


def test_without_that_they_lie_between_the_old_ones(kept: list[bytes]) -> None:
    """The control."""
    old = {pool_of(each) for each in kept}
    assert sum(pool_of(each) in old for each in new_objects(300)) > 200


def test_an_allocator_without_pools_gets_no_more_than_it_is_asked_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gaps, "_block", lambda _size: bytes(2**15))  # each in a place of its own
    monkeypatch.setattr(gaps, "_SIZES", range(512, 513))
    monkeypatch.setattr(gaps, "_MOST", 2)
    assert len(fill_gaps()) == 2 * gaps._AT_ONCE * gaps._POOL // 512
