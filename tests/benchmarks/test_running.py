"""Who is measured, and that nothing of a contender is left."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks import rate
from benchmarks.contenders import CONTENDERS, Contender, Reply
from benchmarks.environments import NotInstallableError, prepare
from benchmarks.measuring import difference
from benchmarks.places import REQUIREMENTS
from benchmarks.running import chosen
from benchmarks.servers import ServerError, processes, running

SERVER = """
import subprocess, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"probability": 0.5, "label": "a"}')
    def log_message(self, *_):
        pass

orphan = "import time; time.sleep(600)"
subprocess.Popen([sys.executable, "-c", orphan], start_new_session=True)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def contender(script: str) -> Contender:
    return Contender(
        name="fake",
        environment="fastapi",
        workloads=("pipeline",),
        command=lambda _, port: [sys.executable, "-c", script, str(port)],
        path=lambda _: "/predict",
        health=None,
    )


@pytest.mark.integration
@pytest.mark.timeout(60)
def test_a_server_is_ended_with_its_orphans() -> None:
    """One in a session of its own, which no signal to the server's group would reach."""
    with running(contender(SERVER), "pipeline", {"age": 1.0}) as server:
        left = processes(server.mark)
        assert len(left) == 2
        assert server.start_seconds > 0
        assert server.memory_bytes() > 0
    assert processes(server.mark) == []
    assert not any(process.is_running() for process in left if process.pid in psutil.pids())


@pytest.mark.integration
@pytest.mark.timeout(60)
def test_a_server_that_ends_says_why() -> None:
    broken = contender("raise SystemExit('no such model')")
    with (
        pytest.raises(ServerError, match="no such model"),
        running(broken, "pipeline", {"age": 1.0}),
    ):
        raise AssertionError("unreachable")


@pytest.mark.integration
@pytest.mark.timeout(60)
def test_a_server_that_refuses_says_with_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.servers.START_TIMEOUT", 3.0)
    refusing = contender(SERVER.replace("200", "422"))
    with pytest.raises(ServerError, match="422"), running(refusing, "pipeline", {"age": 1.0}):
        raise AssertionError("unreachable")


def test_names_choose_contenders_models_or_both() -> None:
    assert chosen(["ray"]) == [("pipeline", "ray"), ("forest", "ray")]
    assert chosen(["forest", "ray", "litserve"]) == [("forest", "litserve"), ("forest", "ray")]
    assert chosen(["cnn/litserve"]) == [("cnn", "litserve")]
    assert chosen(["forest", "ray", "cnn/litserve"]) == [("forest", "ray"), ("cnn", "litserve")]
    assert {name for _, name in chosen([])} >= {one.name for one in CONTENDERS}


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"unknown: lightserve.*litserve"):
        chosen(["lightserve"])


def test_answers_are_compared() -> None:
    right = [{"probability": 0.7, "label": "high"}, {"probability": 0.6, "label": "low"}]
    assert difference([Reply(0.7, "high"), Reply(0.6 + 1e-7)], right) == pytest.approx(1e-7)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (None, "row 0 was not answered"),
        (Reply(0.7, "low"), "another label"),
        (Reply(0.7 + 1e-5, "high"), "differs from the original by 1e-05"),
    ],
)
def test_a_wrong_answer_is_an_error(reply: Reply | None, message: str) -> None:
    with pytest.raises(ServerError, match=message):
        difference([reply], [{"probability": 0.7, "label": "high"}])


def test_every_contender_has_pinned_requirements() -> None:
    for environment in {one.environment for one in CONTENDERS} - {"repository"} | {"harness"}:
        lines = (REQUIREMENTS / f"{environment}.txt").read_text().splitlines()
        pins = [line for line in lines if line and not line.lstrip().startswith("#")]
        assert pins
        assert all("==" in line for line in pins)


def test_an_environment_that_cannot_be_made_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LOADONCE_BENCH_ENVIRONMENTS", str(tmp_path / "file"))
    with pytest.raises(NotInstallableError):
        prepare("fastapi")


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
def test_every_request_of_a_fixed_rate_is_asked_and_failures_are_counted(is_chunked: bool) -> None:
    """Every third answer is a 503."""
    answered = 0
    connections: list[asyncio.Future[None]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        while head := await _head(reader):
            await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
            answered += 1
            status = b"503 No" if answered % 3 == 0 else b"200 OK"
            rest = b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
            rest = rest if is_chunked else b"content-length: 2\r\n\r\n{}"
            writer.write(b"HTTP/1.1 " + status + b"\r\n" + rest)
        writer.close()
        await writer.wait_closed()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(asyncio.ensure_future(answer(reader, writer)))

    async def scenario() -> rate.Paced:
        async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            found = await rate.paced(port, [rate.request("POST", "/", b"{}")], 300, 0.1)
            await asyncio.gather(*connections)
            return found

    found = asyncio.run(scenario())
    assert (found.asked, found.failed) == (30, 10)
    assert 0 < found.p50 <= found.p95 <= found.p99


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).lower()
    except asyncio.IncompleteReadError:
        return b""
