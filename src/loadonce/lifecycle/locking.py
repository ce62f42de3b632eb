"""Where the artifacts lie, and which of their bytes are trusted."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from loadonce.artifacts import LOCK_NAME, LockEntry, LockFile, walk_files
from loadonce.errors import LockFileError
from loadonce.loaders import lock_file

from .declaration import ArtifactOrigin, Root

logger = logging.getLogger("loadonce")


def resolve_root(root: Root) -> Path:
    """The directory now, where a callable decides late."""
    return Path(os.fspath(root() if callable(root) else root)).absolute()


def lock_on_first_use(root: Path, origin: ArtifactOrigin) -> LockFile:
    """For development: the lock file of `root`, after an artifact it does not know was locked.

    Raises:
        LockFileError: it is malformed.
    """
    lock = LockFile.read(root) if (root / LOCK_NAME).exists() else LockFile({})
    known = set(lock.entries)
    for path in _files_of(root, origin):
        if path not in lock.entries and (root / path).is_file():
            loader = origin.loader if isinstance(origin.loader, str) else None
            lock = lock.with_entry(lock_file(root, path, format=loader))
            logger.warning("development: locked %s on first use in %s", path, root / LOCK_NAME)
    if set(lock.entries) != known:
        lock.write(root)
    return lock


def entries_of(origin: ArtifactOrigin, lock: LockFile) -> list[LockEntry]:
    """What the lock file knows of this artifact; of a directory, the files below it."""
    if isinstance(origin.path, str):
        entry = lock.entries.get(origin.path)
        return [entry] if entry else list(lock.under(origin.path).values())
    return [lock.entries[path] for path in origin.path.values() if path in lock.entries]


def is_locked_anew(root: Path, origin: ArtifactOrigin, lock: LockFile) -> bool:
    """Whether the lock file names other bytes for this artifact by now than `lock` does."""
    try:
        now = LockFile.read(root)
    except LockFileError:
        return False
    return entries_of(origin, now) != entries_of(origin, lock)


def locked_bytes(origin: ArtifactOrigin, lock: LockFile) -> int:
    """The size on disk, as the lock file tells it; 0 for what it does not know."""
    return sum(entry.size for entry in entries_of(origin, lock))


def _files_of(root: Path, origin: ArtifactOrigin) -> list[str]:
    if not isinstance(origin.path, str):
        return list(origin.path.values())
    return walk_files(root, origin.path) if (root / origin.path).is_dir() else [origin.path]
