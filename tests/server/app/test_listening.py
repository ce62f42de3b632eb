"""Listening sockets: open before anything else, named when they cannot be."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import ExitStack
from pathlib import Path

import pytest

from loadonce import ConfigurationError
from loadonce.server.app.listening import listening, url_of
from loadonce.server.options import ServeOptions
from loadonce.system.linux import refuse_new_connections


def _options(**chosen: object) -> ServeOptions:
    return ServeOptions(target="main:app", **chosen)  # type: ignore[arg-type]


def test_a_port_of_the_systems_choice_accepts_connections_at_once() -> None:
    with listening(_options(port=0)) as listener:
        url = url_of(listener, "http")
        assert url == f"http://127.0.0.1:{listener.getsockname()[1]}"
        with socket.create_connection(listener.getsockname()):
            pass


def test_an_ipv6_address_is_written_in_brackets() -> None:
    with listening(_options(host="::1", port=0)) as listener:
        assert url_of(listener, "https").startswith("https://[::1]:")


def test_no_host_means_every_address() -> None:
    with listening(_options(host="", port=0)) as listener:
        assert listener.getsockname()[0] in ("0.0.0.0", "::")


def test_a_port_in_use_is_named_although_nobody_accepts_there_yet() -> None:
    with listening(_options(port=0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"127.0.0.1 port {port}: Address already"):
            listening(_options(port=port)).__enter__()


@pytest.mark.parametrize(
    ("host", "expected"),
    [("no.such.host.invalid", "--host no.such.host.invalid: "), ("192.0.2.1", "192.0.2.1 port")],
)
def test_an_address_of_nobody_or_of_another_machine_is_named(host: str, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        listening(_options(host=host, port=0)).__enter__()


def test_a_unix_socket_has_its_permissions_and_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    before = os.umask(0)
    try:
        with listening(_options(uds=path, uds_mode=0o600)) as listener:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert url_of(listener, "http") == f"http+unix:{path}"
            with pytest.raises(ConfigurationError, match="Address already in use"):
                listening(_options(uds=path)).__enter__()
    finally:
        assert os.umask(before) == 0
    assert not path.exists()


def test_a_unix_socket_left_behind_is_replaced_but_no_file_is(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with listening(_options(uds=path)):
        assert path.is_socket()
    path.write_text("precious")
    with pytest.raises(ConfigurationError, match=r"app\.sock: .* no socket"):
        listening(_options(uds=path)).__enter__()
    assert path.read_text() == "precious"


@pytest.mark.parametrize("by", ["another server", "nobody"])
def test_a_unix_socket_that_another_server_has_put_there_stays(tmp_path: Path, by: str) -> None:
    """Workers remove the path as they stop to accept; the last requests may take long."""
    path = tmp_path / "app.sock"
    with ExitStack() as stack:
        with listening(_options(uds=path)) as listener:
            assert refuse_new_connections(listener)
            if by == "another server":
                stack.enter_context(listening(_options(uds=path)))
        assert path.exists() is (by == "another server")
    assert not path.exists()


def test_a_path_too_long_for_a_unix_socket_is_named() -> None:
    with pytest.raises(ConfigurationError, match="AF_UNIX path too long"):
        listening(_options(uds=Path("/tmp") / ("x" * 200))).__enter__()


def test_an_address_of_another_machine_is_told_from_a_port_in_use() -> None:
    with pytest.raises(ConfigurationError, match="--host takes an address of this machine"):
        listening(_options(host="192.0.2.1")).__enter__()


@pytest.mark.parametrize("is_listening", [True, False])
def test_an_inherited_socket_is_used_as_it_is(is_listening: bool) -> None:
    with socket.socket() as mine:
        mine.bind(("127.0.0.1", 0))
        if is_listening:
            mine.listen()
        with (
            listening(_options(fd=os.dup(mine.fileno()))) as listener,
            socket.create_connection(mine.getsockname()),
        ):
            assert listener.getsockname() == mine.getsockname()


def test_a_descriptor_that_is_no_socket_is_named(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file, pytest.raises(ConfigurationError, match="--fd"):
        listening(_options(fd=file.fileno())).__enter__()
