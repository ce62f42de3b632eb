"""A registry's root with files in it, and the lock file that vouches for them."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadonce.artifacts import LockFile, measure


class Root:
    """A directory whose files can be written and locked in one line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, content: bytes = b"the bytes of a model") -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def lock(self, *names: str) -> LockFile:
        """Vouch for the files as they are now."""
        lock = LockFile()
        for name in names:
            source = measure(self.path, name)
            lock = lock.with_entry(dataclasses.replace(source.entry, format="file"))
            source.close()
        return lock


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


@pytest.fixture
def unprivileged() -> Iterator[Root]:
    """A root for a test that runs without root's right to read everything."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        was = os.geteuid()
        try:
            yield Root(Path(name))
        finally:
            os.seteuid(was)


@pytest.fixture
def open_fds() -> Iterator[None]:
    """Fails when the test leaves a descriptor open."""
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert set(os.listdir("/proc/self/fd")) <= before
