"""Which globals `loadonce lock` accepts by itself: exact names, and sklearn's own classes."""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from loadonce.errors import UntrustedGlobalError
from loadonce.loaders import globalnames
from loadonce.loaders.allowednames import ALLOWED

_SHOWN = 10
# Parts of sklearn that do more than hold fitted numbers: run code, open files or sockets, test.
_NOT_IN_SKLEARN = frozenset(
    {
        "_build_utils",
        "callback",
        "conftest",
        "datasets",
        "experimental",
        "externals",
        "inspection",
        "tests",
        "utils",
    }
)
# What no model needs, whoever made it: modules that act on the machine, and ways to run any code.
_ACTING_MODULES = frozenset(
    [
        "ctypes",
        "importlib",
        "nt",
        "os",
        "posix",
        "pty",
        "runpy",
        "shutil",
        "socket",
        "subprocess",
        "sys",
        "webbrowser",
    ]
)
_ACTING = frozenset(
    f"builtins.{name}" for name in ("__import__", "compile", "eval", "exec", "open")
)


def untrusted(names: Iterable[str], allow: Collection[str] = ()) -> tuple[str, ...]:
    """Those of `names` that are neither accepted nor exactly in `allow`. Imports nothing."""
    return tuple(name for name in names if name not in allow and not is_accepted(name))


def is_accepted(name: str) -> bool:
    """Whether a global is in the built-in list, or a class that sklearn's own source defines."""
    module, attribute = globalnames.split(name)
    try:
        spelled = _present(module, attribute)
    except ValueError:
        return False
    return spelled in ALLOWED or attribute in _sklearn_classes(module)


def require_trusted(path: str, names: Iterable[str], allow: Collection[str]) -> None:
    """Raise UntrustedGlobalError, listing the names and how to allow them, if there are any."""
    found = untrusted(names, allow)
    if not found:
        return
    shown = ", ".join(found[:_SHOWN]) + (
        f" and {len(found) - _SHOWN} more" if found[_SHOWN:] else ""
    )
    raise UntrustedGlobalError(
        "",
        "the pickle imports what is not known to be harmless; it was not locked, nothing was run",
        path=path,
        expected="classes and functions of sklearn, numpy, scipy, pandas, xgboost or lightgbm that "
        "hold or compute numbers",
        found=shown,
        hint=_advice(found),
    )


def _advice(found: Sequence[str]) -> str:
    """How to allow the names; but nobody is told to allow what runs commands."""
    acting = [name for name in found if _acts(name)]
    if acting:
        return f"do not load this file: a model has no use for it ({acting[0]})"
    if all(globalnames.split(name)[0] == globalnames.SCRIPT for name in found):
        return globalnames.MOVE_OUT_OF_SCRIPT
    allow = " ".join(f"--allow {name}" for name in found[:_SHOWN])
    return (
        f"if these are yours, run `loadonce lock DIR {allow}`; if you do not know them, do not "
        "load this file"
    )


def _acts(name: str) -> bool:
    return name in _ACTING or globalnames.split(name)[0].partition(".")[0] in _ACTING_MODULES


def _present(module: str, attribute: str) -> str:
    """Numpy 1 spells its core without an underscore, and numpy 2 still understands that."""
    if module == "numpy.core" or module.startswith("numpy.core."):
        module = "numpy._core" + module.removeprefix("numpy.core")
    return globalnames.spell(module, attribute)


@functools.cache
def _sklearn_classes(module: str) -> frozenset[str]:
    """The classes a module of sklearn defines, read from its source without importing it."""
    parts = module.split(".")
    if parts[0] != "sklearn" or not _NOT_IN_SKLEARN.isdisjoint(parts):
        return frozenset()
    package = _package_directory("sklearn")
    source = package and package.joinpath(*parts[1:]).with_suffix(".py")
    if not source or not source.is_file():
        return frozenset()
    tree = ast.parse(source.read_bytes())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.ClassDef))


def _package_directory(name: str) -> Path | None:
    """Where a top-level package lies. Finding one of those imports nothing, unlike a submodule."""
    found = importlib.util.find_spec(name)
    places = found and found.submodule_search_locations
    return Path(places[0]) if places else None
