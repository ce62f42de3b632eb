"""The command line: `vitalcheck train` makes every artifact from the public data."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

ARTIFACTS: Final = Path(__file__).parent / "artifacts"
REFUSED: Final = 2
"""The exit code when something is missing (data, PyTorch, a card), unknown, or not convertible."""

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def vitalcheck() -> None:
    """VitalCheck: health-risk models behind an API. A demonstration, not a medical device."""


@app.command()
def train(
    data: Annotated[Path, typer.Option(help="Directory with the public data sets.")],
    out: Annotated[Path, typer.Option(help="Where the artifacts go.")] = ARTIFACTS,
    only: Annotated[
        list[str] | None, typer.Option(help="An artifact's name; repeat for several.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Measure roughly: a smoke run.")] = False,
) -> None:
    """Train everything: pipelines, network, reference tables, model cards and models.lock."""
    from vitalcheck.training import plan
    from vitalcheck.training.conversion import NotConvertedError

    names = _known(only)
    try:
        cards = _train(data, out, names, seed=seed, quick=quick)
    except (plan.MissingDataError, plan.MissingTorchError, NotConvertedError) as exc:
        _refuse(str(exc))
    for name, card in cards.items():
        typer.echo(f"{name}: {plan.headline(card)}")
    typer.echo(f"written to {out}")


@app.command()
def convert(
    out: Annotated[Path, typer.Option(help="Where the artifacts are.")] = ARTIFACTS,
    only: Annotated[
        list[str] | None, typer.Option(help="An artifact's name; repeat for several.")
    ] = None,
) -> None:
    """Convert the trained pipelines once more to what is served, and note it in their cards."""
    from vitalcheck.training import plan
    from vitalcheck.training.conversion import NotConvertedError

    names = _known(only)
    try:
        cards = plan.convert_all(out, names=names)
    except (NotConvertedError, FileNotFoundError) as exc:
        _refuse(str(exc))
    for name, card in cards.items():
        typer.echo(f"{name}: {card['serving']}")


def _known(only: list[str] | None) -> list[str]:
    from vitalcheck.training import plan

    names = list(dict.fromkeys(only or plan.JOBS))
    if unknown := [name for name in names if name not in plan.JOBS]:
        _refuse(f"no such artifact: {', '.join(unknown)}. There are: {', '.join(plan.JOBS)}")
    return names


def _train(
    data: Path, out: Path, names: list[str], *, seed: int, quick: bool
) -> dict[str, dict[str, object]]:
    """Train with one progress bar over all artifacts, on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from vitalcheck.training import plan

    weights = [plan.JOBS[name].weight for name in names]
    before = dict(zip(names, accumulate(weights, initial=0.0), strict=False))
    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("checking", total=sum(weights))

        def follow(name: str, stage: str, fraction: float) -> None:
            done = before[name] + plan.JOBS[name].weight * fraction
            bar.update(task, completed=done, description=f"{name}: {stage}")

        return plan.train_all(data, out, names=names, seed=seed, quick=quick, progress=follow)


def _refuse(message: str) -> NoReturn:
    typer.secho(message, err=True, fg=typer.colors.RED)
    raise typer.Exit(REFUSED)


def main(arguments: list[str] | None = None) -> None:
    """What the `vitalcheck` command runs."""
    app(arguments)
