"""Everything public is documented, and nothing is documented that does not exist."""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main

import loadonce
import loadonce.convert
import loadonce.errors
import loadonce.http
import loadonce.loaders
import loadonce.testing
from loadonce.artifacts import locktext
from loadonce.cli.app import command_line
from loadonce.http.metrics import Collector
from loadonce.lifecycle.reporting import Overview, Report
from loadonce.lifecycle.version import State
from loadonce.loaders.table import BUILT_IN
from loadonce.settings import Settings

from .pages import ROOT

REFERENCE = ROOT / "docs/reference"
MODULES: dict[str, ModuleType] = {
    "api.md": loadonce,
    "convert.md": loadonce.convert,
    "http.md": loadonce.http,
    "loaders.md": loadonce.loaders,
    "testing.md": loadonce.testing,
}
ELSEWHERE = {"find", "lock_directory"}  # documented on another page, or at length there


class _Documented(loadonce.Registry):
    documented: loadonce.Model[object] = loadonce.artifact("documented.json")


def read(name: str) -> str:
    return (REFERENCE / name).read_text()


def headings(page: str) -> set[str]:
    """The names that have a section of their own."""
    return set(re.findall(r"^### `(\w+)`$", page, re.MULTILINE))


def errors() -> Iterator[str]:
    """Every error class."""
    for name, found in vars(loadonce.errors).items():
        if isinstance(found, type) and issubclass(found, loadonce.LoadOnceError):
            yield name


def members(found: type) -> Iterator[str]:
    """The public attributes and methods that a class defines itself."""
    names = {name for name in vars(found) if not name.startswith("_")}
    if dataclasses.is_dataclass(found):
        names |= {field.name for field in dataclasses.fields(found)}
    yield from sorted(names)


@pytest.mark.parametrize("page", MODULES)
def test_every_public_name_has_a_section(page: str) -> None:
    module = MODULES[page]
    public = {name for name in module.__all__ if name not in set(errors()) | ELSEWHERE}
    text = read(page)
    assert public - headings(text) == set()
    assert headings(text) - set(module.__all__) == set()


@pytest.mark.parametrize("page", MODULES)
def test_every_member_of_a_public_class_is_named(page: str) -> None:
    text = read(page)
    for name in MODULES[page].__all__:
        found = getattr(MODULES[page], name)
        if isinstance(found, type) and name not in set(errors()):
            section = text.split(f"### `{name}`\n")[1].split("\n### ")[0]
            missing = [each for each in members(found) if not re.search(rf"\b{each}\b", section)]
            assert missing == [], name


@pytest.mark.parametrize("function", [loadonce.artifact, loadonce.table, loadonce.lock_directory])
def test_every_parameter_is_named(function: Any) -> None:
    section = read("api.md").split(f"### `{function.__name__}`\n")[1].split("\n### ")[0]
    for name in inspect.signature(function).parameters:
        assert re.search(rf"\b{name}\b", section), name


def test_every_error_is_documented_and_no_other() -> None:
    assert headings(read("errors.md")) | {"LoadOnceError"} == set(errors())
    exported = {name for name in loadonce.__all__ if name in set(errors())}
    listed = read("api.md").split("## Errors\n")[1]
    assert {name for name in errors() if f"`{name}`" in listed} == exported


def test_every_setting_is_documented_and_no_other() -> None:
    variables = {f"LOADONCE_{name.upper()}" for name in Settings.model_fields}
    for command in typer.main.get_command(command_line()).commands.values():  # type: ignore[attr-defined]
        for parameter in command.params:
            found = parameter.envvar or ()
            variables |= {found} if isinstance(found, str) else set(found)
    listed = re.findall(r"^\| `([A-Z_]+)` \|", read("settings.md"), re.MULTILINE)
    assert set(listed) == variables


def test_every_command_and_flag_is_documented_and_no_other() -> None:
    page = read("cli.md")
    group: Any = typer.main.get_command(command_line())
    sections = {
        part.split("`")[0]: part.split("`", 1)[1] for part in page.split("\n## `loadonce ")[1:]
    }
    assert set(sections) == set(group.commands)
    sections[""] = page.split("\n## ")[0]
    for name, section in sections.items():
        command = group.commands[name] if name else group
        flags = {flag for each in command.params for flag in (*each.opts, *each.secondary_opts)} | {
            "--help"
        }
        flags = {flag for flag in flags if flag.startswith("--")}
        shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", section))
        assert flags - shown - {"--help"} == set(), name
        if name:
            assert shown - flags == set(), name


def test_every_loader_its_suffixes_and_options_are_documented() -> None:
    page = read("loaders.md")
    rows = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith("| `")]
    table = {name: row for row in rows for name in re.findall(r"`([\w-]+)`", row[0])}
    assert set(table) == {name for each in BUILT_IN for name in (each.name, *each.aliases)}
    for loader in BUILT_IN:
        row = table[loader.name]
        assert tuple(re.findall(r"`(\.[\w.]+)`", row[1])) == loader.suffixes
        assert loader.extra in row[3]
        for option in list(inspect.signature(loader.read).parameters)[1:]:
            assert f"`{option}`" in row[4], option


def test_every_field_of_the_lock_file_is_documented_and_no_other() -> None:
    page = read("lock-file.md")
    listed = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert listed == locktext._ENTRY_FIELDS | {"lock_version"}
    for name in locktext._GOLDEN_FIELDS:
        assert f"`{name}`" in page


def test_every_setting_of_vitalcheck_is_documented() -> None:
    from vitalcheck.settings import Settings as VitalCheckSettings

    page = (ROOT / "docs/vitalcheck.md").read_text()
    listed = set(re.findall(r"^\| `(VITALCHECK_\w+)` \|", page, re.MULTILINE))
    assert listed == {f"VITALCHECK_{name.upper()}" for name in VitalCheckSettings.model_fields}


def test_every_route_of_vitalcheck_is_documented_and_no_other() -> None:
    from vitalcheck.app import create_app

    section = (ROOT / "docs/vitalcheck.md").read_text().split("## The API\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| `(?:GET|POST) (/api/[^|]+)\|", section, re.MULTILINE)
    listed = set()
    for cell in cells:
        first, *others = re.findall(r"(/[\w/-]+)", cell)
        listed |= {first, *(first.rpartition("/")[0] + other for other in others)}
    paths = create_app().openapi()["paths"]
    assert listed == {path for path in paths if path.startswith("/api/")}


def test_every_metric_is_documented_and_no_other() -> None:
    page = (ROOT / "docs/how-to/observe.md").read_text()
    rows = re.findall(r"^\| `(loadonce_\w+)` \| ([^|]+) \|", page, re.MULTILINE)
    status = _Documented().documented.status()
    report = Report(
        1, os.getpid(), 0.0, 0, 0, {"m": replace(status, state=State.READY, owner=os.getpid())}
    )
    found = {
        sample.name.removesuffix("_bucket"): set(sample.labels)
        for family in Collector(Overview([report])).collect()
        for sample in family.samples
        if not sample.name.endswith(("_created", "_count", "_sum"))
    }
    found["loadonce_model_placements"] = {"model", "placement"}  # nothing was placed yet
    assert {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows} == found


def test_the_readiness_table_is_that_of_the_code() -> None:
    """Paths and words of the probes, as `loadonce.http.probes` has them."""
    source = Path(loadonce.http.__file__).with_name("probes.py").read_text()
    page = (ROOT / "docs/concepts/readiness.md").read_text()
    for word in ("ok", "loading", "degraded", "draining"):
        assert f'"{word}"' in source
        assert f"`{word}`" in page
