"""A service with Type=notify: what `loadonce serve` tells on the socket it is given."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .test_workers import APP

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

Launch = Callable[..., Any]
Write = Callable[..., Path]


class Systemd:
    """Hears what a service says."""

    def __init__(self, path: Path) -> None:
        self._end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._end.bind(str(path))
        self._end.settimeout(25)
        self.environment = {"NOTIFY_SOCKET": str(path)}

    def close(self) -> None:
        self._end.close()

    def is_silent(self) -> bool:
        """Whether nothing comes for a second, what was sent before left out."""
        self._end.settimeout(1.0)
        try:
            for _ in range(30):
                self._end.recv(4096)
        except TimeoutError:
            return True
        finally:
            self._end.settimeout(25)
        return False

    def hear(self, name: str) -> dict[str, str]:
        """The next message that has this field; what comes before it is no surprise."""
        while True:
            said = dict(line.split("=", 1) for line in self._end.recv(4096).decode().split("\n"))
            if name in said:
                return said
            assert set(said) == {"WATCHDOG"}, said


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    made = Systemd(tmp_path / "notify")
    yield made
    made.close()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ready_reloading_and_stopping_are_told(
    write: Write, serve: Launch, systemd: Systemd, workers: str
) -> None:
    write(APP, a=b"a", b=b"b")
    process = serve("--workers", workers, **systemd.environment)
    ready = systemd.hear("READY")
    assert ready == {"READY": "1", "STATUS": f"serving {process.url}"}
    began = time.monotonic_ns() // 1000
    process.send(signal.SIGHUP)
    reloading = systemd.hear("RELOADING")
    assert began <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    assert systemd.hear("READY")["STATUS"].endswith("reloaded")
    process.wait_for("the former generation has ended")
    process.send(signal.SIGTERM)
    assert systemd.hear("STOPPING") == {"STOPPING": "1", "STATUS": "stopping"}
    assert process.wait() == 0


def test_a_reload_that_fails_ends_too(
    write: Write, serve: Launch, systemd: Systemd, tmp_path: Path
) -> None:
    write(APP, a=b"a", b=b"b")
    process = serve(**systemd.environment)
    systemd.hear("READY")
    (tmp_path / "models" / "a.bin").write_bytes(b"altered")
    process.send(signal.SIGHUP)
    systemd.hear("RELOADING")
    assert systemd.hear("READY")["STATUS"] == "reload failed, the former models serve on"
    assert process.stop() == 0


@pytest.mark.parametrize("mode", ["--fork", "--no-fork"])
def test_the_process_that_was_started_gives_signs_of_life_and_no_other(
    write: Write, serve: Launch, systemd: Systemd, mode: str
) -> None:
    told = (
        "\n@app.get('/told')\nasync def told() -> bool:\n    return 'NOTIFY_SOCKET' in os.environ\n"
    )
    write(APP + told, a=b"a", b=b"b")
    process = serve(mode, **systemd.environment, WATCHDOG_USEC="400000")
    systemd.hear("READY")
    for _ in range(3):
        systemd.hear("WATCHDOG")
    assert process.get("/told").json() is False
    assert process.stop() == 0


def test_a_service_that_hangs_gives_none(write: Write, serve: Launch, systemd: Systemd) -> None:
    """The control, and what the watchdog is for."""
    write(APP, a=b"a", b=b"b")
    process = serve(**systemd.environment, WATCHDOG_USEC="400000")
    systemd.hear("READY")
    process.send(signal.SIGSTOP)
    time.sleep(0.3)
    assert systemd.is_silent()
    process.send(signal.SIGCONT)
    systemd.hear("WATCHDOG")
    assert process.stop() == 0
