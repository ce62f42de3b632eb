"""Files that are locked, honestly or not, and opened as sources."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from loadonce.artifacts import LockFile, Source, measure, read_verified
from loadonce.loaders import find, lock_file


class Shelf:
    """A directory of artifacts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.opened: list[Source] = []

    def put(self, name: str, content: bytes) -> str:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return name

    def locked(self, name: str, *, allow: Iterable[str] = (), format: str | None = None) -> Source:
        """Lock the file honestly and read it."""
        entry = lock_file(self.root, name, allow=allow, format=format)
        return self._keep(read_verified(self.root, name, LockFile({name: entry})))

    def vouched(self, name: str, format: str, names: Iterable[str] = ()) -> Source:
        """The file under a lock entry that says `format` and `names`, true or not."""
        measured = measure(self.root, name)
        entry = dataclasses.replace(measured.entry, format=format, globals=tuple(names))
        measured.close()
        return self._keep(read_verified(self.root, name, LockFile({name: entry})))

    def together(self, names: dict[str, str] | str, *files: str) -> Source:
        """Several files, locked honestly, as one source."""
        lock = LockFile({file: lock_file(self.root, file) for file in files})
        return self._keep(read_verified(self.root, names, lock))

    def load(self, name: str, loader: str | None = None, **options: object) -> object:
        """Lock honestly, find the loader, load."""
        return find(loader, name).load(self.locked(name, format=loader), **options)

    def _keep(self, source: Source) -> Source:
        self.opened.append(source)
        return source


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path)
    yield shelf
    for source in shelf.opened:
        source.close()
