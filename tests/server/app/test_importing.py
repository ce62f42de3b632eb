"""From "module:app" to the app; what fails is told for people."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI

from loadonce import ConfigurationError
from loadonce.server import import_app
from loadonce.server.app.importing import ENVIRONMENT

Module = Callable[[str], str]

APPS = """
from fastapi import FastAPI
app = FastAPI()
admin = FastAPI()
class Holder:
    inner = app
number = 7
def make():
    return FastAPI(title="made")
def make_with(title="default", *more, **others):
    return FastAPI(title=title)
def breaks():
    raise ValueError("no luck")
async def plain(scope, receive, send):
    pass
"""


@pytest.fixture
def load(module: Module, tmp_path: Path) -> Callable[..., object]:
    """`load("app", is_factory=True)` imports from a module with several apps."""
    name = module(APPS)
    return lambda attribute, **options: import_app(
        f"{name}:{attribute}", app_dir=tmp_path, **options
    )


Load = Callable[..., object]


def test_an_app_is_found_also_inside_an_object(load: Load) -> None:
    assert isinstance(load("app"), FastAPI)
    assert load("Holder.inner") is load("app")
    assert callable(load("plain"))


def test_a_factory_is_called(load: Load) -> None:
    made = load("make", is_factory=True)
    assert isinstance(made, FastAPI)
    assert made.title == "made"


@pytest.mark.parametrize(
    ("attribute", "is_factory", "expected"),
    [
        ("make", False, "add --factory"),
        ("make_with", False, "add --factory"),
        ("number", True, "is of type int, not a function"),
        ("app", True, "is an app already: leave --factory out"),
        ("number", False, "is of type int, not an ASGI app"),
        ("Holder", False, "is of type type, not an ASGI app"),
        ("adnim", False, "did you mean 'admin'"),
        ("zzz", False, "it has the apps: admin, app"),
        ("Holder.zzz", False, "no attribute 'Holder.zzz'"),
        ("breaks", True, r"failed: ValueError: no luck \(served_\d+.py, line 13\)"),
    ],
)
def test_what_is_no_app_is_named(
    load: Load, attribute: str, is_factory: bool, expected: str
) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        load(attribute, is_factory=is_factory)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("main", "for example 'main:app'"),
        ("src/main.py", "for example 'src.main:app'"),
        ("main:", "for example 'main:app'"),
        (":application", "for example 'main:application'"),
    ],
)
def test_a_target_without_its_parts_gets_an_example(target: str, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        import_app(target)


def test_a_module_that_is_not_there_gets_a_suggestion(tmp_path: Path) -> None:
    (tmp_path / "served_here.py").write_text("")
    package = tmp_path / "served_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    with pytest.raises(ConfigurationError, match="did you mean 'served_here'"):
        import_app("served_hree:app", app_dir=tmp_path)
    with pytest.raises(ConfigurationError, match="did you mean 'served_package'"):
        import_app("served_pakcage.x:app", app_dir=tmp_path)
    with pytest.raises(ConfigurationError, match=r"no module 'served_package\.zzz'"):
        import_app("served_package.zzz:app", app_dir=tmp_path)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("x = (", r"SyntaxError: [^,]* \(served_\d+\.py, line 1\)$"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("1 / 0", r"ZeroDivisionError: division by zero \(served_\d+.py, line 1\)"),
        (
            "from loadonce import artifact\nartifact('x', threads=0)",
            "failed: threads= must be at least 1",
        ),
    ],
)
def test_an_import_that_fails_says_why_and_where(
    module: Module, tmp_path: Path, code: str, expected: str
) -> None:
    with pytest.raises(ConfigurationError, match=expected) as caught:
        import_app(f"{module(code)}:app", app_dir=tmp_path)
    assert caught.value.__cause__ is not None


def test_a_module_without_an_app_says_only_that(module: Module, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        import_app(f"{module('')}:app", app_dir=tmp_path)
    assert str(caught.value).endswith("has no attribute 'app'")


@pytest.mark.parametrize("chosen", [None, "7"])
@pytest.mark.parametrize("variable", ENVIRONMENT)
def test_what_the_app_imports_finds_its_environment_set_unless_chosen(
    module: Module,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    chosen: str | None,
) -> None:
    """Libraries read it once, when they are imported, which may be the app's first line."""
    monkeypatch.setenv(variable, chosen or "")  # put back afterwards
    if chosen is None:
        monkeypatch.delenv(variable)
    code = f"import os\nseen = os.environ['{variable}']\nasync def app(scope, r, s): ..."
    name = module(f"{code}  # {chosen}\n")
    import_app(f"{name}:app", app_dir=tmp_path)
    assert sys.modules[name].seen == (chosen or ENVIRONMENT[variable])
