"""What opens WebSockets, where something can; that it does: tests/integration/test_live.py."""

from __future__ import annotations

import sys

import pytest
from fastapi import FastAPI

from loadonce.server.app import websockets


@pytest.mark.parametrize("known", [{"websockets"}, {"wsproto"}, set()])
def test_a_library_of_websockets_is_needed(
    monkeypatch: pytest.MonkeyPatch, known: set[str]
) -> None:
    monkeypatch.setattr(websockets, "find_spec", lambda name: name if name in known else None)
    assert callable(websockets.websocket_protocol()) == bool(known)
    assert known or websockets.websocket_protocol() == "none"


@pytest.mark.parametrize("declares", [True, False])
def test_only_who_declares_websockets_imports_their_library_early(
    monkeypatch: pytest.MonkeyPatch, declares: bool
) -> None:
    name = "uvicorn.protocols.websockets.auto"
    monkeypatch.delitem(sys.modules, name, raising=False)
    app, mounted = FastAPI(), FastAPI()
    app.mount("/within", mounted)
    if declares:
        mounted.websocket("/talk")(lambda socket: socket)
    websockets.import_if_declared(app.routes)
    assert (name in sys.modules) == declares
