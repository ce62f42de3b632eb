"""What opens WebSockets, where something can; that it does: tests/integration/test_live.py."""

from __future__ import annotations

import pytest

from loadonce.server.app import websockets


@pytest.mark.parametrize("known", [{"websockets"}, {"wsproto"}, set()])
def test_a_library_of_websockets_is_needed(
    monkeypatch: pytest.MonkeyPatch, known: set[str]
) -> None:
    monkeypatch.setattr(websockets, "find_spec", lambda name: name if name in known else None)
    assert callable(websockets.websocket_protocol()) == bool(known)
    assert known or websockets.websocket_protocol() == "none"
