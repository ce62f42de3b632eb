"""What is on disk: the lock file that says which bytes are trusted, one verified read of them."""

from __future__ import annotations

from loadonce.artifacts.entry import LOCK_NAME, Golden, LockEntry
from loadonce.artifacts.libraries import (
    check_libraries,
    installed_version,
    installed_versions,
)
from loadonce.artifacts.lock import LockFile
from loadonce.artifacts.reading import measure, read_verified, walk_files
from loadonce.artifacts.source import Source
from loadonce.artifacts.writing import replace_file

__all__ = [
    "LOCK_NAME",
    "Golden",
    "LockEntry",
    "LockFile",
    "Source",
    "check_libraries",
    "installed_version",
    "installed_versions",
    "measure",
    "read_verified",
    "replace_file",
    "walk_files",
]
