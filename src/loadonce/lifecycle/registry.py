"""The registry: the class in which a user declares the models of an app."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    nullcontext,
)
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self

from typing_extensions import TypeVar

from loadonce.errors import ConfigurationError
from loadonce.observe.events import Events, log_event

from .declaration import ArtifactOrigin, ResourceOrigin, Root
from .locking import resolve_root
from .model import Model, ModelStatus, annotated_models
from .policy import Readiness, readiness
from .slot import Slot

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

    from loadonce.settings import Settings

    from .manager import Manager
    from .owned_models import OwnedModels
    from .snapshot import LockSnapshot
    from .verifying import MakeRoom

_alive: weakref.WeakSet[Registry] = weakref.WeakSet()


def registries() -> tuple[Registry, ...]:
    """Every registry instance alive in this process, in no particular order."""
    return tuple(_alive)


class _SetByInit:
    """In place of an attribute until `Registry.__init__` sets it: says that it was not called.

    No `__getattr__`: a property whose code lacks an attribute would be said to be missing itself.
    """

    def __get__(self, registry: Registry | None, owner: type[Registry]) -> object:
        if registry is None:
            return self
        raise ConfigurationError(f"{owner.__name__}.__init__ must call super().__init__(root=...)")


class Registry:
    """Declares the models of an app; an instance holds them while the app runs.

    Subclass it at module level, one annotated attribute for each model, and make one instance::

        class Models(Registry):
            diabetes: Model[Classifier] = artifact("diabetes.joblib")

        models = Models(root="models")
        app = FastAPI(lifespan=models.lifespan)

    Making an instance does no I/O. Iterating gives its models.

    Args:
        root: the directory of the artifacts and their `models.lock`, or a function that names it
            when the lifespan starts. Default: the working directory.
    """

    _declared: ClassVar[dict[str, Model[Any]]] = {}
    if not TYPE_CHECKING:  # pragma: no branch  # what is asked for first, whatever one is used for
        events = _root = _manager = _starting = _fixed = _models = _SetByInit()

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls._declared = dict(cls._declared)
        for name, value in vars(cls).items():
            if isinstance(value, Model):
                if name in vars(Registry):
                    raise ConfigurationError(
                        f"{cls.__name__}.{name}: registries have an attribute of this name; choose "
                        "another for the model"
                    )
                cls._declared[name] = value
        for name in annotated_models(cls):
            if name not in cls._declared:
                raise ConfigurationError(
                    f"{cls.__name__}.{name}: annotated as a Model, but not declared; write "
                    f"`{name}: Model[...] = artifact(...)` (or table, or resource)"
                )

    def __init__(self, root: Root = ".") -> None:
        self._root = root
        self._manager: Manager | None = None
        self._owned_models: OwnedModels | None = None
        self._users = 0
        self._starting: asyncio.Future[None] | None = None
        self._stopping: asyncio.Future[None] | None = None
        self._is_draining = False
        self._inherited: Settings | None = None  # from before the fork
        self._fixed: LockSnapshot | None = None  # as well
        self.events = Events()
        self.events.subscribe(log_event)
        self._models: dict[str, Model[Any]] = {}
        for name, declared in self._declared.items():
            slot: Slot[Any] = Slot(name, type(self), declared.declaration, self._needs_of(declared))
            self._models[name] = declared.bind(slot)
            setattr(self, name, self._models[name])
        _alive.add(self)

    def __repr__(self) -> str:
        states = ", ".join(f"{model.name} {model.state.name}" for model in self)
        return f"<{type(self).__name__}: {states or 'no models'}>"

    def __iter__(self) -> Iterator[Model[Any]]:
        return iter(self._models.values())

    def __len__(self) -> int:
        return len(self._models)

    def __getitem__(self, name: str) -> Model[Any]:
        return self._models[name]

    @property
    def root(self) -> Path:
        """The directory of the artifacts and their lock file, as things are now."""
        return resolve_root(self._root)

    @property
    def is_running(self) -> bool:
        """Whether a lifespan holds the models now; not yet while it starts."""
        return self._manager is not None and self._starting is None

    def lifespan(self, app: object) -> AbstractAsyncContextManager[None]:
        """FastAPI's lifespan: loads before the app serves, closes after it has stopped.

        Raises:
            StartupError: a required model failed; nothing is left open.
        """
        return self.running(app)

    @asynccontextmanager
    async def running(self, app: object = None) -> AsyncIterator[None]:
        """Keep the models loaded while the block runs; for a lifespan of your own::

            @asynccontextmanager
            async def lifespan(app):
                async with models.running(app), others.running(app):
                    yield

        Entered again on the same event loop (a mounted app), it shares what is loaded.

        Raises:
            StartupError: a required model failed; nothing is left open.
            ConfigurationError: the registry runs on another event loop.
        """
        await self._enter()
        try:
            yield
        finally:
            await self._leave()

    async def preload(self, make_room: MakeRoom | None = None) -> None:
        """Load what may cross a fork, and leave it to the processes that are forked from this one:
        they adopt it, without opening a file, when they run this registry. Calls no model.

        Await it by `asyncio.run`, so that no event loop is left when the process forks.

        Args:
            make_room: awaited before the objects are loaded, once their bytes are verified, with
                how many bytes they will take.

        Raises:
            StartupError: a required model failed.
        """
        from loadonce.settings import Settings

        from .inheriting import preload

        slots, settings = [model.slot for model in self], Settings()
        locks = self.fix_locks()
        with _bars(self.events, settings):
            await preload(slots, locks, settings, self.events, make_room)
        # To read them takes 2.5 MB in each process; and to walk the heap would copy it.
        self._inherited = settings.model_copy(update={"progress": "never", "freeze": False})

    def fix_locks(self) -> LockSnapshot:
        """Read the lock files now, unless that was done: they count for whatever loads in this
        process, or in one that is forked from it, until a reload. Blocks."""
        if self._fixed is None:
            from .snapshot import LockSnapshot

            self._fixed = LockSnapshot(self.root)
            self._fixed.take(self._origins())
        return self._fixed

    def loaded(self) -> Loaded[Self]:
        """The registry, running, outside FastAPI: `with models.loaded() as m: m.x.run(f)` in a
        script, `async with models.loaded() as m` in async code."""
        return Loaded(self)

    def status(self) -> tuple[ModelStatus, ...]:
        """What is known of each model now."""
        return tuple(model.status() for model in self)

    def readiness(self) -> Readiness:
        """What the probes tell; derived from the states at this moment."""
        return readiness(
            (model.slot.model_state() for model in self),
            is_running=self.is_running,
            is_draining=self._is_draining,
        )

    def start_draining(self) -> None:
        """Tell the probes that the process will stop; models serve on until the lifespan ends."""
        self._is_draining = True

    def cancel_start(self) -> bool:
        """Give up a start that is under way: closes what was opened; the lifespan raises
        CancelledError. Call it on the event loop. Returns whether a start was under way."""
        return self._starting is not None and self._starting.cancel()

    # -- running -------------------------------------------------------------------------------

    async def _enter(self) -> None:
        if self._manager is not None and self._manager.loop is not asyncio.get_running_loop():
            raise ConfigurationError(
                f"{type(self).__name__} is already running on another event loop; make one "
                "instance for each app that runs at the same time"
            )
        while self._stopping is not None:
            await asyncio.wait([self._stopping])
        self._users += 1
        try:
            if self._starting is None and self._manager is None:
                self._starting = asyncio.ensure_future(self._start())
                self._starting.add_done_callback(self._end_starting)
            if self._starting is not None:
                await self._wait_for_start(self._starting)
        except BaseException:
            await self._leave()  # the start may have succeeded just as its caller gave it up
            raise

    def _end_starting(self, _started: object) -> None:
        self._starting = None

    async def _wait_for_start(self, starting: asyncio.Future[None]) -> None:
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            if self._users == 1:
                starting.cancel()
                await asyncio.wait([starting])
            raise

    async def _start(self) -> None:
        # Late imports: a registry that is only declared needs neither settings nor progress bars.
        from loadonce.inference.threads import run_in_thread
        from loadonce.settings import Settings

        from .manager import Manager
        from .snapshot import LockSnapshot

        settings = self._inherited or Settings()
        slots = [model.slot for model in self]
        self._is_draining = False
        locks = self._fixed or LockSnapshot(self.root)
        origins = self._origins()
        if locks.lacks(origins) and not settings.development:
            await run_in_thread(lambda: locks.take(origins), "read-locks")
        self._keep_owners(slots, locks)
        manager = Manager(slots, locks, settings, self.events)
        self._manager = manager
        try:
            with _bars(self.events, settings):
                await manager.start()
        except BaseException:
            self._manager = None
            await self._let_owners_go()
            raise

    def _keep_owners(self, slots: Sequence[Slot[Any]], locks: LockSnapshot) -> None:
        """Start what has models in processes of their own, unless a parent of ours has."""
        without = [slot for slot in slots if slot.is_owned and slot.door is None]
        if wanted := [slot for slot in without if not slot.is_overridden]:
            from .owned_models import OwnedModels

            self._owned_models = OwnedModels([(slot, locks) for slot in wanted])

    def _origins(self) -> list[ArtifactOrigin]:
        """Of all artifacts, but for those in whose place a test has put an object of its own."""
        slots = [model.slot for model in self if not model.slot.is_overridden]
        origins = [slot.declaration.origin for slot in slots]
        return [origin for origin in origins if isinstance(origin, ArtifactOrigin)]

    async def _let_owners_go(self) -> None:
        kept, self._owned_models = self._owned_models, None
        if kept is not None:
            from loadonce.inference.threads import run_in_thread

            kept.leave()
            await run_in_thread(kept.close, "end-owners")

    async def _leave(self) -> None:
        self._users -= 1
        if self._users == 0 and self._manager is not None:
            self._stopping = asyncio.ensure_future(self._stop(self._manager))
            await asyncio.shield(self._stopping)

    async def _stop(self, manager: Manager) -> None:
        try:
            await manager.stop()
        finally:
            await self._let_owners_go()
            self._manager = self._stopping = None

    def _needs_of(self, declared: Model[Any]) -> list[Slot[Any]]:
        origin = declared.declaration.origin
        if not isinstance(origin, ResourceOrigin):
            return []
        for need in origin.needs:
            if need.name not in self._models:
                raise ConfigurationError(
                    f"{type(self).__name__}.{declared.name}: needs '{need.name or '?'}', which is "
                    "not declared above it in this registry"
                )
            if self._models[need.name].declaration.placement == "process":
                raise ConfigurationError(
                    f"{type(self).__name__}.{declared.name}: '{need.name}' lives in a process of "
                    'its own (placement="process"), so no resource can be made from it'
                )
        return [self._models[need.name].slot for need in origin.needs]


def _bars(events: Events, settings: Settings) -> AbstractContextManager[None]:
    from loadonce.observe.progress import loading_bars

    return loading_bars(events) if settings.progress == "auto" else nullcontext()


R_co = TypeVar("R_co", bound=Registry, covariant=True)


class Loaded(Generic[R_co]):
    """A registry running outside FastAPI; see `Registry.loaded`."""

    def __init__(self, registry: R_co) -> None:
        self._registry = registry
        self._async: AbstractAsyncContextManager[None] | None = None
        self._exit: Callable[..., object] | None = None

    async def __aenter__(self) -> R_co:
        self._async = self._registry.running()
        await self._async.__aenter__()
        return self._registry

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._async is not None
        await self._async.__aexit__(kind, error, trace)

    def __enter__(self) -> R_co:
        from contextlib import ExitStack

        from anyio.from_thread import start_blocking_portal

        with ExitStack() as stack:
            portal: BlockingPortal = stack.enter_context(start_blocking_portal())
            stack.enter_context(portal.wrap_async_context_manager(self._registry.running()))
            self._exit = stack.pop_all().__exit__
        return self._registry

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._exit is not None
        self._exit(kind, error, trace)
