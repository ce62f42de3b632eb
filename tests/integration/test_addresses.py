"""Where an app can be served, and what is logged about requests."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

Launch = Callable[..., Any]
Write = Callable[..., Path]

APP = """
from fastapi import Request, WebSocket

app = FastAPI()

@app.get("/seen")
async def seen(request: Request) -> dict[str, Any]:
    return {
        "root_path": request.scope["root_path"],
        "client": request.client.host if request.client else "",
        "scheme": request.url.scheme,
    }

@app.get("/fail")
async def fail(glucose: str) -> None:
    raise ValueError(f"no such glucose: {glucose}")
"""


def test_a_unix_socket_is_private_and_removed(write: Write, serve: Launch, tmp_path: Path) -> None:
    write(APP)
    path = tmp_path / "app.sock"
    process = serve("--uds", str(path), "--root-path", "/api")
    process.wait_for(r"ready on http\+unix:")
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(path)), timeout=30) as client:
        assert client.get("http://app/seen").json()["root_path"] == "/api"
    second = serve("--uds", str(path))
    assert second.wait() == 1
    assert "Address already in use" in second.output
    assert process.stop() == 0
    assert not path.exists()


def test_a_socket_file_left_behind_is_replaced(write: Write, serve: Launch, tmp_path: Path) -> None:
    write(APP)
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    process = serve("--uds", str(path), "--uds-mode", "600")
    process.wait_for("ready on")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
def test_tls_with_a_certificate_of_ones_own(write: Write, serve: Launch, tmp_path: Path) -> None:
    write(APP)
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout key.pem "
        "-out cert.pem -days 1 -passout pass:secret -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    )
    subprocess.run(
        command.split(),
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    tls = ["--ssl-certfile", "cert.pem", "--ssl-keyfile", "key.pem"]
    process = serve(*tls, LOADONCE_SSL_KEYFILE_PASSWORD="secret")
    url = process.url
    assert url.startswith("https://")
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    assert httpx2.get(f"{url}/seen", verify=context, timeout=30).json()["scheme"] == "https"
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{url}/seen", timeout=30)
    process.stop()

    strict = serve(*tls, "--ssl-ca-certs", "cert.pem", LOADONCE_SSL_KEYFILE_PASSWORD="secret")
    with pytest.raises(httpx2.HTTPError):
        httpx2.get(f"{strict.url}/seen", verify=context, timeout=30)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem", "secret")
    assert httpx2.get(f"{strict.url}/seen", verify=context, timeout=30).status_code == 200
    assert strict.stop() == 0

    wrong = serve(*tls, LOADONCE_SSL_KEYFILE_PASSWORD="wrong")
    assert wrong.wait() == 1
    assert "TLS with cert.pem, key.pem" in wrong.output


def test_an_inherited_socket_is_used(write: Write, tmp_path: Path, launch: Launch) -> None:
    write(APP)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        process = launch(
            "loadonce",
            "serve",
            "main:app",
            "--fd",
            str(listener.fileno()),
            pass_fds=(listener.fileno(),),
        )
        process.wait_for("ready on " + url)
        assert httpx2.get(url + "/seen", timeout=30).status_code == 200


def test_proxy_headers_are_believed_from_trusted_proxies_only(write: Write, serve: Launch) -> None:
    write(APP)
    headers = {"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https"}
    trusting = serve()
    seen = httpx2.get(trusting.url + "/seen", headers=headers, timeout=30).json()
    assert (seen["client"], seen["scheme"]) == ("203.0.113.7", "https")
    distrusting = serve("--forwarded-allow-ips", "192.0.2.1")
    assert (
        httpx2.get(distrusting.url + "/seen", headers=headers, timeout=30).json()["scheme"]
        == "http"
    )
    deaf = serve("--no-proxy-headers")
    assert (
        httpx2.get(deaf.url + "/seen", headers=headers, timeout=30).json()["client"] == "127.0.0.1"
    )


def test_no_line_of_the_log_holds_what_a_client_submitted(write: Write, serve: Launch) -> None:
    write(APP)
    process = serve("--access-log")
    assert process.get("/seen?glucose=148.62575").status_code == 200
    assert process.get("/fail?glucose=148.62575").status_code == 500
    process.stop()
    assert "148.62575" not in process.output
    lines = [json.loads(line) for line in process.output.splitlines()]
    request = next(line for line in lines if line["message"] == "request")
    assert (request["method"], request["path"], request["status"]) == ("GET", "/seen", 200)
    error = next(line for line in lines if line["level"] == "error")
    assert "in fail" in error["exception"]
    assert "builtins.ValueError" in error["exception"]


def test_without_the_access_log_requests_leave_no_line(write: Write, serve: Launch) -> None:
    write(APP)
    process = serve()
    assert process.get("/seen").status_code == 200
    process.stop()
    assert "/seen" not in process.output
