"""Where the artifacts lie, and which of their bytes are trusted."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from loadonce.artifacts import LOCK_NAME, LockFile, walk_files
from loadonce.loaders import lock_file

from .declaration import ArtifactOrigin, Root

logger = logging.getLogger("loadonce")


def resolve_root(root: Root) -> Path:
    """The directory now, where a callable decides late."""
    return Path(os.fspath(root() if callable(root) else root)).absolute()


def read_lock(root: Path, origin: ArtifactOrigin, *, is_development: bool) -> LockFile:
    """The lock file of `root`; in development an artifact it does not know is locked first.

    Raises:
        LockFileError: it is missing (outside development) or malformed.
    """
    if not is_development:
        return LockFile.read(root)
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


def locked_bytes(origin: ArtifactOrigin, lock: LockFile) -> int:
    """The size on disk, as the lock file tells it; 0 for what it does not know."""
    if isinstance(origin.path, str):
        entry = lock.entries.get(origin.path)
        known = [entry] if entry else list(lock.under(origin.path).values())
    else:
        known = [lock.entries[path] for path in origin.path.values() if path in lock.entries]
    return sum(entry.size for entry in known)


def _files_of(root: Path, origin: ArtifactOrigin) -> list[str]:
    if not isinstance(origin.path, str):
        return list(origin.path.values())
    return walk_files(root, origin.path) if (root / origin.path).is_dir() else [origin.path]
