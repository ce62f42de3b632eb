"""Open a file below a root without ever leaving it: one component at a time, every link looked at.

The walk is `openat` with `O_NOFOLLOW`, so there is no moment between a check and a use in which a
component could be swapped. Symbolic links are followed only by putting their (relative) target back
on the walk; `..` steps back to a directory that is still held open, never above the root. This is
what Linux's openat2(RESOLVE_BENEATH) does, in portable steps; Kubernetes' `..data` links work.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from pathlib import Path

_DIRECTORY = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_LISTING = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MAX_LINKS = 40


class RefusedError(Exception):
    """A path is refused although the system would open it; says why and what to do."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


def open_beneath(root: Path, path: str) -> int:
    """A descriptor for reading the regular file `path` below `root`. The root may be a link itself.

    Never blocks (FIFOs, sockets and devices are refused). Raises OSError as `open` does, or
    RefusedError for a path that leaves the root, or anything but a regular file with one name.
    """
    fd = _walk(root, path)
    try:
        _require_plain_file(os.fstat(fd))
    except BaseException:
        os.close(fd)
        raise
    return fd


def list_beneath(root: Path, path: str) -> list[tuple[str, bool]]:
    """The names in the directory `path` ("" is the root), sorted, each with whether it is one too.

    Raises OSError (NotADirectoryError for a file), or RefusedError as `open_beneath` does.
    """
    fd = _walk(root, path, directory=True)
    try:
        return sorted((name, _is_directory(root, path, name, fd)) for name in os.listdir(fd))
    finally:
        os.close(fd)


def read_small_file(root: Path, path: str, max_bytes: int) -> bytes:
    """The content of a regular file below `root`; OSError if it is larger than `max_bytes`.

    Raises as `open_beneath` does.
    """
    with open(open_beneath(root, path), "rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"larger than {max_bytes} bytes")
    return content


def how_to_let_read(failure: OSError) -> str:
    """What to do about a file for which this process lacks the right, or a descriptor; "" where
    something else is the matter."""
    if failure.errno == errno.EACCES:
        return f"let user {os.geteuid()} read the file and enter its directories"
    if failure.errno in (errno.EMFILE, errno.ENFILE):
        return "raise the limit of open files (`ulimit -n`, LimitNOFILE= of systemd)"
    return ""


def _is_directory(root: Path, path: str, name: str, fd: int) -> bool:
    mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
    if not stat.S_ISLNK(mode):
        return stat.S_ISDIR(mode)
    try:
        os.close(_walk(root, f"{path}/{name}" if path else name, directory=True))
    except (OSError, RefusedError):
        return False  # a file, or something whose opening will say what is wrong with it
    return True


def _walk(root: Path, path: str, *, directory: bool = False) -> int:
    held = [os.open(root, _DIRECTORY & ~os.O_NOFOLLOW)]
    todo = deque(path.split("/"))
    links = 0
    try:
        while todo:
            name = todo.popleft()
            if name in ("", "."):
                continue
            if name == "..":
                _step_back(held)
                continue
            try:
                wanted = _DIRECTORY if todo or directory else _FILE
                fd = os.open(name, wanted, dir_fd=held[-1])
            except OSError as exc:
                links += 1
                todo.extendleft(reversed(_link_target(name, held[-1], links, exc)))
                continue
            if wanted == _FILE:
                return fd
            held.append(fd)
        if not directory:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        return os.open(".", _LISTING, dir_fd=held[-1])
    finally:
        for fd in held:
            os.close(fd)


def _step_back(held: list[int]) -> None:
    if len(held) == 1:
        raise RefusedError("a symbolic link leaves the root", "put the file itself below the root")
    os.close(held.pop())


def _link_target(name: str, parent: int, links: int, failure: OSError) -> list[str]:
    """The components of a link's target, or the failure again if `name` is not a link."""
    if failure.errno not in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):
        raise failure
    try:
        target = os.readlink(name, dir_fd=parent)
    except OSError:
        raise failure from None
    if links > _MAX_LINKS:
        raise failure
    if target.startswith("/"):
        raise RefusedError(
            "a symbolic link is absolute, so it may leave the root",
            "make the link relative, or put the file itself below the root",
        )
    return target.split("/")


def _require_plain_file(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise RefusedError("not a regular file", "put a regular file there")
    if status.st_nlink > 1:  # 0: it was replaced since it was opened, which harms nobody
        raise RefusedError(
            f"the file has {status.st_nlink} hard links, so it can be changed through another name",
            "copy it (with uv: `--link-mode=copy`)",
        )
