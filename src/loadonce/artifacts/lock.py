"""The lock file: which bytes are trusted, who made them, and what they may ask for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from loadonce.artifacts.entry import LOCK_NAME, LockEntry
from loadonce.artifacts.locktext import REWRITE, parse, render
from loadonce.artifacts.opening import RefusedError, how_to_let_read, read_small_file
from loadonce.artifacts.writing import replace_file
from loadonce.errors import LockFileError

MAX_LOCK_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class LockFile:
    """All trusted files below one root, by path. Values are never changed: see `with_entry`."""

    entries: Mapping[str, LockEntry] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def read(cls, root: Path) -> LockFile:
        """Read `root/models.lock`. Raises LockFileError when it is missing or malformed."""
        return cls(MappingProxyType(parse(_read_text(root))))

    def write(self, root: Path) -> None:
        """Replace `root/models.lock` in one step; a reader sees the old or the new one, never half.

        Raises LockFileError when it cannot be written; the old one is then intact.
        """
        content = render(self.entries).encode()
        try:
            replace_file(root / LOCK_NAME, content)
        except OSError as exc:
            problem = f"the lock file could not be written: {exc.strerror}"
            hint = f"let user {os.geteuid()} write to {root}, and see that there is room"
            raise LockFileError("", problem, path=LOCK_NAME, hint=hint) from exc

    def under(self, prefix: str) -> dict[str, LockEntry]:
        """The entries below the directory `prefix`, by their path relative to it."""
        start = prefix.rstrip("/") + "/"
        return {
            path.removeprefix(start): entry
            for path, entry in self.entries.items()
            if path.startswith(start)
        }

    def with_entry(self, entry: LockEntry) -> LockFile:
        """A copy in which `entry` is added, or replaces the one with the same path."""
        return replace(self, entries=MappingProxyType({**self.entries, entry.path: entry}))


def _read_text(root: Path) -> str:
    try:
        content = read_small_file(root, LOCK_NAME, MAX_LOCK_BYTES)
        return content.decode()
    except FileNotFoundError as exc:
        problem, hint = "there is no lock file", f"run `loadonce lock {root}` and commit the result"
        if not root.is_dir():
            problem = f"the registry's root {root} is no directory"
            hint = "correct `root=`; a relative one counts from the working directory"
        raise LockFileError("", problem, path=LOCK_NAME, hint=hint) from exc
    except UnicodeDecodeError as exc:
        problem = f"the lock file is not valid UTF-8 (byte {exc.start})"
        raise LockFileError("", problem, path=LOCK_NAME, hint=REWRITE) from exc
    except RefusedError as exc:
        problem = f"the lock file cannot be read: {exc.problem}"
        raise LockFileError("", problem, path=LOCK_NAME, hint=exc.hint) from exc
    except OSError as exc:
        problem = f"the lock file cannot be read: {exc.strerror}"
        hint = how_to_let_read(exc) or REWRITE
        raise LockFileError("", problem, path=LOCK_NAME, hint=hint) from exc
