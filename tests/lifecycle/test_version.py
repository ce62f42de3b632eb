"""A version: states only move forward along the table, whatever is tried."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadonce import State
from loadonce.errors import LoadOnceError, NotReadyError
from loadonce.lifecycle.version import IllegalMoveError, Version

ALLOWED = {
    (State.PENDING, State.LOADING),
    (State.LOADING, State.READY),
    (State.LOADING, State.FAILED),
    (State.READY, State.DRAINING),
    (State.READY, State.FAILED),
    (State.DRAINING, State.UNLOADED),
    (State.DRAINING, State.FAILED),
}


@given(st.lists(st.sampled_from(State), max_size=12))
def test_only_the_table_s_moves_happen(wanted: list[State]) -> None:
    version: Version[str] = Version("m", 1)
    for to in wanted:
        before = version.state
        if (before, to) in ALLOWED:
            version.move(to)
            assert version.state is to
        else:
            with pytest.raises(IllegalMoveError):
                version.move(to)
            assert version.state is before


def test_the_object_is_there_from_ready_until_it_is_taken() -> None:
    version: Version[str] = Version("m", 1)
    with pytest.raises(NotReadyError, match="pending"):
        _ = version.value
    version.move(State.LOADING)
    version.publish("object")
    assert version.value == "object"
    version.move(State.DRAINING)
    assert version.value == "object"
    assert version.take() == ["object"]
    with pytest.raises(NotReadyError):
        _ = version.value


def test_the_last_lease_wakes_who_waits() -> None:
    version: Version[str] = Version("m", 1)
    version.lease()
    version.lease()
    woken: list[bool] = []
    version.when_idle(lambda: woken.append(True))
    version.release()
    assert not woken
    version.release()
    assert woken == [True]
    version.when_idle(lambda: woken.append(True))
    assert woken == [True, True]


def test_repr_tells_number_state_leases_and_reason() -> None:
    version: Version[str] = Version("diabetes", 2)
    version.move(State.LOADING)
    version.publish("object")
    assert repr(version) == "<Version diabetes@2 READY>"
    version.lease()
    assert repr(version) == "<Version diabetes@2 READY, 1 lease>"
    version.lease()
    assert repr(version) == "<Version diabetes@2 READY, 2 leases>"
    failed: Version[str] = Version("diabetes", 3)
    failed.move(State.LOADING)
    failed.fail(LoadOnceError("no"))
    assert repr(failed) == "<Version diabetes@3 FAILED: no>"
