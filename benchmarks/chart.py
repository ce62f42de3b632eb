"""The chart of docs/benchmarks.md: requests a second, one panel for each model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from .contenders import BY_NAME, WORKLOADS
from .figures import Figure, figure
from .shows import load
from .state import State

_OURS: Final = "#0f766e"
_OTHERS: Final = "#94a3b8"
_FLOORS: Final = "#d6b36a"
_INK: Final = "#64748b"  # readable on a light page and on a dark one


def bars(state: State, workload: str, clients: int) -> list[tuple[str, Figure]]:
    """The contenders of a model with their requests a second, fastest last."""
    found = []
    for name in BY_NAME:
        values = [load(clients)(one) for one in state.rounds_of(workload, name).values()]
        if measured := figure(value for value in values if value is not None):
            found.append((name, measured))
    return sorted(found, key=lambda bar: bar[1].median)


def draw(state: State, path: Path) -> None:
    """Write the chart as SVG; the same run gives the same bytes."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 10})
    from matplotlib import pyplot

    clients = max(int(one) for one in state.options["concurrency"])
    panels = [(one, bars(state, one, clients)) for one in WORKLOADS]
    panels = [(workload, found) for workload, found in panels if found]
    heights = [len(found) + 1.5 for _, found in panels]
    figure_, axes = pyplot.subplots(
        len(panels),
        1,
        figsize=(8, 0.32 * sum(heights) + 0.4),
        squeeze=False,
        height_ratios=heights,
        layout="constrained",
    )
    for axis, (workload, found) in zip(axes[:, 0], panels, strict=True):
        _panel(axis, f"{workload}: requests a second, {clients} clients", found)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure_.savefig(path, transparent=True, metadata={"Date": None})
    pyplot.close(figure_)


def _panel(axis: Any, title: str, found: list[tuple[str, Figure]]) -> None:
    names = [name for name, _ in found]
    medians = [one.median for _, one in found]
    whiskers = [
        [one.median - one.low for _, one in found],
        [one.high - one.median for _, one in found],
    ]
    colours = [_colour(name) for name in names]
    axis.barh(names, medians, xerr=whiskers, color=colours, ecolor=_INK, height=0.7)
    for at, (_, one) in enumerate(found):
        axis.annotate(
            f"{one.median:,.0f}",
            (one.high, at),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=_INK,
        )
    axis.set_title(title, loc="left", color=_INK)
    axis.tick_params(colors=_INK)
    axis.margins(x=0.12)
    for side, spine in axis.spines.items():
        spine.set_visible(side == "left")
        spine.set_color(_INK)
    axis.xaxis.set_visible(False)


def _colour(name: str) -> str:
    if BY_NAME[name].is_floor:
        return _FLOORS
    return _OURS if BY_NAME[name].environment == "repository" else _OTHERS
