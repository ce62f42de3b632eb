"""`loadonce convert`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .output import console
from .parameters import Json, size_of

if TYPE_CHECKING:
    from rich.progress import TaskID

    from loadonce.convert import Conversion, Options
    from loadonce.convert.conversion import OnStage

_STAGES = {"loading": 0, "building": 1, "comparing": 2}


def convert(
    path: Annotated[
        Path,
        typer.Argument(metavar="DIR|FILE", help="A registry's root, or one model.", exists=True),
    ],
    names: Annotated[
        str | None,
        typer.Option(
            "--names",
            metavar="A,B,C",
            help="The features' names, in training's order, for a model trained without names.",
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            "--text", metavar="A,B", help="Those that hold text, of a model without names."
        ),
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            "--rows",
            metavar="FILE",
            help="Rows to compare, besides the sampled ones: .parquet, .csv or .json.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="Largest difference that still counts as none.")
    ] = 2e-6,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds for each file.")] = 600.0,
    memory_limit: Annotated[
        str, typer.Option("--memory-limit", help="For the process of one file.")
    ] = "8GiB",
    unlocked: Annotated[
        bool,
        typer.Option(
            "--unlocked",
            help="Also files that no models.lock vouches for, if `loadonce lock` would take them.",
        ),
    ] = False,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow",
            metavar="MODULE.NAME",
            help="With --unlocked: a further class or function that pickles may use; may be "
            "repeated.",
        ),
    ] = None,
    builder: Annotated[
        str,
        typer.Option(
            "--builder", metavar="MODULE:FUNCTION", help="What builds the graphs; your own, maybe."
        ),
    ] = "loadonce.convert.graphs:build",
    keep_going: Annotated[
        bool,
        typer.Option("--keep-going", help="End with 0 although files were refused."),
    ] = False,
    app_dir: Annotated[
        Path,
        typer.Option(
            "--app-dir",
            help="Holds the modules that models name; looked into after the installed ones.",
            exists=True,
            file_okay=False,
        ),
    ] = Path("."),
    as_json: Json = False,
) -> None:
    """Turn fitted scikit-learn, XGBoost and LightGBM models into ONNX files that give the same
    answers, many times faster, without those libraries.

    Each file is unpickled in a process without network, if models.lock trusts it. Its graph is
    compared with it on thousands of rows: missing values, unknown categories, extremes, and values
    at and one float beside every threshold of every tree. Only if all answers are equal
    NAME.predictor.onnx is written beside it and added to models.lock; else the file is refused,
    with the reason, and nothing changes. Ends with 1 if a file was refused.

    Examples:

      loadonce convert models

      loadonce convert models/heart.joblib --rows validation.parquet

      loadonce convert models/iris.joblib --names petal_length,petal_width
    """
    from loadonce.convert import Options
    from loadonce.settings import Settings

    options = Options(
        feature_names=_split(names),
        text=_split(text) or (),
        rows=rows,
        tolerance=tolerance,
        timeout=timeout,
        memory_bytes=size_of(memory_limit, "--memory-limit"),
        unlocked=unlocked,
        allow=tuple(allow or ()),
        allow_version_mismatch=Settings().allow_version_mismatch,
        builder=builder,
        app_dir=app_dir,
    )
    root, files = _files(path)
    if not files:
        raise typer.BadParameter(f"there is no model in {path}", param_hint="DIR|FILE")
    done = list(_convert_all(root, files, options))
    if as_json:
        typer.echo(json.dumps([_as_json(each) for each in done], indent=2))
    else:
        _show(done, root)
    if not keep_going and not all(each.is_converted for each in done):
        raise typer.Exit(1)


def _split(given: str | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(name.strip() for name in given.split(","))


def _files(path: Path) -> tuple[Path, Sequence[str]]:
    """The root, and the models below it; of a file the nearest directory that has a lock file."""
    from loadonce.artifacts import LOCK_NAME
    from loadonce.convert import convertible_files

    if path.is_dir():
        return path, convertible_files(path)
    parents = path.absolute().parents
    root = next((each for each in parents if (each / LOCK_NAME).exists()), parents[0])
    return root, (path.absolute().relative_to(root).as_posix(),)


def _convert_all(root: Path, files: Iterable[str], options: Options) -> Iterator[Conversion]:
    from loadonce.convert import convert_file

    with _bars() as on_stage:
        for file in files:
            on_stage(file, "loading")
            done = convert_file(root, file, options, on_stage=on_stage)
            on_stage(file, "converted" if done.is_converted else "refused")
            yield done


@contextmanager
def _bars() -> Iterator[OnStage]:
    """A bar for each file on a terminal; else one line for each, on standard error."""
    if not sys.stderr.isatty():
        yield _tell
        return
    from loadonce.observe.progress import bars_on

    progress = bars_on(sys.stderr, done=" ")
    tasks: dict[str, TaskID] = {}

    def show(file: str, stage: str) -> None:
        if file not in tasks:
            tasks[file] = progress.add_task(file, total=len(_STAGES), what="")
        done = _STAGES.get(stage, len(_STAGES))
        progress.update(tasks[file], completed=done, what=stage)

    with progress:
        yield show


def _tell(file: str, stage: str) -> None:
    if stage not in _STAGES:
        sys.stderr.write(f"{file}: {stage}\n")


def _as_json(done: Conversion) -> dict[str, object]:
    return {**asdict(done), "is_converted": done.is_converted}


def _show(done: Sequence[Conversion], root: Path) -> None:
    from rich.table import Table

    out = console()
    table = Table("file", "", "rows", "thresholds", "difference", "before", "after", box=None)
    for each in done:
        table.add_row(*_cells(each), style="green" if each.is_converted else "red")
    out.print(table)
    for each in done:
        if each.reason:
            out.print(f"{each.source}: {each.reason}", markup=False, highlight=False)
    if isolation := {way for each in done for way in each.isolation}:
        ways = " and ".join(sorted(isolation))
        out.print(f"kept from the network by: {ways}", markup=False, highlight=False)
    if any(each.is_converted and not each.is_locked for each in done):
        out.print(f"now run `loadonce lock {root}`", markup=False, highlight=False)


def _cells(done: Conversion) -> list[str]:
    from loadonce.observe.memory import format_bytes

    proof = done.proof
    compared = (
        ["", "", ""]
        if proof is None
        else [
            str(proof.rows),
            f"{proof.thresholds_compared}/{proof.thresholds}",
            f"{proof.largest_difference:.1e}",
        ]
    )
    before = format_bytes(done.bytes_before) if done.bytes_before else ""
    after = format_bytes(done.bytes_after) if done.bytes_after else ""
    result = "converted" if done.is_converted else "refused"
    return [done.source, result, *compared, before, after]
