"""Which artifact paths are acceptable: relative, plain, below the root, the same everywhere."""

from __future__ import annotations


def problem_with(path: str) -> str:
    """Why `path` cannot name an artifact, in a few words; empty when it can.

    An artifact's path is relative to the registry's root, uses forward slashes, and has no empty,
    `.` or `..` component, so that one file has exactly one name.
    """
    if not path:
        return "the path is empty"
    if not path.isprintable():
        return "the path has control characters, or is not valid UTF-8"
    if "\\" in path:
        return "the path has a backslash; use forward slashes"
    if path.startswith("/"):
        return "the path is absolute; it must be relative to the root"
    parts = path.split("/")
    if ".." in parts:
        return "the path has a '..' component; it must stay below the root"
    if "" in parts or "." in parts:
        return "the path has an empty or '.' component; write it plainly"
    return ""
