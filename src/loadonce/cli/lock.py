"""`loadonce lock`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .output import console

if TYPE_CHECKING:
    from rich.console import Console

    from loadonce.artifacts import Golden, LockEntry
    from loadonce.loaders import LockReport


def lock(
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="The registry's root.", exists=True, file_okay=False),
    ],
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow",
            metavar="MODULE.NAME",
            help="A further class or function that pickles may use; may be repeated.",
        ),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="PATH=FORMAT",
            help="The format of a file whose suffix does not tell; may be repeated.",
        ),
    ] = None,
    golden: Annotated[
        Path | None,
        typer.Option(
            "--golden",
            metavar="FILE",
            help='Examples to check after every load: JSON, {"model.joblib": {"method": '
            '"predict_proba", "input": [[...]], "output": [[...]]}}.',
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing; end with 1 if something would change."),
    ] = False,
) -> None:
    """Trust the artifacts in DIR as they are now: write its models.lock.

    For every file: size, sha256, format, the versions of the libraries it was made with and the
    exact classes and functions each pickle may use. Nothing in the files is executed. Look at what
    is printed, and commit the lock file beside your code.

    Examples:

      loadonce lock models

      loadonce lock models --allow myproject.features.Ratio

      loadonce lock models --check
    """

    from loadonce.loaders import lock_directory

    report = lock_directory(
        directory,
        allow=allow or (),
        formats=dict(_pair(given) for given in formats or ()),
        golden=_read_golden(golden) if golden is not None else None,
        write=not check,
    )
    _show(console(), report, directory, check)
    if check and not report.is_unchanged:
        raise typer.Exit(1)


def _pair(given: str) -> tuple[str, str]:
    path, equals, name = given.rpartition("=")
    if not equals:
        raise typer.BadParameter(f"'{given}' is not PATH=FORMAT", param_hint="--format")
    return path, name


def _read_golden(file: Path) -> Mapping[str, Golden]:
    from loadonce.artifacts import Golden

    try:
        return {path: Golden(**example) for path, example in json.loads(file.read_text()).items()}
    except ValueError as error:
        raise typer.BadParameter(f"{file} is no JSON: {error}", param_hint="--golden") from error
    except (TypeError, AttributeError) as error:
        problem = (
            f"{file}: each file's name with method, input and output, rtol and atol if need be"
        )
        raise typer.BadParameter(problem, param_hint="--golden") from error


def _show(out: Console, report: LockReport, directory: Path, is_check: bool) -> None:
    for entry in report.added:
        out.print(f"+ {_line(entry)}", markup=False, style="green")
        _show_globals(out, entry.globals)
    for before, after in report.changed:
        was = f"(was {before.sha256[:12]})"
        out.print(f"~ {_line(after)}  {was}", markup=False, style="yellow")
        _show_globals(out, sorted(set(after.globals) - set(before.globals)))
    for entry in report.removed:
        out.print(f"- {entry.path}", markup=False, style="red")
    if report.is_unchanged and not report.lock.entries:
        done = f"there is none to lock in {directory}"
    elif report.is_unchanged:
        done = "nothing changed"
    elif is_check:
        done = "the lock file is not up to date (nothing was written)"
    else:
        done = f"wrote {directory / 'models.lock'}"
    count = len(report.lock.entries)
    out.print(f"{count} file{'s' if count != 1 else ''}; {done}", markup=False)


def _line(entry: LockEntry) -> str:
    from loadonce.observe.memory import format_bytes

    libraries = "".join(f", {name} {version}" for name, version in entry.libraries.items())
    size = format_bytes(entry.size)
    return f"{entry.path}  {entry.format}, {size}, {entry.sha256[:12]}{libraries}"


def _show_globals(out: Console, names: Iterable[str]) -> None:
    for name in names:
        out.print(f"    may use {name}", markup=False)
