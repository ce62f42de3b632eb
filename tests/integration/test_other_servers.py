"""The same app under other servers, unchanged."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

Launch = Callable[..., Any]
Write = Callable[..., Path]

APP = """
from loadonce.http import install

class Models(Registry):
    a: Model[str] = artifact("a.bin", loader=text, close=lambda value: note("closed"))
    b: Model[str] = artifact("b.bin", loader=text, required=False)

models = Models(root=HERE / "models")
app = FastAPI(lifespan=models.lifespan)
install(app, models)

@app.get("/a")
async def a(model: Annotated[Handle[str], Depends(models.a)]) -> str:
    return await model.run(lambda value: value)

@app.get("/b")
async def b(model: Annotated[Handle[str], Depends(models.b)]) -> str:
    return model.value
"""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _commands(port: int) -> dict[str, list[str]]:
    return {
        "loadonce": ["loadonce", "serve", "main:app", "--port", f"{port}", "--drain-delay", "0"],
        "uvicorn": ["uvicorn", "main:app", "--port", f"{port}"],
        "gunicorn": [
            *("gunicorn", "-k", "uvicorn_worker.UvicornWorker", "-b", f"127.0.0.1:{port}"),
            *("--no-control-socket", "main:app"),
        ],
        "fastapi": ["fastapi", "run", "main.py", "--host", "127.0.0.1", "--port", f"{port}"],
    }


def await_start(process: Any) -> None:
    """Until it listens: gunicorn does before its worker has started, uvicorn afterwards."""
    process.wait_for(r"Listening at(?s:.*)startup complete|Uvicorn running on|ready on")


@pytest.mark.parametrize("server", ["loadonce", "uvicorn", "gunicorn", "fastapi"])
def test_an_app_runs_under_any_server_and_closes_what_it_opened(
    write: Write, launch: Launch, tmp_path: Path, server: str
) -> None:
    write(APP, a=b"hello", b=b"optional")
    port = _free_port()
    process = launch(*_commands(port)[server], PYTHONPATH=str(tmp_path))
    await_start(process)
    url = f"http://127.0.0.1:{port}"
    assert httpx2.get(f"{url}/a", timeout=30).json() == "hello"
    assert httpx2.get(f"{url}/readyz", timeout=30).json()["status"] == "ok"
    process.stop(signal.SIGTERM)
    assert (tmp_path / "notes.txt").read_text() == "closed\n"


def test_an_optional_model_that_is_missing_costs_its_own_routes_only(
    write: Write, serve: Launch
) -> None:
    models = write(APP, a=b"hello", b=b"optional")
    (models / "b.bin").unlink()
    process = serve()
    assert process.get("/a").json() == "hello"
    refused = process.get("/b")
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    ready = process.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert "model 'b' (b.bin): nothing exists at this path" in process.output.replace("\\n", "\n")
    assert process.stop() == 0


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn", "fastapi"])
def test_a_required_model_that_is_missing_stops_other_servers_too(
    write: Write, launch: Launch, tmp_path: Path, server: str
) -> None:
    models = write(APP, a=b"hello", b=b"optional")
    (models / "a.bin").unlink()
    process = launch(*_commands(_free_port())[server], PYTHONPATH=str(tmp_path))
    assert process.wait() != 0
    assert "model 'a' (a.bin): nothing exists at this path" in process.output
