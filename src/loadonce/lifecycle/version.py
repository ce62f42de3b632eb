"""A version: one loaded object with a state; and the table of moves a state may make."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from loadonce.artifacts import Golden
from loadonce.errors import LoadOnceError, NotReadyError

T = TypeVar("T")

_PLAIN = "/+:@!#$&'*^`|"  # in a label, besides what is plain everywhere


class State(StrEnum):
    """Where a version is in its life. States only move forward."""

    PENDING = "pending"
    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    UNLOADED = "unloaded"
    FAILED = "failed"


_MOVES: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.LOADING}),
    State.LOADING: frozenset({State.READY, State.FAILED}),
    State.READY: frozenset({State.DRAINING, State.FAILED}),
    State.DRAINING: frozenset({State.UNLOADED, State.FAILED}),
    State.UNLOADED: frozenset(),
    State.FAILED: frozenset(),
}


class IllegalMoveError(LoadOnceError):
    """A state was asked to move where the table does not allow: a bug in loadonce itself."""


class Version(Generic[T]):
    """One loaded object.

    Attributes:
        model: the model's name.
        number: 1 for the first load in this process, then 2, 3, ...; internal, unlike `label`.
        label: the version that clients see: declared in the lock file, else the first 12 hex
            digits of the digest; "" for resources.
        sha256: the digest of the verified bytes; "" for resources.
        tag: model and label in one text of visible ASCII; empty until published, and for resources.
        leases: how many requests hold this version now.
        error: why it failed, if it did.
        owner: the process that has the object, if it is another one than this; else 0.
        is_inherited: it was loaded before this process was forked.
        tasks: the kernel's numbers of the threads that began while it was loaded.
    """

    def __init__(self, model: str, number: int, *, label: str = "", sha256: str = "") -> None:
        self.model = model
        self.number = number
        self.label = label
        self.sha256 = sha256
        self.tag = b""
        self.leases = 0
        self.error: LoadOnceError | None = None
        self.is_inherited = False
        self.tasks: frozenset[int] = frozenset()
        self.read_seconds = self.load_seconds = self.warmup_seconds = 0.0
        self.bytes_on_disk = 0
        self.bytes_in_memory = 0
        self.owner = 0
        self.libraries: dict[str, str] = {}
        self.examples: list[tuple[Golden, Any]] = []  # locked, with the object each is about
        self.ended: asyncio.Task[None] | None = None  # of a resource: done once it has been left
        self.close: Callable[[], Awaitable[None]] = _nothing_to_close
        self._state = State.PENDING
        self._box: list[T] = []
        self._on_idle: Callable[[], None] | None = None

    def __repr__(self) -> str:
        name = f"{self.model}@{self.number}"
        leases = f", {self.leases} lease{'s' if self.leases != 1 else ''}"
        reason = f": {self.error}" if self.error else ""
        return f"<Version {name} {self._state.name}{leases if self.leases else ''}{reason}>"

    @property
    def state(self) -> State:
        """The present state."""
        return self._state

    @property
    def value(self) -> T:
        """The loaded object.

        Raises:
            NotReadyError: it is not loaded yet, or not any more.
        """
        if not self._box:
            raise NotReadyError(self.model, f"this version is {self._state}", retry_after=1.0)
        return self._box[0]

    def move(self, to: State) -> None:
        """Change the state along the table.

        Raises:
            IllegalMoveError: the table has no such move.
        """
        if to not in _MOVES[self._state]:
            raise IllegalMoveError(f"{self!r} cannot become {to.name}")
        self._state = to

    def publish(self, value: T) -> None:
        """Become READY with `value`."""
        self._box.append(value)
        self.tag = (
            f"{quote(self.model)}={quote(self.label, _PLAIN)}".encode() if self.label else b""
        )
        self.move(State.READY)

    def fail(self, error: LoadOnceError) -> None:
        """Become FAILED for this reason."""
        self.error = error
        self.move(State.FAILED)

    def take(self) -> list[T]:
        """Give up the object, in the only list that still holds it, so that the caller decides on
        which thread its destructor runs."""
        box, self._box = self._box, []
        return box

    def lease(self) -> None:
        """One more request holds this version."""
        self.leases += 1

    def release(self) -> None:
        """One request less; the last one wakes whoever waits for the version to be idle."""
        self.leases -= 1
        if not self.leases and self._on_idle is not None:
            self._on_idle()

    def when_idle(self, wake: Callable[[], None]) -> None:
        """Call `wake` once no request holds this version; at once if none does now."""
        self._on_idle = wake
        if not self.leases:
            wake()


async def _nothing_to_close() -> None:
    """Until a loader or a resource says how."""
