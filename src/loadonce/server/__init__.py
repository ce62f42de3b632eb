"""Processes: the one that serves an app; a supervisor, a zygote and workers, where several serve;
and the one that restarts it while its code changes."""

from __future__ import annotations

from loadonce.observe.events import LogLevel

from .app.ending import end_process
from .app.importing import import_app
from .dev.development import develop
from .options import ServeOptions, default_drain_delay
from .serving import serve

__all__ = [
    "LogLevel",
    "ServeOptions",
    "default_drain_delay",
    "develop",
    "end_process",
    "import_app",
    "serve",
]
