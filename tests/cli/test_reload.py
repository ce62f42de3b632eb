"""`loadonce reload` where there is nothing to ask; the rest: tests/integration/test_reloads.py."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from loadonce.cli.app import command_line
from loadonce.server.board import running
from loadonce.server.board.server_info import ServerInfo


def test_a_server_without_a_control_socket_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    info = ServerInfo("0", 7, "main:app", "http://h", 1, 0.0)
    monkeypatch.setattr(running, "find_info", lambda _pid: (info, None))
    found = CliRunner().invoke(command_line(["reload", "rollback"]), ["rollback"])
    assert found.exit_code == 2
    assert "server 7 has no control socket" in found.output
