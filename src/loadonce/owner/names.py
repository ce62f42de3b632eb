"""Functions and classes by their names, which is all of them that crosses to another process."""

from __future__ import annotations

import importlib
import sys
from functools import lru_cache
from typing import Any

from loadonce.errors import ConfigurationError

Name = tuple[str, str]


@lru_cache(maxsize=512)
def name_of(found: Any) -> Name:
    """The module and the qualified name by which another process finds this function or class.

    Raises:
        ConfigurationError: it cannot be found by a name: a lambda, a function within a function, a
            bound method, a partial.
    """
    module, name = getattr(found, "__module__", None), getattr(found, "__qualname__", None)
    if isinstance(module, str) and isinstance(name, str):
        try:
            if find(module, name) is found:
                return module, name
        except ConfigurationError:
            pass
    raise ConfigurationError(
        f"{name or found!r} cannot be called in a model's own process, which knows functions by "
        "their names only: use a function of a module, not a lambda, an inner function, a bound "
        "method or a partial, and pass what it needs as arguments"
    )


@lru_cache(maxsize=512)
def find(module: str, name: str) -> Any:
    """What a module has under a qualified name; imports the module.

    Raises:
        ConfigurationError: there is no such module or name.
    """
    try:
        found: Any = sys.modules.get(module) or importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"there is no '{name}' in module '{module}'") from error
    return found
