"""One entry of the lock file: what is known about one trusted file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LOCK_NAME = "models.lock"


@dataclass(frozen=True, slots=True)
class Golden:
    """One example with its expected output, checked after every load.

    Args:
        method: what is called on the loaded object, e.g. "predict_proba".
        input: its argument, as a JSON value.
        output: what must come out, as a JSON value.
        rtol: relative tolerance for numbers.
        atol: absolute tolerance for numbers.
    """

    method: str
    input: object
    output: object
    rtol: float = 1e-6
    atol: float = 1e-8


@dataclass(frozen=True, slots=True)
class LockEntry:
    """What is known about one trusted file.

    Args:
        path: relative to the root, with forward slashes.
        size: in bytes.
        sha256: 64 lower-case hex digits.
        format: the name of the loader that reads it.
        libraries: distribution name to the version that was installed when it was locked.
        globals: what a pickle may import: "module.Name", or "module:Outer.Inner" for dotted names.
        version: a declared label; clients see the first 12 digits of the digest otherwise.
        golden: an example that must come out the same.
    """

    path: str
    size: int
    sha256: str
    format: str
    libraries: Mapping[str, str] = field(default_factory=dict[str, str])
    globals: tuple[str, ...] = ()
    version: str | None = None
    golden: Golden | None = None

    @property
    def label(self) -> str:
        """The version clients see: the declared one, or the first 12 hex digits of the digest."""
        return self.version or self.sha256[:12]
