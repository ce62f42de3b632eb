"""The command line: `scripts/bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from . import chart, places, publishing, running, tables, wrk
from .measuring import Plan
from .state import OtherRunError, State

_REFUSED = 2
_console = Console(stderr=True)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def bench(
    only: Annotated[
        list[str] | None,
        typer.Option(help="A contender, a model or MODEL/CONTENDER; repeat for several."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Of load for each figure.")] = 4.0,
    rounds: Annotated[int, typer.Option(min=1, help="Interleaved; figures are medians.")] = 3,
    concurrency: Annotated[
        list[int] | None, typer.Option(min=1, help="Clients; repeat for several [1, 16, 64].")
    ] = None,
    name: Annotated[str, typer.Option(help="Of the run: the same name goes on with it.")] = "run",
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what the run has.")] = False,
    publish: Annotated[
        bool, typer.Option("--publish", help="Write the results into the documentation.")
    ] = False,
) -> None:
    """Measure loadonce beside its rivals, on this machine, one after the other in each round."""
    plan = Plan(seconds, tuple(concurrency or Plan().concurrency))
    try:
        wrk.check_installed()
        pairs = running.chosen(only or [])
        options = {
            "seconds": seconds,
            "rounds": rounds,
            "concurrency": list(plan.concurrency),
            "only": sorted(only or []),
        }
        directory = places.RESULTS / name
        state = State.open(directory / "state.json", options, is_fresh=fresh)
    except (wrk.LoadError, ValueError, OtherRunError) as error:
        _console.print(f"[red]{error}", highlight=False)
        raise typer.Exit(_REFUSED) from None
    state.machine = state.machine or running.machine()
    _run(state, rounds, pairs, plan)
    _write(state, directory, is_published=publish)


def _run(state: State, rounds: int, pairs: list[tuple[str, str]], plan: Plan) -> None:
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.description}"), console=_console) as bar:
        whole = bar.add_task("preparing", total=rounds * len(pairs))
        running.prepare(state, pairs, lambda what: bar.update(whole, description=what))
        told = set(state.skipped)
        for where in told:
            bar.console.print(f"skipped {where}: {state.skipped[where]}", highlight=False)
        tell = lambda what: bar.update(whole, description=what)  # noqa: E731
        for _ in running.run(state, rounds, pairs, plan, tell):
            for where in state.skipped.keys() - told:
                bar.console.print(f"skipped {where}: {state.skipped[where]}", highlight=False)
            told |= state.skipped.keys()
            bar.advance(whole)


def _write(state: State, directory: Path, *, is_published: bool) -> None:
    state.save()
    section = tables.document(state)
    (directory / "tables.md").write_text(f"{section}\n")
    chart.draw(state, directory / "chart.svg")
    print(section)
    if is_published:
        places.PAGE.write_text(publishing.rewrite(places.PAGE.read_text(), section))
        chart.draw(state, places.CHART)
    _console.print(f"written to {directory}", highlight=False)


if __name__ == "__main__":
    app()
