"""Building one version: verified bytes or a factory in, a checked object out."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from loadonce.artifacts import (
    Golden,
    LockFile,
    Source,
    check_libraries,
    installed_version,
    read_verified,
)
from loadonce.errors import (
    GoldenMismatchError,
    InsufficientMemoryError,
    LoaderFailedError,
    LoadOnceError,
    LoadTimeoutError,
    ModelError,
    WarmupError,
)
from loadonce.inference.threads import run_in_thread
from loadonce.observe.events import Events, ModelEvent
from loadonce.observe.memory import available_bytes, resident_bytes
from loadonce.observe.shortage import advice_for
from loadonce.observe.tasks import tasks

from .conformance import golden_mismatch, missing_from, wrong_type
from .declaration import ArtifactOrigin, ResourceOrigin
from .hosting import HostedResource
from .loading import LoadPlan, call, locked_formats
from .policy import memory_refusal
from .slot import Slot
from .version import State, Version

logger = logging.getLogger("loadonce")

_LARGE_BYTES = 2**20  # giving back more takes longer than asking a thread to

_Examples = list[tuple[Golden, Any]]


@dataclass(slots=True)
class Lanes:
    """Who may load at the same time: loaders that hold the interpreter lock one after the other
    (more threads are slower and hold more memory), the others as many as there are cores."""

    holding: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    releasing: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(max(2, os.cpu_count() or 1))
    )

    def of(self, plan: LoadPlan) -> asyncio.Semaphore:
        """The lane for this artifact."""
        return self.holding if plan.holds_gil else self.releasing


@dataclass(frozen=True, slots=True)
class Builder:
    """Verifies and loads; knows nothing of readiness, retries or other models' fates.

    Before a fork nothing that is loaded is called: `adopt` does what is left, after it.
    """

    events: Events
    lanes: Lanes
    allow_version_mismatch: bool = False
    memory_limit: int | None = None
    is_before_fork: bool = False
    installed_version: Callable[[str], str | None] = field(
        default_factory=lambda: cache(installed_version)
    )

    def is_allowed(self, size: int) -> bool:
        """Whether the limit set for this process alone lets it hold so many bytes more."""
        return self.memory_limit is None or resident_bytes() + size <= self.memory_limit

    def memory_refusal(self, needs: Sequence[tuple[str, int]]) -> str:
        """Why these loads (name, bytes) cannot happen together; "" if they can."""
        known = [available_bytes()]
        if self.memory_limit is not None:
            known.append(max(0, self.memory_limit - resident_bytes()))
        available = min((figure for figure in known if figure is not None), default=None)
        return memory_refusal(needs, available)

    async def estimates(self, sources: Mapping[Slot[Any], Source]) -> list[tuple[Slot[Any], int]]:
        """About how many bytes each object will take, besides the bytes that were read."""
        plans = [
            (slot, LoadPlan.of(artifact_of(slot), slot.formats), source)
            for slot, source in sources.items()
        ]
        return await run_in_thread(
            lambda: [(slot, plan.memory_estimate(source)) for slot, plan, source in plans],
            "estimate",
        )

    async def verify(self, slot: Slot[Any], root: Path, lock: LockFile) -> Source:
        """Read the slot's artifact once and check it against the lock.

        Raises:
            ArtifactError: it is not what the lock names.
        """
        origin = artifact_of(slot)
        self._announce(slot, "verifying")
        with _translated(slot):
            slot.formats = locked_formats(lock.entries.values())
            LoadPlan.of(
                origin, slot.formats
            )  # tells an unknown format or a missing extra before any reading
            source = await run_in_thread(
                lambda: read_verified(root, origin.path, lock), f"verify-{slot.name}"
            )
            try:
                self._check_libraries(slot, source)
            except BaseException:
                source.close()
                raise
            return source

    async def load(self, slot: Slot[Any], version: Version[Any], source: Source) -> None:
        """Turn verified bytes into a READY version; closes `source`.

        Raises:
            LoadError: any step failed; the version is FAILED.
            QuarantinedError: it must not serve any more.
        """
        version.label, version.sha256 = source.version, source.sha256
        version.bytes_on_disk, version.read_seconds = source.size, source.read_seconds
        version.libraries = _libraries(source)
        try:
            slot.refuse_quarantined(version.sha256)
            with _translated(slot):
                plan = LoadPlan.of(artifact_of(slot), slot.formats)
                async with self.lanes.of(plan):
                    started = time.monotonic()  # waiting for the lane is no load time
                    value = await self._load_in_lane(slot, version, plan, source)
                try:
                    version.examples = _locked_examples(value, source)
                    await self._check(slot, version, value)
                except BaseException:
                    await asyncio.shield(_let_go_of_rejected(slot, [value]))
                    raise
        finally:
            await _close(slot, source)
        close_for(slot, version)
        version.load_seconds = time.monotonic() - started
        version.publish(value)

    async def adopt(self, slot: Slot[Any], version: Version[Any]) -> None:
        """Warm up and check what was loaded before the fork.

        Raises:
            LoadError: a check failed; the version is FAILED.
            QuarantinedError: it must not serve any more.
        """
        slot.refuse_quarantined(version.sha256)
        with _translated(slot):
            try:
                await self._check(slot, version, version.value)
            except BaseException:
                await asyncio.shield(_let_go_of_rejected(slot, version.take()))
                raise

    async def open(
        self, slot: Slot[Any], version: Version[Any], needs: Sequence[Version[Any]]
    ) -> None:
        """Enter a resource's context manager and make its value a READY version.

        Raises:
            LoadError: the factory, the context manager or a check failed, or what it is made from
                serves no longer.
        """
        origin = slot.declaration.origin
        assert isinstance(origin, ResourceOrigin)
        started = time.monotonic()
        version.move(State.LOADING)
        self._announce(slot, "loading")
        with _translated(slot):
            before = resident_bytes()
            values = [need.value for need in needs]
            hosted = HostedResource(slot.name, lambda: origin.factory(*values))
            async with _limit(slot):
                value = await hosted.open()
            version.bytes_in_memory = max(0, resident_bytes() - before)
            try:
                await self._check(slot, version, value)
                if any(need.state is not State.READY for need in needs):
                    raise LoaderFailedError(slot.name, "what it was made from serves no longer")
            except BaseException:
                await asyncio.shield(hosted.close())
                raise
        version.close = hosted.close
        version.ended = hosted.task
        version.load_seconds = time.monotonic() - started
        version.publish(value)

    # -- steps ---------------------------------------------------------------------------------

    def _check_libraries(self, slot: Slot[Any], source: Source) -> None:
        allow = self.allow_version_mismatch
        for part in source.files.values() or (source,):
            for warning in check_libraries(
                part.entry, allow_other_versions=allow, installed_version=self.installed_version
            ):
                logger.warning("model '%s': %s", slot.name, warning)

    async def _load_in_lane(
        self, slot: Slot[Any], version: Version[Any], plan: LoadPlan, source: Source
    ) -> object:
        version.move(State.LOADING)
        self._announce(slot, "loading", version)
        before, others = resident_bytes(), tasks()
        async with _limit(slot):
            value = await plan.load(slot.name, source, lambda needed: self._admit(slot, needed))
        version.bytes_in_memory = max(0, resident_bytes() - before)
        version.tasks = tasks() - others
        return value

    def _admit(self, slot: Slot[Any], needed: int) -> None:
        if refusal := self.memory_refusal([(slot.name, needed)]):
            raise insufficient_memory(slot.name, refusal)

    async def _check(self, slot: Slot[Any], version: Version[Any], value: Any) -> None:
        declared = slot.declared_type()
        if lack := missing_from(declared, value):
            raise wrong_type(slot.name, declared, lack)
        if not self.is_before_fork:
            async with _limit(slot):
                await self._try_out(slot, version, value)

    async def _try_out(self, slot: Slot[Any], version: Version[Any], value: Any) -> None:
        started = time.monotonic()
        self._announce(slot, "warming")
        await _warm_up(slot, value)
        for example, subject in version.examples:
            await _check_golden(slot, subject, example)
        await _check_golden(slot, value, slot.declaration.golden)
        version.warmup_seconds = time.monotonic() - started

    def _announce(self, slot: Slot[Any], what: str, version: Version[Any] | None = None) -> None:
        size = version.bytes_on_disk if version else 0
        self.events.publish(ModelEvent(slot.name, what, bytes_on_disk=size))


def insufficient_memory(model: str, refusal: str) -> InsufficientMemoryError:
    """The error for a load that was refused with these figures."""
    return InsufficientMemoryError(
        model,
        "loading would not fit the memory",
        found=refusal,
        hint="raise the memory limit, load fewer models, or smaller ones",
    )


def artifact_of(slot: Slot[Any]) -> ArtifactOrigin:
    """The origin of a model that is no resource."""
    origin = slot.declaration.origin
    assert isinstance(origin, ArtifactOrigin)
    return origin


async def _warm_up(slot: Slot[Any], value: Any) -> None:
    warmup = slot.declaration.warmup
    if warmup is None:
        return
    try:
        await call(f"warm-up-{slot.name}", warmup, value)
    except Exception as error:
        raise WarmupError(
            slot.name,
            f"the warm-up call raised {type(error).__name__}",
            found=str(error),
            hint="make the declared warmup= succeed, or remove it",
        ) from error


def _locked_examples(value: Any, source: Source) -> _Examples:
    if source.files and isinstance(value, Mapping):
        found = [(part.entry.golden, value[key]) for key, part in source.files.items()]
    else:
        found = [(source.entry.golden, value)]
    return [(golden, subject) for golden, subject in found if golden is not None]


async def _close(slot: Slot[Any], source: Source) -> None:
    if source.files or source.size > _LARGE_BYTES:
        await run_in_thread(source.close, f"close-{slot.name}")
    else:
        source.close()


def _libraries(source: Source) -> dict[str, str]:
    parts = list(source.files.values()) or [source]
    return {name: version for part in parts for name, version in part.entry.libraries.items()}


async def _check_golden(
    slot: Slot[Any], value: Any, golden: Golden | Callable[[Any], bool] | None
) -> None:
    if golden is None:
        return
    if isinstance(golden, Golden):
        example = golden
        difference = await run_in_thread(
            lambda: golden_mismatch(example, value), f"golden-{slot.name}"
        )
    else:
        difference = "" if await call(f"golden-{slot.name}", golden, value) else "not as declared"
    if difference:
        raise GoldenMismatchError(
            slot.name,
            "the golden example came out different",
            found=difference,
            hint="the artifact, or a library it needs, is not the one the example was made with",
        )


def close_for(slot: Slot[Any], version: Version[Any]) -> None:
    """Let the end of `version` call what this slot declares as `close=`."""
    version.close = lambda: _let_go(slot, version.take())


async def _let_go(slot: Slot[Any], box: list[Any]) -> None:
    """Call the declared `close=`, then drop the object."""
    function = slot.declaration.close
    if function is not None and box:
        await call(f"close-{slot.name}", function, box[0])
    await run_in_thread(box.clear, f"unload-{slot.name}")  # a big object's end takes a while


async def _let_go_of_rejected(slot: Slot[Any], box: list[Any]) -> None:
    try:
        await _let_go(slot, box)
    except Exception:  # why it was rejected matters more
        logger.exception("model '%s': closing raised", slot.name)


class _limit:  # reads as a statement: `async with _limit(slot)`
    """The declared `load_timeout`, as an error that names the model."""

    def __init__(self, slot: Slot[Any]) -> None:
        self._slot = slot
        self._seconds = slot.declaration.load_timeout
        self._timeout = asyncio.timeout(self._seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *exc: Any) -> None:
        try:
            await self._timeout.__aexit__(*exc)
        except TimeoutError:
            raise LoadTimeoutError(
                self._slot.name,
                f"not loaded within {self._seconds:g} s",
                hint="raise load_timeout=, or load it with when='background'",
            ) from None


class _translated:  # reads as a statement: `with _translated(slot)`
    """Give every exception of foreign code the model's name, as an error of ours."""

    def __init__(self, slot: Slot[Any]) -> None:
        self._slot = slot

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        origin = self._slot.declaration.origin
        path = origin.shown_path if isinstance(origin, ArtifactOrigin) else ""
        if isinstance(error, ModelError):
            error.about(self._slot.name, path)
        elif isinstance(error, LoadOnceError):
            raise LoaderFailedError(self._slot.name, str(error), path=path) from error
        elif isinstance(error, Exception):
            raise LoaderFailedError(
                self._slot.name,
                f"loading raised {type(error).__name__}: {error}",
                path=path,
                hint=advice_for(error) or "see the chained exception for where",
            ) from error
