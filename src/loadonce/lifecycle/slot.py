"""A slot: where one model of one registry keeps its versions, its engine and its counters."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, get_args, get_type_hints

from loadonce.errors import (
    FailedError,
    LoadOnceError,
    NotReadyError,
    NotRunningError,
    QuarantinedError,
)
from loadonce.inference import Engine
from loadonce.inference.marking import Mark
from loadonce.observe.statistics import CallStatistics
from loadonce.system.linux import is_linux

from .declaration import Declaration, ResourceOrigin, When
from .policy import ModelState
from .version import State, Version

if TYPE_CHECKING:
    from loadonce.owner.door import Door

T = TypeVar("T")

logger = logging.getLogger("loadonce")

_SOON = 1.0  # seconds a client is told to wait for a model that is loading


class Running(Protocol):
    """What a slot and its handles ask of the manager that runs them."""

    loop: asyncio.AbstractEventLoop
    is_stopping: bool
    native_threads: int

    async def ask_for(self, slot: Slot[Any]) -> None: ...
    async def reload(self, slot: Slot[Any]) -> None: ...
    def withdraw(self, slot: Slot[Any]) -> None: ...


class Slot(Generic[T]):
    """The named place that points at a model's current version.

    Only the manager changes versions; requests take and give back leases.
    """

    def __init__(
        self,
        name: str,
        registry: type,
        declaration: Declaration,
        needs: Sequence[Slot[Any]] = (),
    ) -> None:
        self.name = name
        self.registry_name = registry.__name__
        self.declaration = declaration
        self.needs = tuple(needs)
        self._registry = registry
        self.statistics = CallStatistics()
        self.manager: Running | None = None
        self.engine: Engine | None = None
        self.current: Version[T] | None = None
        self.inherited: Version[T] | None = None  # loaded before the fork, not adopted yet
        self.door: Door | None = None  # to the process that has the object
        self.renewal: asyncio.Task[None] | None = None
        self.has_newer = False  # that process has a newer version than the one that serves here
        self.is_lost = False  # it served, and ended by itself
        # Who reloads for several processes; awaited, with the model's name, instead of reloading.
        self.reload_elsewhere: Callable[[str], Awaitable[None]] | None = None
        # Called before somebody is asked for at the door: starts who answers if that was killed.
        self.before_knock: Callable[[], None] | None = None
        # Called while somebody waits at the door: ends who should answer if that is stuck.
        self.while_waiting: Callable[[], None] = _nothing
        # Called before a reload asks at the door: who answers reads the lock file anew.
        self.trust_anew: Callable[[], None] = _nothing
        # Told the digest of a version that the model's own process does not serve any more.
        self.on_quarantine: Callable[[str], None] = _nobody
        self.is_expected = False  # others serve it: so must this process, from its start on
        self.formats: dict[str, str] = {}  # by path, as last read from the lock file
        self.unshared = ""  # why what was loaded before the fork is not used after it
        self.attempt: asyncio.Task[None] | None = None
        self.latest: Version[T] | None = None  # the newest version made, whatever became of it
        self.failures = 0
        self.retry_at: float | None = None
        self.retry_timer: asyncio.TimerHandle | None = None
        self.has_been_asked_for = declaration.when != "first_use"
        self.quarantined: set[str] = set()  # digests of versions that must not serve
        self.mark: Mark | None = None  # where its calls are marked, for the next engine
        self._number = 0
        self._overrides: list[Version[T]] = []

    def __repr__(self) -> str:
        return f"<Slot {self.registry_name}.{self.name} {self.state.name}>"

    @property
    def home(self) -> tuple[str, str]:
        """The module and the qualified name of the class that declares it."""
        return self._registry.__module__, self._registry.__qualname__

    @property
    def is_resource(self) -> bool:
        """Whether it comes from a factory, not from an artifact."""
        return isinstance(self.declaration.origin, ResourceOrigin)

    @property
    def is_owned(self) -> bool:
        """Whether a process of its own has the object, where there are such processes."""
        return self.declaration.placement == "process" and is_linux()

    @property
    def is_read_here(self) -> bool:
        """Whether this process, or one that it was forked from, reads its artifact."""
        return not (self.is_resource or self.is_owned)

    @property
    def when(self) -> When:
        """When it loads in this process: as declared, unless others serve it already."""
        return "startup" if self.is_expected else self.declaration.when

    @property
    def serving(self) -> Version[T] | None:
        """The version new requests get: the innermost override, else the current one."""
        return self._overrides[-1] if self._overrides else self.current

    @property
    def is_overridden(self) -> bool:
        """Whether a test has put its own object here."""
        return bool(self._overrides)

    @property
    def state(self) -> State:
        """READY if something serves, else the state of the newest attempt."""
        if self.serving is not None:
            return self.serving.state
        return self.latest.state if self.latest is not None else State.PENDING

    @property
    def error(self) -> LoadOnceError | None:
        """Why the newest attempt failed, even while an older version serves; None if it did not."""
        return self.latest.error if self.latest is not None else None

    @property
    def is_required(self) -> bool:
        """Whether the app is not ready without it: declared so, and not in quarantine."""
        return self.declaration.required and not isinstance(self.error, QuarantinedError)

    def declared_type(self) -> object:
        """The `T` of `name: Model[T]` in the registry's class; `object` where it cannot be told
        (no annotation, or a name that exists for type checkers only)."""
        try:
            hint = _annotation(self._registry, self.name)
        except Exception:
            logger.debug("the annotation of %r cannot be evaluated", self)
            return object
        arguments = get_args(hint)
        return arguments[0] if arguments else object

    def model_state(self) -> ModelState:
        """This model, as far as readiness goes."""
        return ModelState(
            name=self.name,
            state=self.state,
            required=self.is_required,
            when=self.declaration.when,
            has_been_asked_for=self.has_been_asked_for,
        )

    def leave(self) -> None:
        """Nobody will be asked for at its door any more."""
        if self.door is not None:
            self.door.close()
            self.door = None

    def twin(self, declaration: Declaration) -> Slot[T]:
        """A slot for the same model, declared otherwise, that nothing has happened to."""
        return Slot(self.name, self._registry, declaration)

    def next_version(self) -> Version[T]:
        """A new PENDING version; or, once, the READY one that was loaded before the fork."""
        if self.inherited is not None:
            self.latest, self.inherited = self.inherited, None
            return self.latest
        self._number += 1
        self.latest = Version(self.name, self._number)
        return self.latest

    def acquire(self) -> Version[T]:
        """Take a lease on the version that serves.

        Raises:
            NotRunningError: the registry is not running.
            NotReadyError: still loading, or shutting down.
            FailedError: failed to load.
        """
        version = self.serving
        if version is None:
            raise self.unavailable()
        version.lease()
        return version

    def unavailable(self) -> LoadOnceError:
        """Why nothing serves, as the error a request gets."""
        if self.manager is None:
            return NotRunningError(self.name, self.registry_name)
        if self.manager.is_stopping:
            return NotReadyError(self.name, "the server is shutting down", retry_after=_SOON)
        if isinstance(self.error, QuarantinedError):
            return QuarantinedError(self.name, self.error.sha256)
        if self.state is State.FAILED:
            now = self.manager.loop.time()
            wait = None if self.retry_at is None else max(1.0, self.retry_at - now)
            return FailedError(self.name, "the model failed to load", retry_after=wait)
        return NotReadyError(self.name, f"the model is {self.state}", retry_after=_SOON)

    def refuse_quarantined(self, sha256: str) -> None:
        """Go no further with a version that must not serve.

        Raises:
            QuarantinedError: it must not.
        """
        if sha256 in self.quarantined:
            raise QuarantinedError(self.name, sha256)

    def begin(self, manager: Running) -> None:
        """The registry starts: nothing of an earlier run counts, calls have an engine."""
        self.manager = manager
        self.latest = None
        self.failures = 0
        self.retry_at = None
        self.has_been_asked_for = self.when != "first_use"
        declared = self.declaration
        self.engine = Engine(
            self.name,
            self.statistics,
            placement=declared.place,
            threads=declared.threads,
            max_batch_size=declared.max_batch_size,
            max_wait=declared.max_wait,
            batch_cost=declared.batch_cost,
            max_queue=declared.max_queue,
            timeout=declared.timeout,
            native_threads=manager.native_threads,
            mark=self.mark,
        )

    def cancel_retry(self) -> None:
        """No load is planned any more."""
        if self.retry_timer is not None:
            self.retry_timer.cancel()
            self.retry_timer = None

    async def end(self) -> None:
        """The registry has stopped: refuse what still comes."""
        self.cancel_retry()
        assert self.engine is not None
        await self.engine.close()
        self.engine = None
        self.manager = None
        self.attempt = None

    def running_engine(self) -> Engine:
        """The engine; one that runs inline for an overridden model of a registry not running."""
        if self.engine is None:
            return Engine(self.name, self.statistics, placement="inline")
        return self.engine

    @contextmanager
    def override(self, value: Any) -> Iterator[None]:
        """Serve `value` instead while the block runs; blocks nest."""
        version: Version[T] = Version(self.name, 0, label="override")
        version.move(State.LOADING)
        version.publish(value)
        self._overrides.append(version)
        self._forget_costs()
        try:
            yield
        finally:
            self._overrides.remove(version)
            self._forget_costs()

    def _forget_costs(self) -> None:
        """A slow stub is not to run on the loop because the quick one before it did."""
        if self.engine is not None:
            self.engine.forget_costs()


def dependents(slot: Slot[Any], slots: Sequence[Slot[Any]]) -> list[Slot[Any]]:
    """Loaded resources made from this model, directly or not, in the order of declaration."""
    found: list[Slot[Any]] = []
    for other in slots:
        if other.current is not None and any(need in (slot, *found) for need in other.needs):
            found.append(other)
    return found


def _nothing() -> None:
    """There is no door."""


def _nobody(_digest: str) -> None:
    """Until somebody wants to know."""


def _annotation(registry: type, name: str) -> object:
    """The one annotation, evaluated where it stands: the others may be many, or for checkers only.

    Raises whatever evaluating it raises.
    """
    for holder in registry.__mro__:
        annotations = inspect.get_annotations(holder)
        if name in annotations:
            only = SimpleNamespace(__annotations__={name: annotations[name]})
            names = vars(sys.modules[holder.__module__])
            return get_type_hints(only, names, dict(vars(holder)))[name]
    return None
