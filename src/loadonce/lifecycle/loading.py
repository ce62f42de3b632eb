"""How one artifact becomes an object: by which loaders, beside which others, at what cost."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from loadonce.artifacts import LockEntry, Source
from loadonce.inference.threads import run_in_thread
from loadonce.loaders import Fork, Loader, find
from loadonce.loaders.locking import NO_FORMAT

from .declaration import ArtifactOrigin

_WHOLE = ""


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """The loaders of one artifact, by the name of the file each reads; "" reads all there is.

    Empty for a user's own function.
    """

    origin: ArtifactOrigin
    loaders: Mapping[str, Loader]

    @classmethod
    def of(cls, origin: ArtifactOrigin, formats: Mapping[str, str]) -> LoadPlan:
        """The plan for what was declared; looks at no file.

        Args:
            origin: the declaration; what it says counts first.
            formats: what the lock file says, by path: see `locked_formats`.

        Raises:
            UnknownFormatError: nothing reads that format or suffix.
            MissingExtraError: its library is not installed.
        """
        if callable(origin.loader):
            return cls(origin, {})
        if isinstance(origin.path, str):
            return cls(origin, {_WHOLE: find_locked(origin, formats, origin.path)})
        loaders = {name: find_locked(origin, formats, path) for name, path in origin.path.items()}
        for loader in loaders.values():
            if origin.loader is not None and loader.takes_files:
                return cls(origin, {_WHOLE: loader})
        return cls(origin, loaders)

    @property
    def holds_gil(self) -> bool:
        """Whether loading keeps other threads from running Python code."""
        return any(loader.holds_gil for loader in self.loaders.values())

    def why_after_fork(self, declared: Fork | None) -> str:
        """Why the object cannot be loaded before a fork and used after it; "" if it can."""
        if declared is not None:
            return 'fork="after"' if declared == "after" else ""
        for loader in self.loaders.values():
            if loader.crosses_fork(self.origin.options) == "after":
                return f"{loader.name} objects do not survive a fork"
        return ""

    def memory_estimate(self, source: Source) -> int:
        """About how many bytes the object will take; the size on disk where nobody knows."""
        if not self.loaders:
            return source.size
        return sum(
            loader.memory_estimate(_part(source, name)) for name, loader in self.loaders.items()
        )

    async def load(self, model: str, source: Source, admit: Callable[[int], None]) -> object:
        """Run the loaders (or the user's function) on verified bytes.

        Args:
            model: the model's name.
            source: the bytes.
            admit: told the memory estimate before anything is loaded; raises to refuse.
        """
        if callable(self.origin.loader):
            admit(self.memory_estimate(source))
            return await call(f"load-{model}", self.origin.loader, source)
        return await run_in_thread(lambda: self._read(source, admit), f"load-{model}")

    def _read(self, source: Source, admit: Callable[[int], None]) -> object:
        admit(self.memory_estimate(source))  # in the thread, for it may import the format's library
        options = self.origin.options
        read = {
            name: loader.load(_part(source, name), **options)
            for name, loader in self.loaders.items()
        }
        return read.get(_WHOLE, read)


def locked_formats(entries: Iterable[LockEntry]) -> dict[str, str]:
    """The formats that the lock file tells, by path."""
    return {entry.path: entry.format for entry in entries if entry.format != NO_FORMAT}


def find_locked(origin: ArtifactOrigin, formats: Mapping[str, str], path: str) -> Loader:
    """The loader as declared, else as locked, else by the suffix. Raises as `find` does."""
    assert not callable(origin.loader)
    return find(origin.loader or formats.get(path), path)


async def call(thread: str, function: Callable[..., Any], *arguments: object) -> Any:
    """Call a user's function: on the loop if it is a coroutine function, else in a thread."""
    if inspect.iscoroutinefunction(function):
        return await function(*arguments)
    result = await run_in_thread(lambda: function(*arguments), thread)
    return await result if inspect.isawaitable(result) else result


def _part(source: Source, name: str) -> Source:
    return source.files[name] if name else source
