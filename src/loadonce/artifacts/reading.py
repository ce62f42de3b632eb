"""One verified read: open once, read once, compare with the lock, hand out those very bytes."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path

from loadonce.artifacts.buffer import SealedBuffer
from loadonce.artifacts.entry import LOCK_NAME, LockEntry
from loadonce.artifacts.lock import LockFile
from loadonce.artifacts.names import problem_with
from loadonce.artifacts.opening import (
    RefusedError,
    how_to_let_read,
    list_beneath,
    open_beneath,
)
from loadonce.artifacts.source import Source
from loadonce.errors import (
    ArtifactCorruptError,
    ArtifactError,
    ArtifactNotFoundError,
    ArtifactNotLockedError,
    ArtifactUnreadableError,
)
from loadonce.observe.shortage import advice_for

_RESTORE = "restore the file, or run `loadonce lock DIR` if you meant to change it"
_BELOW = "name a file below the root; one elsewhere has its own: `artifact(..., root=...)`"
_MAX_DEPTH = 32  # less than the links one path may have, so that a circle is found here


def read_verified(root: Path, path: str | Mapping[str, str], lock: LockFile) -> Source:
    """Read the artifact `path` below `root` and compare it with `lock`. Blocks: use a thread.

    Each file is opened once and read once; what was hashed is what the Source holds, so a file that
    is replaced at any moment gives the old bytes, the new bytes if they are locked, or an error.

    Args:
        root: the registry's root; may itself be a symbolic link.
        path: a file; a directory, then all locked files below it and no others; or several files by
            name.
        lock: which bytes are trusted.

    Raises:
        ArtifactNotFoundError, ArtifactUnreadableError, ArtifactCorruptError,
        ArtifactNotLockedError: nothing was kept open.
    """
    if not isinstance(path, str):
        return _read_several(root, ", ".join(path.values()), path, lock)
    _require_name(path)
    if path in lock.entries:
        return _read_one(root, lock.entries[path])
    if below := lock.under(path):
        _refuse_unlocked(root, path, below)
        return _read_several(root, path, {name: e.path for name, e in below.items()}, lock)
    raise _not_locked(root, path)


def measure(root: Path, path: str) -> Source:
    """Read a file that nobody vouches for, to lock it: the entry holds what was found.

    The Source's entry has an empty format. Raises as `read_verified` does, except for what needs a
    lock file.
    """
    _require_name(path)
    buffer = _read_bytes(root, path, None)
    entry = LockEntry(path, len(buffer.view), _digest(buffer.view), format="")
    return Source(entry, buffer)


def walk_files(root: Path, path: str = "") -> list[str]:
    """The files below the directory `path` by their path from `root`, sorted, without hidden ones
    and lock files, those of other roots below this one included.

    Links are followed as far as they stay below the root. Raises ArtifactUnreadableError.
    """
    return sorted(_walk(root, path, _MAX_DEPTH))


def _walk(root: Path, path: str, depth: int) -> list[str]:
    found: list[str] = []
    with _translated(path or "."):
        entries = list_beneath(root, path)
    for name, is_directory in entries:
        below = f"{path}/{name}" if path else name
        if name.startswith(".") or name == LOCK_NAME:
            continue
        if not is_directory:
            found.append(below)
        elif depth:
            found += _walk(root, below, depth - 1)
        else:
            problem = f"directories are nested more than {_MAX_DEPTH} deep"
            hint = "look for a symbolic link that leads back to its own parent"
            raise ArtifactUnreadableError("", problem, path=below, hint=hint)
    return found


def _read_one(root: Path, entry: LockEntry) -> Source:
    started = time.monotonic()
    buffer = _read_bytes(root, entry.path, entry)
    digest = _digest(buffer.view)
    if len(buffer.view) != entry.size or digest != entry.sha256:
        found = _describe(digest, len(buffer.view))
        buffer.close()
        raise _corrupt(entry, found)
    source = Source(entry, buffer)
    source.read_seconds = time.monotonic() - started
    return source


def _read_several(root: Path, path: str, names: Mapping[str, str], lock: LockFile) -> Source:
    files: dict[str, Source] = {}
    try:
        for name in sorted(names):
            files[name] = read_verified(root, names[name], lock)
    except BaseException:
        for file in files.values():
            file.close()
        raise
    return Source(_together(path, files), files=files)


def _together(path: str, files: Mapping[str, Source]) -> LockEntry:
    """One entry for several files: summed size, digest of digests, everything else united."""
    lines = "".join(f"{name}:{file.sha256}\n" for name, file in sorted(files.items()))
    versions = {file.entry.version for file in files.values()}
    return LockEntry(
        path=path,
        size=sum(file.size for file in files.values()),
        sha256=hashlib.sha256(lines.encode()).hexdigest(),
        format="",
        libraries={k: v for file in files.values() for k, v in file.entry.libraries.items()},
        globals=tuple(sorted({name for file in files.values() for name in file.entry.globals})),
        version=versions.pop() if len(versions) == 1 else None,
    )


def _read_bytes(root: Path, path: str, entry: LockEntry | None) -> SealedBuffer:
    with _translated(path):
        fd = open_beneath(root, path)
        try:
            size = os.fstat(fd).st_size
            if entry is not None and size != entry.size:
                raise _corrupt(entry, f"{size} bytes")
            return SealedBuffer.read(fd, size)
        finally:
            os.close(fd)


class _translated:
    """Turns what opening and reading raise into an error about the artifact."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        if isinstance(exc, RefusedError):
            raise ArtifactUnreadableError("", exc.problem, path=self._path, hint=exc.hint) from None
        if isinstance(exc, OSError):
            raise _from_os_error(self._path, exc) from exc


