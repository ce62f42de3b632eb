"""The pickle gate: unpicklers that resolve the globals a lock entry lists, and nothing else.

A restricted unpickler is not a sandbox. It is the second of two layers: the bytes are those that
were locked, and what they may import was read out of them by `inert.collect_globals` and shown to
whoever committed the lock file.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterable
from typing import BinaryIO, NoReturn

from loadonce.errors import LoaderFailedError, UntrustedGlobalError
from loadonce.loaders import globalnames
from loadonce.loaders.opcodes import OpcodeUnpickler


class Gate:
    """Resolves globals of one artifact.

    Args:
        path: the artifact, for messages.
        allowed: spelled as `globalnames.spell` does; compared exactly, never by prefix.
    """

    def __init__(self, path: str, allowed: Iterable[str]) -> None:
        self._path = path
        self._allowed = frozenset(allowed)

    def resolve(self, module: str, name: str) -> object:
        """Import what was asked for if it is listed. Raises UntrustedGlobalError otherwise."""
        for candidate in ((module, name), globalnames.modern(module, name)):
            try:
                spelled = globalnames.spell(*candidate)
            except ValueError:
                continue
            if spelled in self._allowed:
                return self._import(*candidate)
        raise self._untrusted(f"{module}.{name}")

    def refuse_extension(self, code: int) -> NoReturn:
        """Registered extension codes stand for globals without naming them: never."""
        raise self._untrusted(f"the extension code {code}")

    def refuse_persistent_id(self) -> NoReturn:
        """Persistent ids stand for objects outside the file: never."""
        raise self._untrusted("a persistent id")

    def _import(self, module: str, name: str) -> object:
        try:
            __import__(module)
            found: object = sys.modules[module]
            for part in name.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as exc:
            raise LoaderFailedError(
                "",
                f"the pickle needs {globalnames.spell(module, name)}: {type(exc).__name__}: {exc}",
                path=self._path,
                hint=_how_to_find(module, exc),
            ) from exc
        return found

    def _untrusted(self, found: str) -> UntrustedGlobalError:
        return UntrustedGlobalError(
            "",
            "the pickle asks for something its lock entry does not list; loading stopped there",
            path=self._path,
            expected=f"one of the {len(self._allowed)} globals in its lock entry",
            found=found[:200],
            hint="if you made this file and trust it, run `loadonce lock DIR` and read the diff",
        )


class GatedUnpickler(pickle.Unpickler):
    """The fast unpickler (C), for plain pickle streams."""

    def __init__(self, file: BinaryIO, gate: Gate) -> None:
        super().__init__(file)
        self._gate = gate

    def find_class(self, module_name: str, global_name: str, /) -> object:
        return self._gate.resolve(module_name, global_name)

    def persistent_load(self, pid: object, /) -> NoReturn:
        self._gate.refuse_persistent_id()


class SlowGatedUnpickler(OpcodeUnpickler):
    """The same in Python: lets other code see each opcode, as extension codes and joblib need."""

    def __init__(self, file: BinaryIO, gate: Gate) -> None:
        super().__init__(file)
        self._gate = gate

    def find_class(self, module: str, name: str) -> object:
        return self._gate.resolve(module, name)

    def get_extension(self, code: int) -> NoReturn:
        self._gate.refuse_extension(code)

    def persistent_load(self, pid: object) -> NoReturn:
        self._gate.refuse_persistent_id()


def unpickler(file: BinaryIO, gate: Gate) -> GatedUnpickler | SlowGatedUnpickler:
    """The fastest unpickler that cannot get round the gate.

    The C one serves extension codes from a cache without calling `find_class`; where a program has
    registered any (hardly one does), the Python one is used.
    """
    import copyreg

    if copyreg._extension_registry:  # type: ignore[attr-defined]  # the only place that tells
        return SlowGatedUnpickler(file, gate)
    return GatedUnpickler(file, gate)


def _how_to_find(module: str, error: Exception) -> str:
    if module == globalnames.SCRIPT:
        return globalnames.MOVE_OUT_OF_SCRIPT
    if isinstance(error, ModuleNotFoundError):
        return f"install '{error.name}', or say where it lies (--app-dir, PYTHONPATH)"
    if isinstance(error, ImportError):
        return f"make `import {module}` work here"
    return f"give it back to '{module}', or save the model anew with what is there now"
