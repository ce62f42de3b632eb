"""Bytes to object: one module per format, found by declaration or suffix, never by content."""

from __future__ import annotations

from loadonce.loaders.base import Fork, Loader
from loadonce.loaders.locking import LockReport, lock_directory, lock_file
from loadonce.loaders.table import find

__all__ = ["Fork", "Loader", "LockReport", "find", "lock_directory", "lock_file"]
