"""Keeping loaded objects while an app's code changes.

One process loads them, and knows nothing of the app; each process that is forked from it imports
the app and adopts what that declares unchanged.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from loadonce.artifacts import LOCK_NAME, LockEntry, LockFile
from loadonce.observe.events import Events
from loadonce.settings import Settings

from .building import artifact_of, close_for
from .declaration import ArtifactOrigin, Declaration
from .inheriting import preload, why_not_inherited
from .loading import LoadPlan, locked_formats
from .locking import resolve_root
from .slot import Slot
from .snapshot import LockSnapshot
from .version import Version

IsOwn = Callable[[str], bool]

NOT_LOCKED = "not in models.lock yet"


class NotCacheableError(Exception):
    """Why an object has to be loaded anew whenever code changes."""


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """One artifact as declared, in plain values: which bytes, read by which loader, how.

    Two are equal if they lead to the same object. `facts` is a digest of the lock file's entries
    and of the sizes and times of the files, so that none is equal to one of other bytes.
    """

    name: str
    root: str
    path: str | dict[str, str]
    loader: str | None
    options: dict[str, Any]
    facts: str

    @property
    def key(self) -> str:
        """Text that is the same for equal requests, whatever the model is called."""
        return json.dumps({**asdict(self), "name": ""}, sort_keys=True)


def request_of(slot: Slot[Any], root: Path, is_own: IsOwn) -> LoadRequest:
    """What another process would have to load for this slot.

    Args:
        slot: of an app that is imported.
        root: of its registry.
        is_own: whether a module belongs to the app, so that its code may change.

    Raises:
        NotCacheableError: it would need the app's code, or is no such object.
        LoadOnceError: it cannot be loaded by anybody.
    """
    if reason := why_not_inherited(slot):
        raise NotCacheableError(reason)
    origin = artifact_of(slot)
    if callable(origin.loader):
        raise NotCacheableError("a loader of the app's own")
    directory = root if origin.root is None else resolve_root(origin.root)
    entries = _entries(directory, origin)
    for loader in LoadPlan.of(origin, locked_formats(entries)).loaders.values():
        if is_own(getattr(loader.read, "__module__", "")):
            raise NotCacheableError("a loader of the app's own")
    options = _plain(origin.options)
    named = [name for entry in entries for name in entry.globals]
    if own := [name for name in named if is_own(_module_of(name))]:
        raise NotCacheableError(f"it names {own[0]}, which is the app's own")
    path = origin.path if isinstance(origin.path, str) else dict(origin.path)
    facts = [[asdict(entry), _stamp(directory / entry.path)] for entry in entries]
    digest = sha256(json.dumps(facts).encode()).hexdigest()
    return LoadRequest(slot.name, str(directory), path, origin.loader, options, digest)


@dataclass(slots=True)
class ObjectCache:
    """Loaded objects, and what could not be loaded, by the keys of the requests.

    It never imports the app. Processes that are forked from this one have what it has.
    """

    objects: dict[str, Version[Any]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)

    def lacks(self, requests: Iterable[LoadRequest]) -> bool:
        """Whether it should try to load some of these."""
        return any(
            request.key not in self.objects and request.key not in self.refused
            for request in requests
        )

    async def load(self, requests: Iterable[LoadRequest], events: Events) -> None:
        """Load what it lacks, let go of what is not asked for; calls no model.

        What fails is left to the app's own process, which then tells why.
        """
        wanted = {request.key: request for request in requests}
        self.objects = {key: version for key, version in self.objects.items() if key in wanted}
        self.refused = self.refused & wanted.keys()
        missing = {
            k: w for k, w in wanted.items() if k not in self.objects and k not in self.refused
        }
        slots = {key: _slot_of(request) for key, request in missing.items()}
        await preload(list(slots.values()), LockSnapshot(Path()), Settings(), events)
        for key, slot in slots.items():
            if slot.inherited is None:
                self.refused.add(key)
            else:
                self.objects[key] = slot.inherited

    def hand_over(self, slot: Slot[Any], request: LoadRequest) -> bool:
        """In a forked process: let the slot adopt its object when its registry starts."""
        version = self.objects.get(request.key)
        if version is None:
            return False
        version.model = slot.name
        close_for(slot, version)
        slot.inherited = version
        return True


class _Nobody:
    """In the place of a registry: it declares no types."""


def _slot_of(request: LoadRequest) -> Slot[Any]:
    origin = ArtifactOrigin(
        path=request.path, root=request.root, loader=request.loader, options=request.options
    )
    return Slot(request.name, _Nobody, Declaration(origin=origin, required=False))


def _plain(options: Mapping[str, object]) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(options)))
    except (TypeError, ValueError):
        plain = {}
    if plain != options:
        raise NotCacheableError("options that are no plain values")
    return plain


def _entries(root: Path, origin: ArtifactOrigin) -> list[LockEntry]:
    if not (root / LOCK_NAME).exists():
        raise NotCacheableError(NOT_LOCKED)
    lock = LockFile.read(root)
    paths = [origin.path] if isinstance(origin.path, str) else list(origin.path.values())
    entries: list[LockEntry] = []
    for path in paths:
        entry = lock.entries.get(path)
        inside = lock.under(path)
        entries += (
            [entry] if entry else [lock.entries[f"{path.rstrip('/')}/{name}"] for name in inside]
        )
        if not entry and not inside:
            raise NotCacheableError(NOT_LOCKED)
    return entries


def _module_of(name: str) -> str:
    """Of a global as lock files name it: "module.Name", or "module:Outer.Inner"."""
    return name.partition(":")[0] if ":" in name else name.rpartition(".")[0]


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = os.stat(path)
    except OSError:
        raise NotCacheableError("its file cannot be looked at") from None
    return status.st_ino, status.st_size, status.st_mtime_ns
