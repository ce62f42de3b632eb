"""What the manager asks the disk before it loads: which bytes are trusted, how big they get."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from loadonce.artifacts import LOCK_NAME, LockFile, Source
from loadonce.loaders import find, lock_file

from .declaration import ArtifactOrigin, Declaration, Root

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


def _files_of(root: Path, origin: ArtifactOrigin) -> list[str]:
    if not isinstance(origin.path, str):
        return list(origin.path.values())
    directory = root / origin.path
    if not directory.is_dir():
        return [origin.path]
    files = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return [path.relative_to(root).as_posix() for path in files]


def estimate(declaration: Declaration, source: Source) -> int:
    """About how many bytes the loaded object will take; the size on disk where nobody knows."""
    origin = declaration.origin
    if not isinstance(origin, ArtifactOrigin) or callable(origin.loader):
        return source.size
    if isinstance(origin.path, str):
        return find(origin.loader, origin.path).memory_estimate(source)
    parts = source.files.values()
    return sum(find(origin.loader, part.name).memory_estimate(part) for part in parts)
