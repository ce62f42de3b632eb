"""Every command that the documentation shows exists, with the flags shown."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from .pages import PAGES, ROOT, blocks, name_of

FOREIGN = {"cd", "curl", "docker", "fastapi", "git", "gunicorn", "kill", "pip", "pytest", "python"}
FOREIGN |= {"uvicorn", "export", "cat", "mypy"}
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each command on the page: lines that begin with `$`, continued ones joined."""
    for block in blocks(page):
        if block.language == "console":
            text = block.text.replace("\\\n", " ")
            for line in text.splitlines():
                if line.startswith("$ "):
                    for part in re.split(r" && | \| ", line[2:]):
                        words = shlex.split(part, comments=True)
                        while words and _ASSIGNMENT.fullmatch(words[0]):
                            del words[0]
                        yield words


def problem(words: list[str]) -> str:
    """What is wrong with a command; "" if nothing is known to be."""
    name, *arguments = words
    if name in FOREIGN:
        return ""
    if name.startswith("scripts/"):
        known = (ROOT / name).is_file()
        if known and name == "scripts/serve":
            return problem(["loadonce", "serve", "x:y", *arguments])
        if known and name == "scripts/example":
            example, *others = arguments
            known = (ROOT / "examples" / example / "app.py").is_file()
            return problem(["loadonce", "serve", "x:y", *others]) if known else f"no {example}"
        if known and name == "scripts/bench":
            bench = importlib.import_module("benchmarks.__main__").app
            return _problem_of_typer(typer.main.get_command(bench), arguments)
        return "" if known else f"there is no {name}"
    if name == "loadonce":
        from loadonce.cli.app import command_line

        return _problem_of_typer(typer.main.get_command(command_line()), arguments)
    if name == "vitalcheck":
        vitalcheck = importlib.import_module("vitalcheck.cli")
        return _problem_of_typer(typer.main.get_command(vitalcheck.app), arguments)
    return f"unknown command {name}"


def _problem_of_typer(command: Any, arguments: list[str]) -> str:
    known = getattr(command, "commands", {})
    for word in arguments:
        if word.startswith("-"):
            flags = {flag for each in command.params for flag in (*each.opts, *each.secondary_opts)}
            if word.partition("=")[0] not in {*flags, "--help"}:
                return f"{command.name} has no flag {word}"
        elif known:
            if word not in known:
                return f"{command.name} has no command {word}"
            command, known = known[word], {}
    return ""


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_commands_of_a_page_exist(page: Path) -> None:
    assert [(words, problem(words)) for words in commands(page) if problem(words)] == []


def test_a_command_or_flag_that_does_not_exist_is_noticed() -> None:
    """The control."""
    assert problem(["loadonce", "serve", "app:app", "--prot", "8001"]) == "serve has no flag --prot"
    assert "no command" in problem(["loadonce", "sevre"])
    assert problem(["scripts/nothing"])
    assert problem(["loadonced"])
