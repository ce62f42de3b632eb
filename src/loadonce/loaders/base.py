"""What a loader is: a name, the suffixes it answers to, and a function from verified bytes."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from loadonce.artifacts import Source
from loadonce.errors import (
    ConfigurationError,
    LoaderFailedError,
    LoadOnceError,
    MissingExtraError,
)
from loadonce.observe.shortage import advice_for

Fork = Literal["inherit", "after"]


def _twice_the_file(source: Source) -> int:
    return 2 * source.size


def no_globals(source: Source) -> tuple[str, ...]:
    """For formats that cannot name any."""
    return ()


def only_on_one_thread(options: Mapping[str, object]) -> Fork:
    """For libraries that start threads of their own if the option `threads` is above 1."""
    return "inherit" if options.get("threads", 1) == 1 else "after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """Turns the verified bytes of one format into an object.

    Third parties publish an instance under the entry point group `loadonce.loaders`.

    Args:
        name: what `artifact(..., loader=name)` and the lock file call it.
        read: `read(source, **options)` returns the object. Runs in a thread. May raise anything.
        suffixes: file suffixes that choose it, in lower case with their dot.
        aliases: further names for `loader=`.
        extra: the extra of loadonce that installs its libraries.
        modules: the modules `read` imports; looked for, not imported, before anything is read.
        libraries: distributions whose versions go into the lock file.
        takes_files: whether it reads several files as one object (ONNX with external data); others
            read each of several files by itself.
        holds_gil: whether reading holds the interpreter lock, so that two at once are no faster.
        fork: whether an object that was loaded before a fork works in the forked processes
            ("inherit"), or each must load its own ("after"); or a function of the options that
            tells. Objects with native threads or handles of a device do not.
        estimate: bytes of memory the object will take, the source's own bytes not counted.
        find_globals: what the file would import, for the lock file. Must not execute any of it.
    """

    name: str
    read: Callable[..., object]
    suffixes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    extra: str = ""
    modules: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    takes_files: bool = False
    holds_gil: bool = True
    fork: Fork | Callable[[Mapping[str, object]], Fork] = "inherit"
    estimate: Callable[[Source], int] = _twice_the_file
    find_globals: Callable[[Source], tuple[str, ...]] = no_globals

    def load(self, source: Source, **options: object) -> object:
        """Read the object.

        Raises:
            ConfigurationError: an option this loader does not know.
            MissingExtraError: its library is not installed.
            LoaderFailedError: reading raised; the cause is chained.
            UntrustedGlobalError: a pickle asked for what its lock entry does not list.
        """
        self.check_options(options)
        self.require_libraries(source.name)
        try:
            return self.read(source, **options)
        except LoadOnceError:
            raise
        except Exception as exc:
            raise LoaderFailedError(
                "",
                f"the {self.name} loader failed: {type(exc).__name__}: {exc}",
                path=source.name,
                hint=self._hint(exc),
            ) from exc

    def _hint(self, cause: Exception) -> str:
        if isinstance(cause, ModuleNotFoundError):
            return f"install '{cause.name}', or say where it lies (--app-dir, PYTHONPATH)"
        return advice_for(cause) or f"check that the file really is of format '{self.name}'"

    def crosses_fork(self, options: Mapping[str, object]) -> Fork:
        """Whether what is read with these options may be loaded before a fork."""
        return self.fork(options) if callable(self.fork) else self.fork

    def memory_estimate(self, source: Source) -> int:
        """About how many bytes the loaded object will take, beside the source's own bytes.

        A file whose own figures cannot be read counts as twice its size.
        """
        try:
            return self.estimate(source)
        except Exception:
            return _twice_the_file(source)

    def check_options(self, options: dict[str, object]) -> None:
        """Raise ConfigurationError, naming the known options, if one of `options` is unknown."""
        parameters = list(inspect.signature(self.read).parameters.values())[1:]
        takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
        known = [parameter.name for parameter in parameters]
        for name in options:
            if name not in known and not takes_any:
                raise ConfigurationError(
                    f"the {self.name} loader has no option '{name}'; "
                    f"it knows: {', '.join(known) or 'none'}"
                )

    def require_libraries(self, path: str) -> None:
        """Raise MissingExtraError if a module it needs is not installed. Imports none of them."""
        for module in self.modules:
            if sys.modules.get(module) is None and importlib.util.find_spec(module) is None:
                raise MissingExtraError(
                    "",
                    f"reading {self.name} files needs '{module}', which is not installed",
                    path=path,
                    hint=f"pip install 'loadonce[{self.extra}]'"
                    if self.extra
                    else f"pip install {module}",
                )
