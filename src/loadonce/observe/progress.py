"""Progress bars while models load, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from .events import Events, ModelEvent
from .memory import format_bytes

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_STEPS = {
    "declared": 0,
    "verifying": 1,
    "loading": 2,
    "warming": 3,
    "ready": 4,
    "adopted": 4,
    "failed": 4,
}


@contextmanager
def loading_bars(events: Events, stream: TextIO | None = None) -> Iterator[None]:
    """Show a bar for each model while the block runs, if `stream` (stderr) is a terminal."""
    stream = sys.stderr if stream is None else stream
    if stream is None or not stream.isatty():  # a service may run without a stderr
        yield
        return
    progress = bars_on(stream, done="[green]✓")
    bars = _Bars(progress)
    unsubscribe = events.subscribe(bars.show)
    try:
        with progress:
            yield
    finally:
        unsubscribe()


def bars_on(stream: TextIO, *, done: str) -> Progress:
    """Bars for a terminal, none yet; each has a field `what`, and `done` stands before what is."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    return Progress(
        SpinnerColumn(finished_text=done),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[what]}"),
        TimeElapsedColumn(),
        console=Console(file=stream),
    )


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, event: ModelEvent) -> None:
        if event.what not in _STEPS:
            return
        if event.model not in self._tasks:
            self._tasks[event.model] = self._progress.add_task(event.model, total=4, what="")
        what = "[red]failed" if event.what == "failed" else event.what
        if event.what == "ready" and event.bytes_on_disk:
            what = f"ready ({format_bytes(event.bytes_on_disk)})"
        self._progress.update(self._tasks[event.model], completed=_STEPS[event.what], what=what)
