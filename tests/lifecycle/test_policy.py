"""Policies: the probes' truth table, back-off, memory, as plain values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadonce import State
from loadonce.lifecycle.policy import ModelState, back_off, memory_refusal, readiness


def model(
    state: State, *, required: bool = True, when: str = "startup", asked: bool = True
) -> ModelState:
    return ModelState("m", state, required, when, asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("models", "running", "draining", "expected"),
    [
        ([], True, False, (True, True, False)),
        ([], False, False, (False, False, False)),
        ([model(State.READY)], True, False, (True, True, False)),
        ([model(State.READY)], True, True, (True, False, False)),
        ([model(State.LOADING)], True, False, (False, False, False)),
        ([model(State.FAILED)], True, False, (False, False, False)),
        ([model(State.FAILED, required=False)], True, False, (True, True, True)),
        ([model(State.LOADING, when="background")], True, False, (False, False, False)),
        ([model(State.LOADING, when="background", required=False)], True, False, (1, 1, 1)),
        ([model(State.PENDING, when="first_use", asked=False)], True, False, (1, 1, 0)),
        ([model(State.LOADING, when="first_use", asked=True)], True, False, (0, 0, 0)),
        ([model(State.FAILED, required=False, when="first_use")], True, False, (1, 1, 1)),
        ([model(State.READY), model(State.FAILED, required=False)], True, True, (1, 0, 0)),
    ],
)
def test_readiness(
    models: list[ModelState], running: bool, draining: bool, expected: tuple[bool, bool, bool]
) -> None:
    named = [replace(each, name=f"m{i}") for i, each in enumerate(models)]
    found = readiness(named, is_running=running, is_draining=draining)
    assert (found.is_started, found.is_ready, found.is_degraded) == tuple(map(bool, expected))
    assert found.states == {each.name: each.state.value for each in named}


def test_back_off_doubles_and_is_bounded() -> None:
    assert [back_off(n) for n in (1, 2, 3, 7, 1000)] == [1, 2, 4, 60, 60]


def test_what_fits_is_not_refused() -> None:
    assert memory_refusal([("a", 10), ("b", 20)], 30) == ""
    assert memory_refusal([("a", 10)], None) == ""


def test_a_refusal_names_the_figures_largest_first() -> None:
    refusal = memory_refusal([("a", 1024), ("b", 3 * 1024**2), ("c", 0)], 2 * 1024**2)
    assert refusal == ("about 3.0 MiB needed (b 3.0 MiB, a 1.0 KiB), 2.0 MiB available")
