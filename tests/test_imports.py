"""What importing loadonce costs: a format's libraries come with its first use, not before."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loadonce import lock_directory

WEB = ["fastapi", "starlette"]
MODELS = ["joblib", "lightgbm", "numpy", "onnxruntime", "pandas", "pyarrow", "scipy", "skops"]
MODELS += ["safetensors", "sklearn", "torch", "xgboost"]
TOOLS = ["httpx", "httpx2", "prometheus_client", "pydantic_settings", "rich", "typer", "watchfiles"]
SERVERS = ["httptools", "uvicorn", "uvloop"]
HEAVY = [*WEB, *MODELS, *TOOLS, *SERVERS]


def imported_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after running `code`."""
    tell = "import json, sys; print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    command = [sys.executable, "-W", "error", "-c", f"{code}\n{tell}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    names: list[str] = json.loads(done.stdout.splitlines()[-1])
    return set(names)


SERVED = """
import asyncio, json, os, signal, sys
from contextlib import asynccontextmanager
from fastapi import FastAPI
from loadonce import Model, Registry, artifact
from loadonce.http import install

class Models(Registry):
    factors: Model[object] = artifact("factors.json")

models = Models(root="models")

@asynccontextmanager
async def lifespan(app):
    async with models.running(app):
        EXTRA
        asyncio.get_running_loop().call_later(0, os.kill, os.getppid(), signal.SIGTERM)
        yield
        print(json.dumps(sorted({m.partition(".")[0] for m in sys.modules})))

app = FastAPI(lifespan=lifespan)
install(app, models)
ROUTES
"""
ONE_WEBSOCKET = """
from fastapi import APIRouter, WebSocket

inner, outer = APIRouter(), APIRouter()

@inner.websocket("/talk")
async def talk(socket: WebSocket) -> None: ...

outer.include_router(inner)
app.include_router(outer)
"""


def imported_by_serving(directory: Path, extra: str = "pass", routes: str = "") -> set[str]:
    """The top-level modules of `loadonce serve` with one JSON model, once it is ready."""
    (directory / "models").mkdir()
    (directory / "models/factors.json").write_text("{}")
    lock_directory(directory / "models")
    (directory / "served.py").write_text(SERVED.replace("EXTRA", extra).replace("ROUTES", routes))
    command = [sys.executable, "-W", "error", "-c", "from loadonce.cli import main; main()"]
    command += ["serve", "served:app", "--port", "0", "--drain-delay", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=directory)
    names: list[str] = json.loads(done.stdout.splitlines()[-1])
    return set(names)


def heavy(names: set[str], budget: Sequence[str] = HEAVY) -> list[str]:
    return sorted(names & set(budget))


def test_importing_loadonce_imports_nothing_heavy() -> None:
    """No format's library, no web framework, no terminal toolkit, no settings library."""
    assert heavy(imported_by("import loadonce")) == []


def test_declaring_a_registry_imports_nothing_heavy() -> None:
    """A registry that is only declared does no work: a type checker's or a test's view of it."""
    code = (
        "from loadonce import *\n"
        "class Models(Registry):\n"
        "    a: Model[Classifier] = artifact('a.joblib')\n"
        "    b: Model[object] = table('b.parquet')\n"
        "models = Models()\n"
        "repr(models), models.status(), models.readiness()\n"
    )
    assert heavy(imported_by(code)) == []


@pytest.mark.parametrize("room", ["loadonce.http", "loadonce.testing"])
def test_the_web_rooms_import_no_models_library(room: str) -> None:
    """They need FastAPI, nothing else."""
    assert heavy(imported_by(f"import {room}"), MODELS) == []


def test_serving_imports_what_serving_needs(tmp_path: Path) -> None:
    """The web server, typer and the settings; no other format's library, no terminal toolkit, no
    WebSockets."""
    names = imported_by_serving(tmp_path)
    budget = [*MODELS, "httpx", "httpx2", "prometheus_client", "rich", "websockets"]
    assert heavy(names, budget) == []
    assert {"uvicorn", "typer", "pydantic_settings"} <= names


def test_the_budget_notices_what_serving_imports(tmp_path: Path) -> None:
    """The control: what comes with the last step of the start is seen too."""
    assert heavy(imported_by_serving(tmp_path, "import numpy"), MODELS) == ["numpy"]


def test_an_app_with_websockets_imports_their_library_before_it_serves(tmp_path: Path) -> None:
    """Nobody waits for that while the app serves, and workers share it."""
    assert "websockets" in imported_by_serving(tmp_path, routes=ONE_WEBSOCKET)


def test_a_small_table_is_read_without_the_library_of_computations(tmp_path: Path) -> None:
    """pyarrow.compute, which takes as long to import as all the rest of pyarrow."""
    pq.write_table(pa.table({"name": ["a", "b", "a"]}), tmp_path / "t.parquet")
    lock_directory(tmp_path)
    code = (
        "import sys\n"
        "from loadonce import *\n"
        "class Models(Registry):\n"
        "    t: Model[object] = table('t.parquet')\n"
        f"with Models(root={str(tmp_path)!r}).loaded() as models:\n"
        "    assert models.t.run(len) == 3\n"
        "print('pyarrow.compute' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"


def test_the_budget_notices_what_is_imported() -> None:
    """The control: a heavy import is seen."""
    assert heavy(imported_by("import loadonce, numpy")) == ["numpy"]
