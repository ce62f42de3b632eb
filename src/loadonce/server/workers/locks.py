"""Lock files, as far as a change of them is a wish to reload."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from loadonce.artifacts import LOCK_NAME, LockEntry, LockFile
from loadonce.artifacts.lock import MAX_LOCK_BYTES
from loadonce.artifacts.opening import RefusedError, read_small_file
from loadonce.errors import LockFileError
from loadonce.lifecycle.declaration import ArtifactOrigin
from loadonce.lifecycle.locking import resolve_root
from loadonce.lifecycle.registry import Registry

Stamps = dict[str, str]
Entries = dict[str, Mapping[str, LockEntry]]


def lock_files(known: Iterable[Registry]) -> list[str]:
    """Where the lock files of these registries lie, those of single artifacts included."""
    roots: set[Path] = set()
    for registry in known:
        roots.add(registry.root)
        for model in registry:
            origin = model.declaration.origin
            if isinstance(origin, ArtifactOrigin) and origin.root is not None:
                roots.add(resolve_root(origin.root))
    return sorted(str(root / LOCK_NAME) for root in roots)


def stamps(paths: Iterable[str]) -> Stamps:
    """What changes when what one of these files says does."""
    found: Stamps = {}
    for path in paths:
        try:
            content = read_small_file(Path(path).parent, LOCK_NAME, MAX_LOCK_BYTES)
        except (OSError, RefusedError):  # a pipe, among others, for which nobody should wait
            continue
        found[path] = hashlib.sha256(content).hexdigest()
    return found


def changed(before: Mapping[str, str]) -> Stamps:
    """The files that are not what they were, as they are now; one that is gone does not count:
    lock files are replaced in one step."""
    now = stamps(before)
    return {path: stamp for path, stamp in now.items() if stamp != before[path]}


def entries(paths: Iterable[str]) -> Entries:
    """What these files say now; one that cannot be read says nothing."""
    found: Entries = {}
    for path in paths:
        try:
            found[path] = LockFile.read(Path(path).parent).entries
        except LockFileError:
            found[path] = {}
    return found


def altered(before: Entries, now: Entries, *, is_wider: bool) -> list[str]:
    """The files that say something else than before; with `is_wider` also if they only say more.
    One that cannot be read does not count."""
    return [
        path
        for path, found in now.items()
        if found and _differs(before[path], found, is_wider=is_wider)
    ]


def _differs(
    before: Mapping[str, LockEntry], now: Mapping[str, LockEntry], *, is_wider: bool
) -> bool:
    if is_wider:
        return dict(now) != dict(before)
    return any(now.get(name) != entry for name, entry in before.items())
