"""The house keeps to its plan: who may import whom, and how long a page of code may get."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    path
    for source in ("src/loadonce", "apps/vitalcheck/src/vitalcheck")
    for path in (ROOT / source).rglob("*.py")
)
MOST_LINES_OF_MODULE = 400
MOST_LINES_OF_FUNCTION = 50


def lint_imports(config: Path, search_path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run import-linter's contracts from `config`."""
    code = (
        f"import sys; sys.path[:0] = {[str(search_path)] if search_path else []!r}; "
        "from importlinter.cli import lint_imports; "
        f"sys.exit(lint_imports(config_filename={str(config)!r}, no_cache=True, no_logo=True))"
    )
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many lines the function's body has, its docstring and its signature not counted."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not body:
        return 0
    return (function.end_lineno or 0) - body[0].lineno + 1


def long_functions(source: str) -> Iterator[str]:
    """The names of functions whose bodies are longer than the budget."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = code_lines(node)
            if lines > MOST_LINES_OF_FUNCTION:
                yield f"{node.name} ({lines} lines)"


def test_rooms_import_only_from_the_rooms_they_may() -> None:
    """The contracts of pyproject.toml hold: layers, a core without web, VitalCheck's manners."""
    result = lint_imports(ROOT / "pyproject.toml")
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_room_that_imports_upwards_is_noticed(tmp_path: Path) -> None:
    """The control: the same kind of contract over a house that breaks it, lazily."""
    for name, text in {
        "__init__": "",
        "errors": "def f():\n    import fastapi\n    from house import http\n",
        "http": "",
    }.items():
        (tmp_path / "house").mkdir(exist_ok=True)
        (tmp_path / f"house/{name}.py").write_text(text)
    config = tmp_path / "contracts.toml"
    config.write_text(
        '[tool.importlinter]\nroot_package = "house"\ninclude_external_packages = true\n'
        '[[tool.importlinter.contracts]]\nname = "rooms"\ntype = "layers"\n'
        'layers = ["house.http", "house.errors"]\n'
        '[[tool.importlinter.contracts]]\nname = "core"\ntype = "forbidden"\n'
        'source_modules = ["house.errors"]\nforbidden_modules = ["fastapi"]\n'
    )
    result = lint_imports(config, tmp_path)
    assert result.returncode == 1
    assert "0 kept, 2 broken" in result.stdout


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_and_its_functions_stay_short(path: Path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) <= MOST_LINES_OF_MODULE
    assert list(long_functions(source)) == []


def test_a_long_function_is_noticed() -> None:
    """The control of the budget."""
    body = "\n".join(["    x = 1"] * 51)
    assert list(long_functions(f"def short():\n    '''Doc.'''\n\ndef long():\n{body}\n")) == [
        "long (51 lines)"
    ]
