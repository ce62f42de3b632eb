"""The lock file: which bytes are trusted, who made them, and what they may ask for."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from loadonce.errors import LockFileError

LOCK_NAME = "models.lock"
MAX_LOCK_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Golden:
    """One example with its expected output, checked after every load.

    Args:
        method: what is called on the loaded object, e.g. "predict_proba".
        input: its argument, as a JSON value.
        output: what must come out, as a JSON value.
        rtol: relative tolerance for numbers.
        atol: absolute tolerance for numbers.
    """

    method: str
    input: object
    output: object
    rtol: float = 1e-6
    atol: float = 1e-8


@dataclass(frozen=True, slots=True)
class LockEntry:
    """What is known about one trusted file.

    Args:
        path: relative to the root, with forward slashes.
        size: in bytes.
        sha256: 64 lower-case hex digits.
        format: the name of the loader that reads it.
        libraries: distribution name to the version that was installed when it was locked.
        globals: what a pickle may import: "module.Name", or "module:Outer.Inner" for dotted names.
        version: a declared label; clients see the first 12 digits of the digest otherwise.
        golden: an example that must come out the same.
    """

    path: str
    size: int
    sha256: str
    format: str
    libraries: Mapping[str, str] = field(default_factory=dict[str, str])
    globals: tuple[str, ...] = ()
    version: str | None = None
    golden: Golden | None = None

    @property
    def label(self) -> str:
        """The version clients see: the declared one, or the first 12 hex digits of the digest."""
        return self.version or self.sha256[:12]


@dataclass(frozen=True, slots=True)
class LockFile:
    """All trusted files below one root, by path. Values are never changed: see `with_entry`."""

    entries: Mapping[str, LockEntry] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def read(cls, root: Path) -> LockFile:
        """Read `root/models.lock`. Raises LockFileError when it is missing or malformed."""
        from loadonce.artifacts.locktext import parse

        return cls(MappingProxyType(parse(_read_text(root))))

    def write(self, root: Path) -> None:
        """Replace `root/models.lock` in one step; a reader sees the old or the new one, never half.

        Raises LockFileError when it cannot be written; the old one is then intact.
        """
        from loadonce.artifacts.locktext import render

        content = render(self.entries).encode()
        temporary = root / f".{LOCK_NAME}.{secrets.token_hex(8)}"
        try:
            try:
                _write_durably(temporary, content)
                os.replace(temporary, root / LOCK_NAME)
            finally:
                temporary.unlink(missing_ok=True)
            _sync_directory(root)
        except OSError as exc:
            raise LockFileError(
                "", f"the lock file could not be written: {exc.strerror}", path=LOCK_NAME
            ) from exc

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
    from loadonce.artifacts.opening import read_small_file

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
        raise LockFileError("", problem, path=LOCK_NAME) from exc
    except OSError as exc:
        problem = f"the lock file cannot be read: {exc.strerror}"
        raise LockFileError("", problem, path=LOCK_NAME) from exc


def _write_durably(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with open(os.open(path, flags, 0o644), "wb") as file:
        os.fchmod(file.fileno(), 0o644)  # whatever the umask: other users' servers read it
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(root: Path) -> None:
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
