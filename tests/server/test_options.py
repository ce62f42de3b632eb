"""What an operator may choose, and what contradicts itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from loadonce import ConfigurationError
from loadonce.server import ServeOptions, default_drain_delay


def test_a_unix_socket_and_an_inherited_one_exclude_each_other() -> None:
    with pytest.raises(ConfigurationError, match="--uds and --fd"):
        ServeOptions(target="main:app", uds=Path("x"), fd=3)


@pytest.mark.parametrize("name", ["ssl_keyfile", "ssl_ca_certs"])
def test_tls_needs_a_certificate(name: str) -> None:
    with pytest.raises(ConfigurationError, match="--ssl-certfile"):
        ServeOptions(target="main:app", **{name: Path("x.pem")})  # type: ignore[arg-type]


def test_a_certificate_makes_it_https() -> None:
    assert ServeOptions(target="main:app").scheme == "http"
    assert ServeOptions(target="main:app", ssl_certfile=Path("x.pem")).scheme == "https"


class _Terminal:
    def __init__(self, is_terminal: bool) -> None:
        self.isatty = lambda: is_terminal


@pytest.mark.parametrize(
    ("is_terminal", "in_kubernetes", "expected"),
    [(True, True, 0.0), (False, True, 5.0), (False, False, 1.0)],
)
def test_how_long_to_drain_depends_on_who_sends_requests(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, in_kubernetes: bool, expected: float
) -> None:
    monkeypatch.setattr(sys, "stdin", _Terminal(is_terminal))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    if in_kubernetes:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert default_drain_delay() == expected


def test_more_workers_than_could_be_meant_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadonce.server.options.available_cpus", lambda: 2)
    assert ServeOptions(target="main:app", workers=128).workers == 128
    with pytest.raises(ConfigurationError, match="--workers 129: with 2 CPUs at most 128"):
        ServeOptions(target="main:app", workers=129)


def test_a_fork_needs_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadonce.server.options.is_linux", lambda: False)
    with pytest.raises(ConfigurationError, match="--fork needs Linux"):
        ServeOptions(target="main:app", fork=True)
    assert ServeOptions(target="main:app", fork=False).has_supervisor is False
    several = ServeOptions(target="main:app", fork=False, workers=2, reload_models=True)
    assert several.has_supervisor
    assert not several.keeps_generation


def test_what_workers_that_are_not_forked_cannot_do_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="--reload-policy memory needs"):
        ServeOptions(target="main:app", fork=False, workers=2, reload_policy="memory")
    with pytest.raises(ConfigurationError, match="--reload-models needs a supervisor"):
        ServeOptions(target="main:app", fork=False, reload_models=True)


WINDOWS = """
import asyncio, multiprocessing, os, signal, socket, uvicorn  # which know Windows
from types import SimpleNamespace

for module, names in (
    (signal, "SIGHUP SIGCHLD SIGKILL SIG_BLOCK SIG_UNBLOCK SIG_SETMASK pthread_sigmask"),
    (os, "fork getuid memfd_create posix_spawn setpgid waitpid WNOHANG"),
    (socket, "AF_UNIX SOCK_SEQPACKET SO_PEERCRED send_fds recv_fds"),
):
    for name in names.split():
        delattr(module, name)

from loadonce.cli.app import command_line
from loadonce.server import ServeOptions, options

command_line()
options.os = SimpleNamespace(name="nt")
try:
    ServeOptions(target="main:app")
except options.ConfigurationError as error:
    print(error)
"""


def test_on_windows_all_is_imported_and_to_serve_is_refused() -> None:
    run = subprocess.run([sys.executable, "-c", WINDOWS], capture_output=True, text=True)
    expected = "loadonce serves on Linux and macOS only: try `uvicorn main:app` here\n"
    assert (run.stdout, run.stderr) == (expected, "")


def test_elsewhere_each_worker_loads_its_own_models(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not ServeOptions(target="main:app", workers=2).loads_in_each_worker
    monkeypatch.setattr(sys, "platform", "darwin")
    assert ServeOptions(target="main:app", workers=2).loads_in_each_worker
    assert not ServeOptions(target="main:app").loads_in_each_worker
