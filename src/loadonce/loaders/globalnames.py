"""One spelling for a global a pickle asks for: "module.Name", or "module:Outer.Inner" if dotted.

Pickle gives two strings; joined by a dot alone, ("os", "path.join") and ("os.path", "join") would
look the same, and an allowance for one would allow the other.
"""

from __future__ import annotations

import _compat_pickle
import re

_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")

SCRIPT = "__main__"
MOVE_OUT_OF_SCRIPT = (
    "it belongs to the script or notebook that saved the file, and no server has that: define it "
    "in a module, import it from there, and save the model anew"
)


def spell(module: str, name: str) -> str:
    """The one spelling. Raises ValueError unless both are dotted Python identifiers."""
    if not _DOTTED.fullmatch(module) or not _DOTTED.fullmatch(name):
        raise ValueError(f"not the name of a global: {module!r}, {name!r}")
    return f"{module}:{name}" if "." in name else f"{module}.{name}"


def split(spelled: str) -> tuple[str, str]:
    """Module and name again."""
    if ":" in spelled:
        module, _, name = spelled.partition(":")
    else:
        module, _, name = spelled.rpartition(".")
    return module, name


def modern(module: str, name: str) -> tuple[str, str]:
    """The Python 3 place of a global that protocols 0 to 2 spell as in Python 2."""
    if (module, name) in _compat_pickle.NAME_MAPPING:
        return _compat_pickle.NAME_MAPPING[(module, name)]
    return _compat_pickle.IMPORT_MAPPING.get(module, module), name
