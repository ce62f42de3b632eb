"""Lock files, as far as a change of them is a wish to reload."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from loadonce.artifacts import LOCK_NAME
from loadonce.lifecycle.declaration import ArtifactOrigin
from loadonce.lifecycle.locking import resolve_root
from loadonce.lifecycle.registry import Registry

Stamps = dict[str, tuple[int, ...]]


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
    """What changes when one of these files is replaced."""
    found: Stamps = {}
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            continue
        found[path] = (status.st_ino, status.st_mtime_ns, status.st_size)
    return found


def changed(before: Mapping[str, object]) -> Stamps:
    """The files that are not what they were, as they are now; one that is gone does not count:
    lock files are replaced in one step."""
    now = stamps(before)
    return {path: stamp for path, stamp in now.items() if list(stamp) != before[path]}
