"""Every snippet of the documentation runs: Python as it stands, commands as far as they exist."""

from __future__ import annotations

import ast
import asyncio
import inspect
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from .pages import PAGES, ROOT, Block, blocks, name_of

WITH_PYTHON = [page for page in PAGES if any(block.language == "python" for block in blocks(page))]

pytestmark = pytest.mark.timeout(60)  # some pages load sklearn, torch or a server


class Page:
    """Runs the blocks of one page in one module, as a reader would type them one after another."""

    def __init__(self, page: Path, workplace: Path) -> None:
        self.name = f"page_{name_of(page).replace('/', '_').removesuffix('.md').replace('-', '_')}"
        self.module = types.ModuleType(self.name)
        self.module.__file__ = str(page)
        self._path = page
        self._workplace = workplace

    def __enter__(self) -> Page:
        self._before = set(sys.modules)
        sys.modules[self.name] = self.module
        self._runner = asyncio.Runner()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._runner.close()
        for name, module in list(sys.modules.items()):
            mine = str(getattr(module, "__file__", "")).startswith(str(self._workplace))
            if name == self.name or (mine and name not in self._before):
                del sys.modules[name]

    def run(self, block: Block) -> None:
        """Execute a block; one with a title is first written to the file of that name."""
        module, filename = self.module, str(self._path)
        text = "\n" * (block.line - 1) + block.text
        if block.title.endswith(".py"):
            file = self._workplace / block.title
            file.write_text(block.text)
            module = types.ModuleType(file.stem)
            module.__file__ = str(file)
            sys.modules[file.stem] = module
        code = compile(text, filename, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if code.co_flags & inspect.CO_COROUTINE:
            self._runner.run(eval(code, vars(module)))  # noqa: S307
        else:
            exec(code, vars(module))
        public = {name: value for name, value in vars(module).items() if name[:2] != "__"}
        vars(self.module).update(public)


@pytest.fixture(params=WITH_PYTHON, ids=name_of)
def page(request: pytest.FixtureRequest, workplace: Path) -> Iterator[tuple[Page, Path]]:
    with Page(request.param, workplace) as made:
        yield made, request.param


def test_the_python_of_a_page_runs(page: tuple[Page, Path]) -> None:
    """In order, in one module; test functions that it defines pass too."""
    made, path = page
    for block in blocks(path):
        if block.language == "python":
            made.run(block)


def test_a_snippet_that_fails_is_noticed(tmp_path: Path) -> None:
    """The control, with the line where it stands."""
    broken = ROOT / "docs" / "none.md"
    with Page(broken, tmp_path) as made, pytest.raises(AssertionError) as caught:
        made.run(Block("python", "", "x = 1\nassert x == 2\n", 7))
    assert caught.traceback[-1].lineno == 7  # counted from 0
