"""The manager: the only writer of states. It lives on one event loop, so states need no lock."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from loadonce.artifacts import Source
from loadonce.errors import (
    LoaderFailedError,
    ModelError,
    NotReadyError,
    QuarantinedError,
    StartupError,
)
from loadonce.inference.native_threads import thread_share, usable_cores
from loadonce.observe.events import Events, ModelEvent
from loadonce.settings import Settings

from .building import Builder, Lanes
from .freezing import Freezer
from .losing import loss
from .opened import Opened
from .owning import connect
from .policy import back_off
from .slot import Slot, dependents
from .snapshot import LockSnapshot
from .verifying import MakeRoom, Verifier
from .version import State, Version

_FAILURE_GRACE = 0.3  # seconds other loads get to fail too, once one required model has failed


@dataclass(frozen=True, slots=True)
class _Newer:
    """What a reload has made so far, and what it trusts."""

    locks: LockSnapshot
    versions: dict[Slot[Any], Version[Any]] = field(default_factory=dict)


class Manager:
    """Loads, publishes, reloads, drains and unloads the models of one running registry.

    Args:
        slots: in the order of declaration.
        locks: what is trusted, until a reload reads it anew.
        settings: what the operator set.
        events: where each change is announced.
        make_room: awaited before a start loads, with how many bytes that takes.
        is_before_fork: what is loaded will be used in processes forked from this one, only there.
    """

    def __init__(
        self,
        slots: Sequence[Slot[Any]],
        locks: LockSnapshot,
        settings: Settings,
        events: Events,
        is_before_fork: bool = False,
        make_room: MakeRoom | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.is_stopping = False
        self._slots = tuple(slots)
        self._locks = locks
        callers = sum(slot.declaration.threads for slot in slots if slot.is_read_here)
        self.native_threads = thread_share(usable_cores(), settings.workers, callers)
        self._reloading = asyncio.Lock()
        self._events = events
        limits = settings.allow_version_mismatch, settings.memory_limit
        self._builder = Builder(events, Lanes(), *limits, is_before_fork)
        self._verifier = Verifier(
            self._builder,
            locks,
            is_development=settings.development,
            on_failure=lambda slot, error: self._fail(slot, slot.next_version(), error),
            make_room=make_room,
        )
        self._waiting_reloads: dict[Slot[Any], asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._freezer = Freezer(is_wanted=settings.freeze)
        self._opened = Opened(events, on_retired=self._freezer.renew)

    # -- start ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Verify all, load all, publish; begin the background loads.

        Raises:
            StartupError: a required model failed; whatever was opened is closed again.
        """
        for slot in self._slots:
            slot.begin(self)
            self._announce(slot, "declared")
        self._freezer.begin()
        try:
            await self._load_for_startup()
            for slot in self._slots:
                if slot.when == "background" and not slot.is_overridden:
                    self._attempt(slot)
            await self._freezer.settle()
        except BaseException:
            await asyncio.shield(self._spawn(self.stop()))
            raise

    async def _load_for_startup(self) -> None:
        wanted = [slot for slot in self._slots if slot.when == "startup" and not slot.is_overridden]
        sources = await self._verifier.verify_all(wanted)
        failed = [slot for slot in wanted if slot.error is not None]
        try:
            self._stop_if_required(failed)
        except StartupError:
            for source in sources.values():
                source.close()
            raise
        loading = sorted(
            (slot for slot in wanted if slot not in failed),
            key=lambda slot: -sources[slot].size if slot in sources else 0,
        )
        attempts = {slot: self._attempt(slot, sources.get(slot)) for slot in loading}
        await self._first_failure(attempts)
        self._stop_if_required([slot for slot in wanted if slot.error is not None])

    async def _first_failure(self, attempts: dict[Slot[Any], asyncio.Task[None]]) -> None:
        """Wait until all are loaded, or a required one failed and the others had their grace."""
        pending = set(attempts.values())
        by_task = {task: slot for slot, task in attempts.items()}
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if any(by_task[task].is_required and by_task[task].error for task in done):
                if pending:
                    await asyncio.wait(pending, timeout=_FAILURE_GRACE)
                return

    def _stop_if_required(self, failed: Sequence[Slot[Any]]) -> None:
        if any(slot.is_required for slot in failed):
            failures = [slot.error for slot in failed if slot.error is not None]
            good = [slot.name for slot in self._slots if slot.current is not None]
            spared = [slot.error for slot in failed if not slot.is_required]
            raise StartupError(failures, good, [each for each in spared if each is not None])

    # -- one load ------------------------------------------------------------------------------

    def _attempt(self, slot: Slot[Any], source: Source | None = None) -> asyncio.Task[None]:
        """The task that loads this slot now: a new one, or the one already at it."""
        if slot.attempt is None or slot.attempt.done():
            slot.attempt = self._spawn(self._load(slot, source))
        return slot.attempt

    async def _load(self, slot: Slot[Any], source: Source | None) -> None:
        try:
            version = await self._make(slot, source)
        except ModelError:
            return  # told, and kept in the slot
        if slot.current is None:
            self._publish(slot, version)
            self._freezer.add()
        else:  # a reload was faster, and its bytes may be newer
            await asyncio.shield(self._opened.retire([(slot, version)]))

    async def _make(
        self,
        slot: Slot[Any],
        source: Source | None = None,
        newer: _Newer | None = None,
    ) -> Version[Any]:
        """A new version, READY but not serving yet.

        Raises:
            ModelError: why not; already told, and kept in the slot.
        """
        version = slot.next_version()
        try:
            await self._build(slot, version, source, newer)
        except asyncio.CancelledError:
            cancelled = NotReadyError(slot.name, "loading was cancelled")
            self._fail(slot, version, cancelled, what="cancelled")
            raise
        except ModelError as error:
            self._fail(slot, version, error)
            raise
        except Exception as error:  # a root that cannot be told, a disk that cannot be written
            problem = f"loading raised {type(error).__name__}: {error}"
            failure = LoaderFailedError(slot.name, problem)
            self._fail(slot, version, failure)
            raise failure from error
        return version

    async def _build(
        self,
        slot: Slot[Any],
        version: Version[Any],
        source: Source | None = None,
        newer: _Newer | None = None,
    ) -> None:
        """Build `version`; resources are given the objects of `newer` versions where there are."""
        if version.is_inherited:
            await self._builder.adopt(slot, version)
            return
        if slot.is_owned:
            await connect(slot, version, is_reload=newer is not None)
            return
        if slot.is_resource:
            versions = newer.versions if newer else {}
            needs = [await self._need(need, versions) for need in slot.needs]
            await self._builder.open(slot, version, needs)
            return
        if source is None:
            source = await self._verifier.verify(slot, newer.locks if newer else None)
        await self._builder.load(slot, version, source)

    async def _need(self, slot: Slot[Any], newer: dict[Slot[Any], Version[Any]]) -> Version[Any]:
        if slot in newer:
            return newer[slot]
        if slot.serving is None:
            slot.has_been_asked_for = True
            await asyncio.shield(self._attempt(slot))
        serving = slot.serving
        if serving is None and isinstance(slot.error, QuarantinedError):
            raise QuarantinedError(slot.name, slot.error.sha256)
        if serving is None:
            raise LoaderFailedError("", f"needs model '{slot.name}', which failed to load")
        return serving

    def _publish(self, slot: Slot[Any], version: Version[Any]) -> None:
        slot.current = slot.latest = version
        slot.failures = 0
        slot.is_lost = False
        slot.retry_at = None
        self._opened.add(slot, version)
        if version.ended is not None:
            version.ended.add_done_callback(lambda ended: self._lose(slot, version, ended))
        self._events.publish(
            ModelEvent(
                slot.name,
                "adopted" if version.is_inherited else "ready",
                version=version.label,
                sha256=version.sha256,
                bytes_on_disk=version.bytes_on_disk,
                bytes_in_memory=version.bytes_in_memory,
                seconds=version.load_seconds,
            )
        )
        self.withdraw(slot)  # if that was decided meanwhile

    def _fail(
        self, slot: Slot[Any], version: Version[Any], error: ModelError, what: str = "failed"
    ) -> None:
        error.about(slot.name)
        if version.state is State.PENDING:
            version.move(State.LOADING)
        version.fail(error)
        slot.failures += 1
        self._announce(slot, what, str(error))
        if slot.declaration.when != "startup" or slot.is_lost:
            self._plan_retry(slot)

    def _lose(self, slot: Slot[Any], version: Version[Any], ended: asyncio.Task[None]) -> None:
        """A resource, or a model's process, ended although nobody closed it: another is opened,
        and whatever was made from it is made anew."""
        if slot.current is not version or self.is_stopping:
            return  # it is being closed, or will be
        slot.is_lost = True
        orphans = [(each, each.current) for each in dependents(slot, self._slots) if each.current]
        self._withdraw(slot, version, loss(slot, ended))
        version.take()
        for orphan, _version in orphans:
            orphan.current = None
            orphan.is_lost = True
            error = LoaderFailedError(orphan.name, f"'{slot.name}', which it needs, has ended")
            self._fail(orphan, orphan.next_version(), error)
        self._opened.retire(orphans)
        if slot.is_owned:  # whoever starts it knows when
            self._retry(slot)

    def withdraw(self, slot: Slot[Any]) -> None:
        """Stop serving this model if its version is in quarantine. Nothing is closed: that might
        be what crashes."""
        version = slot.current
        if version is not None and version.sha256 in slot.quarantined:
            slot.latest = version
            self._withdraw(slot, version, QuarantinedError(slot.name, version.sha256))

    def _withdraw(self, slot: Slot[Any], version: Version[Any], error: ModelError) -> None:
        self._opened.forget(version)
        slot.current = None if slot.current is version else slot.current
        self._fail(slot, version, error)

    def _plan_retry(self, slot: Slot[Any]) -> None:
        if self.is_stopping:
            return
        delay = back_off(slot.failures)
        slot.retry_at = self.loop.time() + delay
        slot.cancel_retry()
        is_wanted = slot.is_lost or slot.declaration.when == "background"
        if is_wanted and not isinstance(slot.error, QuarantinedError):  # which takes a reload
            slot.retry_timer = self.loop.call_later(delay, self._retry, slot)

    def _retry(self, slot: Slot[Any]) -> None:
        if not self.is_stopping and slot.current is None:
            self._attempt(slot)

    # -- requests' intents ---------------------------------------------------------------------

    async def ask_for(self, slot: Slot[Any]) -> None:
        """A request wants a model that does not serve: load it if it waits for its first use.

        However many requests ask together, one load runs. Returns when it has ended, well or
        not, or when the model's `timeout` is over.
        """
        slot.has_been_asked_for = True
        if slot.declaration.when != "first_use" or self.is_stopping:
            return
        is_due = slot.retry_at is None or self.loop.time() >= slot.retry_at
        if is_due or (slot.attempt is not None and not slot.attempt.done()):
            await asyncio.wait([self._attempt(slot)], timeout=slot.declaration.timeout)

    # -- reload --------------------------------------------------------------------------------

    async def reload(self, slot: Slot[Any]) -> None:
        """Build a new version (and of the resources made from it), then switch, then retire."""
        if slot not in self._waiting_reloads:
            self._waiting_reloads[slot] = self._spawn(self._reload_alone(slot))
        reloading = self._waiting_reloads[slot]
        try:
            await asyncio.shield(reloading)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if reloading.cancelled() and caller is not None and not caller.cancelling():
                raise slot.unavailable() from None  # the stop gave it up; nobody gave up the caller
            raise

    async def _reload_alone(self, slot: Slot[Any]) -> None:
        async with self._reloading:
            del self._waiting_reloads[slot]  # who asks from now on may know of newer bytes
            await self._reload(slot)

    async def _reload(self, slot: Slot[Any]) -> None:
        if self.is_stopping:
            raise slot.unavailable()
        newer = _Newer(self._locks.anew())
        try:
            for each in [slot, *dependents(slot, self._slots)]:
                newer.versions[each] = await self._make(each, newer=newer)
        except BaseException:
            await asyncio.shield(self._opened.retire(list(newer.versions.items())))
            raise
        replaced = [(each, each.current) for each in newer.versions if each.current]
        self._locks.follow(newer.locks)
        for each, version in newer.versions.items():
            self._publish(each, version)
        self._opened.retire(replaced)

    # -- stop ----------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Refuse new requests, let leases end, close everything in the reverse order of opening."""
        self.is_stopping = True
        this = asyncio.current_task()
        abandoned = [task for task in self._tasks if task is not this and not task.done()]
        for task in abandoned:
            task.cancel()
        if abandoned:
            await asyncio.wait(abandoned, timeout=1.0)
        try:
            await self._opened.close()
        finally:
            for slot in self._slots:
                await slot.end()
            await self._freezer.end()

    # -- helpers -------------------------------------------------------------------------------

    def _spawn(self, coroutine: Any) -> asyncio.Task[Any]:
        task = self.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits gets it too; nobody waiting is no reason to shout

    def _announce(self, slot: Slot[Any], what: str, error: str = "", *, version: str = "") -> None:
        self._events.publish(ModelEvent(slot.name, what, version=version, error=error))
