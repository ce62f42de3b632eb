"""Each example runs from a copy of its own, as its first lines say."""

from __future__ import annotations

import importlib
import runpy
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loadonce import lock_directory

EXAMPLES = Path(__file__).parents[2] / "examples"
_trained: dict[tuple[str, ...], dict[str, bytes]] = {}


class Example:
    """A copy of one example, in which the working directory lies."""

    def __init__(self, name: str, directory: Path) -> None:
        self.directory = directory / name
        shutil.copytree(EXAMPLES / name, self.directory, ignore=shutil.ignore_patterns("models"))

    def make_model(self, *arguments: str) -> None:
        """What `python make_model.py && loadonce lock models` does; trained once for all tests."""
        key = (self.directory.name, *arguments)
        if key not in _trained:
            before, sys.argv = sys.argv, ["make_model.py", *arguments]
            try:
                runpy.run_path(str(self.directory / "make_model.py"))
            finally:
                sys.argv = before
            made = (self.directory / "models").iterdir()
            _trained[key] = {path.name: path.read_bytes() for path in made}
        (self.directory / "models").mkdir(exist_ok=True)
        for name, content in _trained[key].items():
            (self.directory / "models" / name).write_bytes(content)
        lock_directory(self.directory / "models")

    def module(self, name: str = "app") -> Any:
        """Import one of its modules, as a server would."""
        return importlib.import_module(name)


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Example]]:
    """`example("quickstart")` makes the copy and changes to it."""
    before = set(sys.modules)

    def make(name: str) -> Example:
        made = Example(name, tmp_path)
        monkeypatch.chdir(made.directory)
        monkeypatch.syspath_prepend(str(made.directory))
        return made

    yield make
    for name, module in list(sys.modules.items()):
        if name not in before and str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
