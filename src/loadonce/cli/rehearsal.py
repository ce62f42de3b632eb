"""A start in a process of its own, as `loadonce serve` starts, with the time that each step takes.

Run as `python -m loadonce.cli.rehearsal DESCRIPTOR JSON`: writes what it found to the descriptor.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loadonce.errors import LoadOnceError
from loadonce.lifecycle.registry import registries
from loadonce.observe.collection import paused

from .loading import load_all


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Seconds of each step of one start.

    Attributes:
        python: until Python ran and had imported loadonce.
        app: to import the app.
        server: to import what serves it.
        models: to verify, load and try out the models; those for the background not counted.
        each: the models with the seconds of their own steps.
        error: why the start stopped; "" if it did not.
    """

    python: float
    app: float
    server: float
    models: float
    each: list[dict[str, Any]]
    error: str = ""

    @property
    def seconds(self) -> float:
        """Of the whole start."""
        return self.python + self.app + self.server + self.models


def rehearse(target: str, app_dir: Path, *, is_factory: bool, began: float) -> Rehearsal:
    """Import the app and what serves it, load its models, end.

    Args:
        target, app_dir, is_factory: as `import_app` takes them.
        began: when this process was started, by `time.monotonic()`.

    Raises:
        ConfigurationError: the app cannot be imported.
    """
    from loadonce.server import ServeOptions, import_app
    from loadonce.server.app.process import import_what_serves

    from . import app as _command  # noqa: F401  # as `loadonce serve` does

    with paused():
        times = [time.monotonic()]
        app = import_app(target, app_dir=app_dir, is_factory=is_factory)
        times.append(time.monotonic())
        import_what_serves(ServeOptions(target=target), app)
        times.append(time.monotonic())
        known = sorted(registries(), key=lambda registry: type(registry).__name__)
        loaded = asyncio.run(load_all(known))
    names = ("name", "state", "when", "read_seconds", "load_seconds", "warmup_seconds")
    return Rehearsal(
        python=times[0] - began,
        app=times[1] - times[0],
        server=times[2] - times[1],
        models=loaded.seconds,
        each=[{name: getattr(row, name) for name in names} for row in loaded.rows],
        error=str(loaded.error or ""),
    )


def main(arguments: list[str]) -> None:
    """Rehearse what the arguments say, and write it, or the error, as JSON."""
    given = json.loads(arguments[1])
    logging.getLogger("loadonce").setLevel(logging.CRITICAL)  # the report tells all
    found: dict[str, object]
    try:
        app_dir = Path(given.pop("app_dir"))
        found = asdict(rehearse(app_dir=app_dir, **given))
    except LoadOnceError as error:
        found = {"refused": str(error)}
    with os.fdopen(int(arguments[0]), "w") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main(sys.argv[1:])
