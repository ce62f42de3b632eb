"""Library versions: what made an artifact against what is installed now."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata

from loadonce.artifacts.entry import LockEntry
from loadonce.errors import IncompatibleLibraryError

# One library, several distributions: the lock names the first, any of them will do.
_ALTERNATIVES: Mapping[str, tuple[str, ...]] = {
    "xgboost": ("xgboost", "xgboost-cpu"),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml"),
}
_RELEASE = re.compile(r"v?(?:\d+!)?(\d+)(?:\.(\d+))?")


def installed_version(library: str) -> str | None:
    """The installed version of a distribution, or None."""
    for name in _ALTERNATIVES.get(library, (library,)):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def installed_versions(libraries: Iterable[str]) -> dict[str, str]:
    """Version by distribution name, of those that are installed, in alphabetical order."""
    found = {library: installed_version(library) for library in sorted(libraries)}
    return {library: version for library, version in found.items() if version is not None}


def check_libraries(
    entry: LockEntry,
    *,
    allow_other_versions: bool = False,
    installed_version: Callable[[str], str | None] = installed_version,
) -> list[str]:
    """Compare the versions in a lock entry with the installed ones; imports nothing.

    Another patch gives a warning. Another major or minor, or a library that is missing, raises
    IncompatibleLibraryError, or gives a warning too where `allow_other_versions` says so.

    Returns: one sentence per warning.
    """
    warnings: list[str] = []
    for library, locked in sorted(entry.libraries.items()):
        installed = installed_version(library)
        if installed == locked:
            continue
        if _release(installed) != _release(locked) and not allow_other_versions:
            raise _incompatible(entry, library, locked, installed)
        warnings.append(
            f"{entry.path} was locked with {library} {locked}, "
            f"{f'{installed} is' if installed else 'which is not'} installed"
        )
    return warnings


def _release(version: str | None) -> tuple[str, str] | str | None:
    match = _RELEASE.match(version or "")
    return (match[1], match[2] or "0") if match else version


def _incompatible(
    entry: LockEntry, library: str, locked: str, installed: str | None
) -> IncompatibleLibraryError:
    return IncompatibleLibraryError(
        "",
        f"made with another version of {library}",
        path=entry.path,
        expected=f"{library} {locked}",
        found=f"{library} {installed}" if installed else f"{library} is not installed",
        hint=f"install '{library}=={locked}', train again and run `loadonce lock DIR`, or allow "
        "other versions",
    )
