"""Artifacts that are written anew while the app runs: what is locked serves on until somebody locks
them, which is easily forgotten."""

from __future__ import annotations

import logging
from pathlib import Path

from loadonce.server.workers.locks import Entries

logger = logging.getLogger("loadonce")

_GONE = 0


class WrittenArtifacts:
    """Tells of each artifact once, until `forget`."""

    def __init__(self) -> None:
        self._known: dict[Path, int] = {}  # when each was written last, in nanoseconds
        self._told: set[Path] = set()

    def forget(self) -> None:
        """Another process of the app reads them."""
        self._known.clear()
        self._told.clear()

    def look(self, locks: Entries) -> None:
        """Tell of those in these lock files that were written since the first look at them."""
        for lock, found in locks.items():
            root = Path(lock).parent
            for path in found:
                self._look_at(root, path)

    def _look_at(self, root: Path, path: str) -> None:
        file = root / path
        now = _written_at(file)
        if now in (_GONE, self._known.setdefault(file, now)) or file in self._told:
            return
        self._told.add(file)
        logger.warning(
            "development: %s was written anew; run `loadonce lock %s` to serve it", path, root
        )


def _written_at(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:  # perhaps just between two steps of who writes it
        return _GONE
