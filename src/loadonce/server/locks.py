"""Lock files, as far as a change of them is a wish to reload."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from loadonce.artifacts import LOCK_NAME
from loadonce.lifecycle.declaration import ArtifactOrigin
from loadonce.lifecycle.locking import resolve_root
from loadonce.lifecycle.registry import Registry

Stamps = dict[str, str]


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
            content = Path(path).read_bytes()
        except OSError:
            continue
        found[path] = hashlib.sha256(content).hexdigest()
    return found


def changed(before: Mapping[str, str]) -> Stamps:
    """The files that are not what they were, as they are now; one that is gone does not count:
    lock files are replaced in one step."""
    now = stamps(before)
    return {path: stamp for path, stamp in now.items() if stamp != before[path]}
