"""From "module:app" to the app, with messages for people when that fails."""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

from loadonce.errors import ConfigurationError, LoadOnceError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

# Libraries look once, when they are imported: before any loader of ours if the app does that.
ENVIRONMENT = {
    "ORT_DISABLE_TELEMETRY": "1",
    # After its start and after each call a thread of OpenBLAS (NumPy's, SciPy's) spins for 2**26
    # ticks, about 30 ms, on a core that others could use. With 2**20 products of matrices took as
    # long as before, and two thirds of the processor's time.
    "OPENBLAS_THREAD_TIMEOUT": "20",
}


def import_app(target: str, *, app_dir: Path = Path(), is_factory: bool = False) -> ASGIApp:
    """Import the app that `target` names, once, with `app_dir` first on the import path.

    What the app imports finds `ENVIRONMENT` set, where whoever runs the process chose nothing else.

    Args:
        target: "module:attribute"; the attribute may be dotted.
        app_dir: the directory that holds the module, or its package.
        is_factory: the attribute is a function without parameters that makes the app.

    Raises:
        ConfigurationError: no such module or attribute, importing it or making the app failed, or
            it is no ASGI app. Foreign exceptions are chained.
    """
    module_name, attribute = _split(target)
    set_environment()
    directory = str(app_dir.absolute())
    if directory not in sys.path:
        sys.path.insert(0, directory)
    found = _attribute(_module(module_name, app_dir), attribute)
    if is_factory:
        found = _made_by(found, target)
    return _checked(found, target)


def set_environment() -> None:
    """What libraries look for when they are imported, where nothing else was chosen."""
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)


def place_of(error: BaseException) -> str:
    """Where in the user's code an exception comes from: "app.py, line 12"; "" if unknown."""
    if isinstance(error, SyntaxError):
        return ""  # its text has the place already
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and "/site-packages/" not in frame.filename
    ]
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""


def _split(target: str) -> tuple[str, str]:
    module, _colon, attribute = target.partition(":")
    if module and attribute:
        return module, attribute
    path = Path(module)
    example = ".".join(path.with_suffix("").parts) if path.suffix == ".py" else module
    raise ConfigurationError(
        f"'{target}' names no app: write module:attribute, for example "
        f"'{example.strip('.') or 'main'}:{attribute or 'app'}'"
    )


def _module(name: str, app_dir: Path) -> ModuleType:
    try:
        __import__(name)  # unlike importlib.import_module, counted by `python -X importtime`
        return sys.modules[name]
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name != missing and not name.startswith(f"{missing}."):
            raise _failed(f"importing '{name}'", error) from error
        nearby = [path.stem for path in app_dir.glob("*.py")]
        nearby += [path.parent.name for path in app_dir.glob("*/__init__.py")]
        raise ConfigurationError(
            f"there is no module '{missing}' in {app_dir.absolute()} or on Python's path"
            f"{_did_you_mean(missing, nearby)} (--app-dir names another directory)"
        ) from error
    except (Exception, SystemExit) as error:
        raise _failed(f"importing '{name}'", error) from error


def _attribute(module: ModuleType, dotted: str) -> object:
    found: object = module
    for name in dotted.split("."):
        if not hasattr(found, name):
            raise ConfigurationError(
                f"'{module.__name__}' has no attribute '{dotted}'"
                + (_did_you_mean(name, _public(found)) or _apps_in(module))
            )
        found = getattr(found, name)
    return found


def _made_by(factory: object, target: str) -> object:
    if not callable(factory):
        raise ConfigurationError(
            f"--factory: '{target}' is of type {type(factory).__name__}, not a function"
        )
    from starlette.applications import Starlette

    if isinstance(factory, Starlette):
        raise ConfigurationError(f"'{target}' is an app already: leave --factory out")
    try:
        return factory()
    except (Exception, SystemExit) as error:
        raise _failed(f"calling '{target}'", error) from error


def _checked(found: object, target: str) -> ASGIApp:
    if _looks_like_factory(found):
        raise ConfigurationError(
            f"'{target}' is a function without parameters: add --factory if it makes the app"
        )
    if not callable(found) or isinstance(found, type):
        raise ConfigurationError(
            f"'{target}' is of type {type(found).__name__}, not an ASGI app such as FastAPI()"
        )
    return cast("ASGIApp", found)


def _looks_like_factory(found: object) -> bool:
    if not inspect.isfunction(found):
        return False
    parameters = inspect.signature(found).parameters.values()
    return all(
        parameter.default is not parameter.empty
        or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        for parameter in parameters
    )


def _failed(doing: str, error: BaseException) -> ConfigurationError:
    if isinstance(error, LoadOnceError):
        return ConfigurationError(f"{doing} failed: {error}")
    place = place_of(error)
    return ConfigurationError(
        f"{doing} failed: {type(error).__name__}: {error}{f' ({place})' if place else ''}"
    )


def _public(found: object) -> list[str]:
    return [name for name in dir(found) if not name.startswith("_")]


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _apps_in(module: ModuleType) -> str:
    from starlette.applications import Starlette

    apps = [name for name in _public(module) if isinstance(getattr(module, name), Starlette)]
    return f"; it has the app{'s' if len(apps) > 1 else ''}: {', '.join(apps)}" if apps else ""
