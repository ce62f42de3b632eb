"""The snapshot: what the lock files said when the models were loaded, for those that load later."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from loadonce.artifacts import LockFile

from .declaration import ArtifactOrigin
from .locking import resolve_root


class LockSnapshot:
    """Each lock file of a registry, read once, so that whatever loads belongs to one set.

    Processes that are forked from one that has it have it, too. Its methods block.

    Args:
        root: where the artifacts lie that name no root of their own.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._locks: dict[Path, LockFile] = {}
        self._roots: dict[int, Path] = {}  # by the identity of an origin, which lives as long

    def lacks(self, origins: Iterable[ArtifactOrigin]) -> bool:
        """Whether the lock file of any has not been read; does not block."""
        return any(self._roots.get(id(origin)) not in self._locks for origin in origins)

    def take(self, origins: Iterable[ArtifactOrigin]) -> None:
        """Read the lock files of these. What cannot be read is left to the load that needs it,
        which tells why."""
        for origin in origins:
            with suppress(Exception):
                self.lock_of(origin)

    def root_of(self, origin: ArtifactOrigin) -> Path:
        """Where this artifact lies. Raises what a root that is a function does."""
        root = self._roots.get(id(origin))
        if root is None:
            root = self.root if origin.root is None else resolve_root(origin.root)
            self._roots[id(origin)] = root
        return root

    def lock_of(self, origin: ArtifactOrigin) -> LockFile:
        """What counts for this artifact.

        Raises:
            LockFileError: it is missing or malformed.
        """
        root = self.root_of(origin)
        if root not in self._locks:
            self._locks[root] = LockFile.read(root)
        return self._locks[root]

    def anew(self) -> LockSnapshot:
        """One that nothing was read for yet."""
        return LockSnapshot(self.root)

    def follow(self, newer: LockSnapshot) -> None:
        """What this one has read counts from now on."""
        self._locks |= newer._locks
        self._roots |= newer._roots