def _from_os_error(path: str, exc: OSError) -> ArtifactError:
    if exc.errno == errno.ENOENT:
        hint = "put the file there, or correct the declared path or the registry's root"
        return ArtifactNotFoundError("", "nothing exists at this path", path=path, hint=hint)
    problem = f"cannot be read: {exc.strerror}"
    hint = how_to_let_read(exc) or advice_for(exc)
    if exc.errno == errno.EISDIR:
        problem, hint = "a directory, not a file", "name the file, or lock what is below it"
    if exc.errno == errno.ELOOP:
        problem, hint = "its symbolic links run in a circle", "put the file itself there"
    return ArtifactUnreadableError("", problem, path=path, hint=hint)


def _require_name(path: str) -> None:
    if reason := problem_with(path):
        shown = path.encode("utf-8", "backslashreplace").decode()
        raise ArtifactUnreadableError(
            "", reason, path=shown if shown.isprintable() else repr(shown), hint=_BELOW
        )


def _refuse_unlocked(root: Path, path: str, locked: Mapping[str, LockEntry]) -> None:
    for file in walk_files(root, path):
        if file.removeprefix(f"{path}/") not in locked:
            raise _not_locked(root, file)


def _not_locked(root: Path, path: str) -> ArtifactError:
    hint = f"look at the file, then run `loadonce lock {root}` if you trust it"
    try:
        os.close(open_beneath(root, path))
    except FileNotFoundError as exc:
        return _from_os_error(path, exc)
    except (OSError, RefusedError):
        pass
    return ArtifactNotLockedError("", f"not in {LOCK_NAME}", path=path, hint=hint)


def _corrupt(entry: LockEntry, found: str) -> ArtifactCorruptError:
    return ArtifactCorruptError(
        "",
        f"differs from {LOCK_NAME}; nothing of it was loaded",
        path=entry.path,
        expected=_describe(entry.sha256, entry.size),
        found=found,
        hint=_RESTORE,
    )


def _describe(sha256: str, size: int) -> str:
    return f"sha256 {sha256[:12]}, {size} bytes"


def _digest(view: memoryview) -> str:
    return hashlib.sha256(view).hexdigest()
