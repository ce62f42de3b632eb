"""A real server: what people submit is in no line it writes."""

import contextlib
import json
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from vitalcheck.features import FEATURES

CANARY = "canary" + secrets.token_hex(8)
pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def served(server: list[str], log: Path) -> Iterator[str]:
    """VitalCheck under a server of its own, which writes to `log`."""
    port = free_port()
    command = [str(Path(sys.executable).with_name(server[0])), *server[1:]]
    options = ["vitalcheck.app:create_app", "--factory", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen([*command, *options], stdout=output, stderr=subprocess.STDOUT)
        try:
            await_start(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def await_start(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(f"{url}/readyz", timeout=30).status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError("the server did not start")


def submit_canaries(url: str) -> None:
    """Everywhere a client can write something, in requests that succeed and that fail."""
    body = {**FEATURES["diabetes"].example}
    headers = {"X-Canary": CANARY, "Cookie": CANARY}
    with httpx2.Client(base_url=url, headers=headers, timeout=30) as client:
        for path in ("/api/v1/risk/diabetes", "/api/v1/risk/comprehensive", "/api/v1/nothing"):
            params = {"q": CANARY, "explain": CANARY}
            client.post(path, params=params, json={**body, "glucose": CANARY})
            client.post(path, params={"q": CANARY}, json=body)
            client.post(path, content=CANARY)
            client.post(path, content=json.dumps(body) + CANARY)
        client.get("/api/v1/hospital/analytics", params={"condition": CANARY})
        files = {"image": (f"{CANARY}.png", CANARY.encode())}
        client.post("/api/v1/imaging/brain-tumor", files=files)
        client.post("/api/v1/imaging/brain-tumor", json={"image_base64": CANARY})


@pytest.mark.parametrize(
    "server",
    [["uvicorn", "--log-level", "debug"], ["loadonce", "serve", "--access-log"]],
    ids=lambda server: server[0],
)
def test_no_line_of_the_log_holds_what_was_submitted(server: list[str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    with served(server, log) as url:
        submit_canaries(url)
    written = log.read_text()
    assert "/api/v1/risk/diabetes" in written
    assert CANARY not in written
