"""`loadonce inspect --startup`: where the time of a start goes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadonce.errors import ConfigurationError

from .rehearsal import Rehearsal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_IMPORT = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)$", re.MULTILINE)
_STANDARD = "Python's own"
_SHOWN = 12  # packages
_WIDTH = 40  # of the longest bar
_LAST_LINES = 20  # of a process that ended early


@dataclass(frozen=True, slots=True)
class Package:
    """What one top-level package's modules took to import, what they import not counted."""

    name: str
    seconds: float
    modules: int


@dataclass(frozen=True, slots=True)
class Startup:
    """One start, measured twice in processes of their own: its steps, and its imports."""

    rehearsal: Rehearsal
    packages: Sequence[Package]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        steps = asdict(self.rehearsal)
        models, error = steps.pop("each"), steps.pop("error")
        return {
            "seconds": self.rehearsal.seconds,
            "steps": steps,
            "packages": [asdict(package) for package in self.packages],
            "models": models,
            "error": error,
        }


def measure_startup(target: str, app_dir: Path, *, is_factory: bool) -> Startup:
    """Start twice: first with Python's own clock of imports, which also leaves compiled modules and
    warm file caches behind, then without.

    Raises:
        ConfigurationError: the app cannot be imported, or its import ended the process.
    """
    options = {"target": target, "app_dir": str(app_dir), "is_factory": is_factory}
    _found, errors = _run(options, "-X", "importtime")
    found, _errors = _run(options)
    return Startup(Rehearsal(**found), packages_of(errors))


def packages_of(importtime: str) -> list[Package]:
    """The packages in the output of `python -X importtime`, the slowest first."""
    seconds: dict[str, float] = {}
    modules: dict[str, int] = {}
    for microseconds, module in _IMPORT.findall(importtime):
        top = module.partition(".")[0]
        name = _STANDARD if top in sys.stdlib_module_names else top
        seconds[name] = seconds.get(name, 0.0) + int(microseconds) / 1e6
        modules[name] = modules.get(name, 0) + 1
    found = [Package(name, seconds[name], modules[name]) for name in seconds]
    return sorted(found, key=lambda package: -package.seconds)


def _run(options: Mapping[str, object], *flags: str) -> tuple[dict[str, Any], str]:
    """What a rehearsal found, and what its process wrote to standard error."""
    read, write = os.pipe()
    with os.fdopen(read) as pipe:
        try:
            given = json.dumps({**options, "began": time.monotonic()})
            command = [sys.executable, "-P", *flags, "-m", "loadonce.cli.rehearsal", str(write)]
            process = subprocess.Popen(
                [*command, given],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                pass_fds=[write],
            )
        finally:
            os.close(write)
        _output, errors = process.communicate()
        answer = pipe.read()
    if not answer:
        said = [line for line in errors.splitlines() if not line.startswith("import time:")]
        last = "\n".join(said[-_LAST_LINES:])
        raise ConfigurationError(f"the start ended with code {process.returncode}:\n{last}")
    found: dict[str, Any] = json.loads(answer)
    if "refused" in found:
        raise ConfigurationError(found["refused"])
    return found, errors


def show_startup(out: Console, startup: Startup) -> None:
    """Bars: the steps, the packages, the models."""
    rehearsal = startup.rehearsal
    out.print(f"ready after [bold]{rehearsal.seconds:.2f} s[/]")
    steps = [
        ("Python, loadonce", [("cyan", rehearsal.python)]),
        ("import the app", [("cyan", rehearsal.app)]),
        ("import the server", [("cyan", rehearsal.server)]),
        ("models", [("green", rehearsal.models)]),
    ]
    _bars(out, "step", steps)
    shown = list(startup.packages[:_SHOWN])
    rest = startup.packages[_SHOWN:]
    if rest:
        modules = sum(package.modules for package in rest)
        shown.append(Package("others", sum(package.seconds for package in rest), modules))
    _bars(
        out,
        "imports",
        [(f"{each.name} ({each.modules})", [("cyan", each.seconds)]) for each in shown],
    )
    each = [(_name(model), _parts(model)) for model in rehearsal.each]
    _bars(out, "models", sorted(each, key=lambda row: -_sum(row[1])))
    if rehearsal.each:
        out.print(
            "[blue]█[/] read and hash  [green]█[/] load  [yellow]█[/] warm up; models load side by "
            "side",
            style="dim",
        )


_Parts = Sequence[tuple[str, float]]  # colour, seconds


def _name(model: Mapping[str, Any]) -> str:
    is_ready = model["state"] == "ready"
    late = "" if model["when"] == "startup" else f", {model['when']}"
    return f"{model['name']}{late}" if is_ready else f"{model['name']}{late}, {model['state']}"


def _parts(model: Mapping[str, Any]) -> _Parts:
    warmup = model["warmup_seconds"]
    loading = max(0.0, model["load_seconds"] - warmup)
    return [("blue", model["read_seconds"]), ("green", loading), ("yellow", warmup)]


def _bars(out: Console, heading: str, rows: Sequence[tuple[str, _Parts]]) -> None:
    from rich.table import Table

    if not rows:
        return
    totals = [_sum(parts) for _name, parts in rows]
    longest = max(totals) or 1.0
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column(heading, no_wrap=True, min_width=24)
    table.add_column("ms", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for (name, parts), total in zip(rows, totals, strict=True):
        table.add_row(name, f"{total * 1000:.0f}", _bar(parts, longest))
    out.print()
    out.print(table)


def _sum(parts: _Parts) -> float:
    return sum(seconds for _colour, seconds in parts)


def _bar(parts: _Parts, longest: float) -> Text:
    """Each part from where the one before ended, rounded so that the whole has the right length."""
    from rich.text import Text

    bar, until, done = Text(), 0.0, 0
    for colour, seconds in parts:
        until += seconds
        end = round(until / longest * _WIDTH)
        bar.append("█" * (end - done), colour)
        done = end
    return bar
