"""What a server says of itself, for whoever finds its board."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, fields
from typing import Self

from loadonce.server.options import ServeOptions


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """One running server.

    Attributes:
        version: of loadonce; another one may write the board in another way.
        pid: the process that was started.
        target: what it serves.
        url: where.
        workers: how many processes are to serve.
        started: when, in seconds since 1970.
        control: the socket by which it takes orders; empty if it has none.
        reload_failure: why the last reload failed, for everybody; empty if it did not.
    """

    version: str
    pid: int
    target: str
    url: str
    workers: int
    started: float
    control: str = ""
    reload_failure: str = ""

    @classmethod
    def of(cls, options: ServeOptions, url: str, control: str = "") -> Self:
        """Of the server in this process."""
        from loadonce import __version__

        return cls(
            __version__, os.getpid(), options.target, url, options.workers, time.time(), control
        )

    def as_json(self) -> bytes:
        """For other programs."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """What `as_json` wrote, of another version too: what this one does not know is left out."""
        found = json.loads(text)
        return cls(**{each.name: found[each.name] for each in fields(cls) if each.name in found})
