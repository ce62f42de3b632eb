"""The lifecycle as a state machine: whatever happens in whatever order, its promises hold."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings, stateful
from hypothesis import strategies as st
from hypothesis.internal.conjecture import engine
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from loadonce import (
    FailedError,
    Handle,
    LoadOnceError,
    Model,
    NotReadyError,
    NotRunningError,
    Registry,
    Source,
    State,
    artifact,
    lock_directory,
    resource,
)
from loadonce.lifecycle.manager import Manager
from loadonce.lifecycle.opened import Entries
from loadonce.lifecycle.slot import Slot

R = TypeVar("R")

_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # a disk takes 2 ms for each file


class Loaded:
    """What was loaded, and whether it has been closed."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.is_closed = False


def load(source: Source) -> Loaded:
    text = bytes(source.data).decode()
    if text.startswith("bad"):
        raise ValueError("bad")
    return Loaded(text)


def close(loaded: Loaded) -> None:
    assert not loaded.is_closed
    loaded.is_closed = True


class Models(Registry):
    # What is held is closed after this all the same; long lives take longer than the default.
    a: Model[Loaded] = artifact("a.bin", loader=load, close=close, drain_timeout=3600.0)
    made: Model[list[Loaded]] = resource(lambda loaded: _wrapped(loaded), a)


def _wrapped(loaded: Loaded) -> Iterator[list[Loaded]]:
    assert not loaded.is_closed
    yield [loaded]


class Lifecycle(RuleBasedStateMachine):
    """Starts, stops, reloads, fails, leases and overrides in any order."""

    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.root = Path(tempfile.mkdtemp(dir=_MEMORY))
        self.models = Models(root=self.root)
        self.running: ExitStack | None = None
        self.on_disk = ""
        self.serving: str | None = None
        self.held: dict[int, tuple[Handle[Loaded], Loaded]] = {}
        self.overrides: list[AbstractContextManager[None]] = []
        self.seen: list[Loaded] = []

    def do(self, coroutine: Coroutine[Any, Any, R]) -> R:
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 10))

    @initialize()
    def first_artifact(self) -> None:
        self.write("v0")

    @rule(text=st.sampled_from(["v1", "v2", "v3", "bad1"]))
    def write(self, text: str) -> None:
        (self.root / "a.bin").write_text(text)
        lock_directory(self.root)
        self.on_disk = text

    @rule()
    def damage(self) -> None:
        (self.root / "a.bin").write_text("unlocked bytes")
        self.on_disk = "bad: damaged"

    @precondition(lambda self: self.serving is None)
    @rule()
    def start(self) -> None:
        self.entered = self.models.running()
        if self.on_disk.startswith("bad") and not self.overrides:
            with pytest.raises(LoadOnceError):
                self.do(self.entered.__aenter__())
        else:
            self.do(self.entered.__aenter__())
            self.serving = self.on_disk if not self.overrides else "nothing"

    @precondition(lambda self: self.serving is not None and not self.held)
    @rule()
    def stop(self) -> None:
        self.do(self.entered.__aexit__(None, None, None))
        self.serving = None

    @precondition(lambda self: self.serving is not None)
    @rule()
    def reload(self) -> None:
        if self.on_disk.startswith("bad"):
            with pytest.raises(LoadOnceError):
                self.do(self.models.a.reload())
        else:
            self.do(self.models.a.reload())
            self.serving = self.on_disk

    @rule(target=leases, key=st.integers())
    def lease(self, key: int) -> int:
        if key in self.held:
            return key
        try:
            handle = self.do(self.models.a.lease().__aenter__())
        except (NotRunningError, NotReadyError, FailedError):  # the last: a reload of nothing
            assert self.serving in (None, "nothing")
            assert not self.overrides
            return key
        value = handle.value
        assert value.text == ("stub" if self.overrides else self.serving)
        self.held[key] = (handle, value)
        if not self.overrides:
            self.seen.append(value)
        return key

    @rule(key=consumes(leases))
    def release(self, key: int) -> None:
        if key in self.held:
            handle, value = self.held.pop(key)
            assert handle.value is value
            handle.release()

    @precondition(lambda self: self.serving is not None)
    @rule()
    def infer(self) -> None:
        for handle, value in self.held.values():
            assert self.do(handle.run(lambda loaded: loaded.text)) == value.text

    @rule()
    def override(self) -> None:
        override = self.models.a.override(Loaded("stub"))
        override.__enter__()
        self.overrides.append(override)

    @precondition(lambda self: self.overrides)
    @rule()
    def end_override(self) -> None:
        self.overrides.pop().__exit__(None, None, None)

    @invariant()
    def what_is_held_is_whole(self) -> None:
        for handle, value in self.held.values():
            assert handle.value is value
            assert not value.is_closed

    @invariant()
    def what_serves_is_ready_and_open(self) -> None:
        slot = self.models.a.slot
        if slot.current is not None:
            assert slot.current.state is State.READY
            assert not slot.current.value.is_closed
        assert slot.statistics.in_flight == 0

    @invariant()
    def readiness_is_derived(self) -> None:
        expected = self.serving is not None and self.models.a.state is State.READY
        assert self.models.readiness().is_ready == (
            expected and self.models.made.state is State.READY
        )

    def teardown(self) -> None:
        for handle, _value in self.held.values():
            handle.release()
        for override in reversed(self.overrides):
            override.__exit__(None, None, None)
        if self.serving is not None:
            self.do(self.entered.__aexit__(None, None, None))
        self.do(asyncio.sleep(0))
        assert all(value.is_closed for value in self.seen)
        self.loop.close()
        shutil.rmtree(self.root)


