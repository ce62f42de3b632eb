"""A model: the typed entry of a registry, and the dependency that handlers ask for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Concatenate, Generic, ParamSpec, TypeVar, get_origin

from loadonce.errors import ConfigurationError
from loadonce.observe.statistics import StatisticsSnapshot

from .declaration import ArtifactOrigin, Declaration
from .dependency import USED, Connection, ConnectionSignature, at_exit_of
from .handle import Handle, engine_for, run_on_loop
from .slot import Slot
from .version import State

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model at one moment.

    `bytes_in_memory` is what the resident memory grew by while it loaded: a good estimate where
    loads run one at a time, a rough one otherwise. `error` is the newest attempt's, also while an
    older version serves. `load_seconds` is the whole load once the bytes were read and hashed
    (`read_seconds`), trying it out (`warmup_seconds`) included. `owner` is the process that has the
    object, where that is another one; else 0.
    """

    name: str
    kind: str
    path: str
    required: bool
    when: str
    state: State
    version: str
    sha256: str
    error: str
    read_seconds: float
    load_seconds: float
    warmup_seconds: float
    bytes_on_disk: int
    bytes_in_memory: int
    owner: int
    libraries: dict[str, str]
    leases: int
    statistics: StatisticsSnapshot


class Model(Generic[T]):
    """A named slot for one expensive object; declare it with `artifact`, `table` or `resource`.

    A model of a registry *instance* is a FastAPI dependency: `Depends(models.diabetes)` gives the
    handler a `Handle[T]`, `Depends(models.diabetes.raw)` the object itself.
    """

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration
        self.name = ""
        self._slot: Slot[T] | None = None
        self._raw = Raw(self)

    def __set_name__(self, owner: type, name: str) -> None:
        if self.name and self.name != name:
            raise ConfigurationError(
                f"{owner.__name__}.{name}: this model is already declared as '{self.name}'; call "
                "artifact(), table() or resource() once for each name"
            )
        self.name = name

    def __repr__(self) -> str:
        if self._slot is None:
            return f"<Model {self.name or '?'} (not bound to a registry instance)>"
        shown = self._slot.serving or self._slot.latest
        return f"<Model {self.name} {shown!r}>" if shown else f"<Model {self.name} PENDING>"

    __signature__ = ConnectionSignature()

    async def __call__(self, connection: Connection) -> Handle[T]:
        """The FastAPI dependency: a handle whose lease ends when the response has been sent."""
        at_exit = at_exit_of(connection)
        handle = await take_lease(self)
        at_exit(handle.release)
        connection.scope.setdefault(USED, []).append(handle)
        return handle

    @property
    def raw(self) -> Raw[T]:
        """The dependency that gives the plain object. Calls on it run where you make them, several
        at a time; take it in `def` handlers, and a `Handle` in `async def` ones.

        Raises:
            ConfigurationError: a process of its own has the object (`placement="process"`).
        """
        if self.declaration.placement == "process":
            raise ConfigurationError(
                f"'{self.name}.raw': with placement=\"process\" another process has the object; "
                f"ask for a handle, `Depends(models.{self.name})`, and use its `run` or `batch`"
            )
        return self._raw

    @property
    def slot(self) -> Slot[T]:
        """Where this model keeps its versions.

        Raises:
            ConfigurationError: this is the declaration on the class, not a model of an instance.
        """
        if self._slot is None:
            raise ConfigurationError(
                f"'{self.name or 'this model'}' was taken from the registry class; take it from an "
                f"instance: `models = Models()`, then `models.{self.name or 'name'}`"
            )
        return self._slot

    @property
    def state(self) -> State:
        """READY while a version serves, else the state of the newest attempt to load one."""
        return self.slot.state

    def bind(self, slot: Slot[T]) -> Model[T]:
        """A copy of this declaration that belongs to one registry instance."""
        bound: Model[T] = Model(self.declaration)
        bound.name = self.name
        bound._slot = slot
        return bound

    def override(self, value: T) -> AbstractContextManager[None]:
        """Serve `value` instead while the `with` block runs; blocks nest.

        Entered before the app starts, the artifact is never opened. On a running app requests that
        begin inside the block get `value`; earlier ones keep what they hold.
        """
        return self.slot.override(value)

    def lease(self) -> _Lease[T]:
        """A lease outside a FastAPI handler: `async with models.x.lease() as handle`."""
        return _Lease(self)

    def run(
        self, function: Callable[Concatenate[T, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Call `function(value, *args, **kwargs)` from a thread without an event loop (a script, a
        notebook, a job queue) and return its result.

        Raises:
            NotRunningError: outside `with models.loaded()`.
            ConfigurationError: called on the event loop, which it would block.
        """
        manager = self.slot.manager
        if manager is None:
            if not self.slot.is_overridden:
                raise self.slot.unavailable()
            with _leased(self.slot) as handle:
                return handle.run_sync(function, *args, **kwargs)

        async def call() -> R:
            async with self.lease() as handle:
                value = handle._version.value
                return await engine_for(self.slot, value).run(function, value, *args, **kwargs)

        return run_on_loop(manager.loop, call())

    async def reload(self) -> None:
        """Load the artifact again, as the lock file now names it, and serve the result.

        The new version is verified, loaded, warmed up and checked before it takes over; requests
        that hold the old one finish on it. Resources made from this model are made anew with it.
        Calls that wait for their turn share one load; one that comes while the artifact is read
        gets a load of its own, for the bytes may be newer.

        Under `loadonce serve` all workers, and all models in them, are reloaded together: a new
        generation serves when this returns, and the process in which it was called ends soon.

        Raises:
            NotRunningError: the registry is not running.
            ModelError: the new version failed; the old one serves on.
        """
        manager = self.slot.manager
        if manager is None:
            raise self.slot.unavailable()
        if self.slot.reload_elsewhere is not None:
            await self.slot.reload_elsewhere(self.name)
        else:
            await manager.reload(self.slot)

    def status(self) -> ModelStatus:
        """What is known of this model now."""
        slot = self.slot
        origin = self.declaration.origin
        shown = slot.serving or slot.latest
        return ModelStatus(
            name=self.name,
            kind=self.declaration.kind,
            path=origin.shown_path if isinstance(origin, ArtifactOrigin) else "",
            required=self.declaration.required,
            when=self.declaration.when,
            state=slot.state,
            version=shown.label if shown else "",
            sha256=shown.sha256 if shown else "",
            error=str(slot.error) if slot.error else "",
            read_seconds=shown.read_seconds if shown else 0.0,
            load_seconds=shown.load_seconds if shown else 0.0,
            warmup_seconds=shown.warmup_seconds if shown else 0.0,
            bytes_on_disk=shown.bytes_on_disk if shown else 0,
            bytes_in_memory=shown.bytes_in_memory if shown else 0,
            owner=shown.owner if shown else 0,
            libraries=dict(shown.libraries) if shown else {},
            leases=shown.leases if shown else 0,
            statistics=slot.statistics.snapshot(slot.engine.placements() if slot.engine else {}),
        )


class Raw(Generic[T]):
    """The dependency `models.x.raw`: the object itself, leased for the whole request."""

    def __init__(self, model: Model[T]) -> None:
        self.model = model

    def __repr__(self) -> str:
        return f"<Raw {self.model!r}>"

    __signature__ = ConnectionSignature()

    async def __call__(self, connection: Connection) -> T:
        """The FastAPI dependency."""
        return (await self.model(connection)).value


async def take_lease(model: Model[T]) -> Handle[T]:
    """A lease on the version that serves; whoever takes it calls the handle's `release`.

    Asks for the model first where nothing serves yet.

    Raises:
        UnavailableError, NotRunningError: as a request is told that asks for the model.
    """
    slot = model.slot
    if slot.serving is None and slot.manager is not None:
        await slot.manager.ask_for(slot)
    return Handle(slot, slot.acquire())


class _Lease(Generic[T]):
    def __init__(self, model: Model[T]) -> None:
        self._model = model
        self._handle: Handle[T] | None = None

    async def __aenter__(self) -> Handle[T]:
        self._handle = await take_lease(self._model)
        return self._handle

    async def __aexit__(self, *_exc: object) -> None:
        assert self._handle is not None
        self._handle.release()


@contextmanager
def _leased(slot: Slot[T]) -> Iterator[Handle[T]]:
    handle = Handle(slot, slot.acquire())
    try:
        yield handle
    finally:
        handle.release()


def annotated_models(registry: type) -> list[str]:
    """The names that the class annotates with Model[...], evaluated or as text."""
    try:
        annotations = inspect.get_annotations(registry)
    except NameError:  # pragma: no cover - Python 3.14 evaluates names that only checkers know
        return []
    return [name for name, annotation in annotations.items() if _is_model(annotation)]


def _is_model(annotation: object) -> bool:
    if isinstance(annotation, str):
        return annotation.startswith("Model[")
    origin: object = get_origin(annotation)
    return origin is Model
