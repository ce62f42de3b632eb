"""Which modules are the app's own: those whose code may change while somebody works on it."""

from __future__ import annotations

import sys
import sysconfig
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_INSTALLED = {"site-packages", "dist-packages"}


@cache
def is_own(module: str) -> bool:
    """Whether a module is neither Python's, nor installed, nor ours. Imports nothing."""
    top = module.partition(".")[0]
    if top in sys.builtin_module_names or top in sys.stdlib_module_names:
        return False
    if top == "loadonce":  # which may be a clone
        return False
    places = _places(top)
    return (
        top == "__main__" or not places or any(not _is_installed(Path(place)) for place in places)
    )


def _places(top: str) -> list[str]:
    try:
        spec = find_spec(top)
    except ValueError:  # made by a program, not by an import
        return []
    if spec is None:
        return []
    return [spec.origin] if spec.has_location and spec.origin else list(_folders(spec))


def _folders(spec: object) -> list[str]:
    return list(getattr(spec, "submodule_search_locations", None) or ())


def _is_installed(place: Path) -> bool:
    libraries = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
    return bool(_INSTALLED & set(place.parts)) or any(path in libraries for path in place.parents)