TestLifecycle = pytest.mark.timeout(120)(Lifecycle.TestCase)
TestLifecycle.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    suppress_health_check=[HealthCheck.too_slow],
)


_LIVES = 100
_STEPS = 2000


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_long_lives_keep_the_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for longer: a server that lives for months."""
    # Each of its collections would walk all that Hypothesis remembers.
    monkeypatch.setenv("LOADONCE_FREEZE", "false")
    # Hypothesis draws some 11 numbers for a step, and without a word ends a life after 6,500.
    for module in (engine, stateful):
        monkeypatch.setattr(module, "BUFFER_SIZE", 32 * _STEPS)
    steps = Counter[str]()

    class LongLifecycle(Lifecycle):
        @invariant()
        def count(self) -> None:
            steps["taken"] += 1

    long = settings(
        TestLifecycle.settings,
        max_examples=_LIVES,
        stateful_step_count=_STEPS,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(LongLifecycle, settings=long)
    print(f"{steps['taken']} steps")
    assert steps["taken"] > 0.9 * _LIVES * _STEPS  # one in 2**16 is the last of a life


async def _wait_for_no_lease(entries: Entries) -> None:
    """As `_wait_for_leases`, without a look at them."""


async def _reload_first_closing(manager: Manager, slot: Slot[Any]) -> None:
    """As `Manager._reload` does, the wrong way round."""
    if slot.current is not None:
        await slot.current.close()
    await _RELOAD(manager, slot)


_RELOAD = Manager._reload


@pytest.mark.parametrize("fault", ["order", pytest.param("leases", marks=pytest.mark.nightly)])
@pytest.mark.timeout(300)
def test_a_fault_of_the_lifecycle_is_found(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """The control. It takes 1 to 240 lives, and another number after each change of the code, whose
    constants Hypothesis tries."""
    monkeypatch.setenv("LOADONCE_FREEZE", "false")
    if fault == "leases":
        monkeypatch.setattr("loadonce.lifecycle.opened._wait_for_leases", _wait_for_no_lease)
    else:
        monkeypatch.setattr(Manager, "_reload", _reload_first_closing)
    chosen = settings(
        TestLifecycle.settings,
        max_examples=2000,
        report_multiple_bugs=False,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
    )
    with pytest.raises((AssertionError, LoadOnceError)):
        run_state_machine_as_test(Lifecycle, settings=chosen)
