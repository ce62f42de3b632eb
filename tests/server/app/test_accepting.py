"""Who takes a connection: the worker with the fewest, or whoever sees that nobody else does."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl
from collections.abc import Callable

import pytest

from loadonce.server.app.accepting import Acceptor, Connections, Share, always
from loadonce.server.board.board import Board, Row

pytestmark = pytest.mark.anyio


class _Listener(socket.socket):
    """Fails as told, then works."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[OSError] = []
        self.bind(("127.0.0.1", 0))
        self.listen()
        self.setblocking(False)

    def accept(self) -> tuple[socket.socket, object]:
        if self.errors:
            raise self.errors.pop()
        return super().accept()


class _Protocol(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        made.append(self)


made: list[_Protocol] = []


@pytest.fixture(autouse=True)
def _none_made() -> None:
    made.clear()


async def _accepted(
    listener: _Listener, row: Row, may_accept: Callable[[], bool] = always, count: int = 1
) -> Acceptor:
    acceptor = Acceptor(listener, _Protocol, None, may_accept, row)
    acceptor.start()
    clients = [socket.create_connection(listener.getsockname()) for _ in range(count)]
    async with asyncio.timeout(10):
        while len(made) < count:  # noqa: ASYNC110  # whose end nobody announces
            await asyncio.sleep(0.001)
    for client in clients:
        client.close()
    for protocol in made:
        protocol.transport.close()
    return acceptor


def test_the_one_with_the_fewest_takes_the_next() -> None:
    board = Board(3)
    share = Share(board, board[0])
    assert share()
    board[0].connections = 1
    assert share()  # nobody else is there
    board[1].accepts = True
    board[1].beat()
    assert not share()
    board[1].connections = 1
    assert share()
    board[1].connections = 0
    board[1].accepts = False  # leaves
    assert share()


def test_a_worker_that_is_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(2)
    board[0].connections, board[1].accepts = 5, True
    board[1].beat()
    assert not Share(board, board[0])()
    monkeypatch.setattr("loadonce.server.app.accepting._STALE", -1.0)
    assert Share(board, board[0])()


@pytest.mark.parametrize(
    ("counts", "surplus"),
    [
        ([21, 21, 22, 0], 5),
        ([22, 21, 21, 0], 6),
        ([0, 21, 21, 22], 0),
        ([17, 16, 11, 20], 0),  # about even
        ([2, 0], 1),
        ([1, 0], 0),
        ([3, 1], 0),
        ([5], 0),
    ],
)
def test_who_has_far_more_than_another_has_some_for_others(counts: list[int], surplus: int) -> None:
    board = Board(len(counts) + 1)  # the last row is nobody's
    for row, count in zip(board, counts, strict=False):
        row.accepts, row.connections = True, count
        row.beat()
    assert Share(board, board[0]).surplus == surplus


def test_who_takes_no_connections_and_knows_of_nobody_has_none_for_others() -> None:
    board = Board(1)
    board[0].connections = 5
    assert Share(board, board[0]).surplus == 0


def test_closed_connections_are_not_counted_any_more() -> None:
    row = Board(1)[0]
    connections = Connections(row, str)
    row.connections = 2
    connections.add("a")
    connections.discard("a")
    connections.discard("a")  # uvicorn may tell twice
    assert row.connections == 1


def test_a_connection_that_is_upgraded_is_counted_once() -> None:
    row = Board(1)[0]
    connections = Connections(row, str)
    row.connections = 1
    connections.add("http")
    connections.discard("http")
    connections.add(b"websocket")
    assert row.connections == 1
    connections.remove(b"websocket")
    assert row.connections == 0


async def test_whoever_sees_that_nobody_takes_it_takes_it() -> None:
    asked: list[bool] = []

    def never() -> bool:
        asked.append(True)
        return False

    with _Listener() as listener:
        row = Board(1)[0]
        acceptor = await _accepted(listener, row, never)
        assert len(asked) > 3  # not at the first look
        assert row.connections == 1
        acceptor.stop()
        assert not row.accepts


async def test_many_that_come_at_once_are_all_taken() -> None:
    with _Listener() as listener:
        row = Board(1)[0]
        acceptor = await _accepted(listener, row, count=40)
        assert row.connections == 40
        await acceptor.finish(is_last=True)


async def test_a_client_that_left_and_a_lack_of_descriptors_are_survived(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("loadonce.server.app.accepting._EXHAUSTED_WAIT", 0.01)
    with _Listener() as listener, caplog.at_level(logging.ERROR):
        full = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        listener.errors = [full, ConnectionAbortedError(), BlockingIOError()]
        acceptor = await _accepted(listener, Board(1)[0])
        acceptor.stop()
    assert "cannot accept connections: reason=Too many open files" in caplog.text


async def test_another_error_is_not_hidden() -> None:
    with _Listener() as listener:
        listener.errors = [OSError(errno.EBADF, "bad")]
        acceptor = Acceptor(listener, _Protocol, None, always, Board(1)[0])
        with pytest.raises(OSError, match="bad"):
            acceptor._accept()


async def test_a_handshake_that_fails_is_a_connection_less() -> None:
    def failing() -> asyncio.Protocol:
        raise OSError("no handshake")

    with _Listener() as listener:
        row = Board(1)[0]
        acceptor = Acceptor(listener, failing, None, always, row)
        acceptor.start()
        client = socket.create_connection(listener.getsockname())
        client.setblocking(False)
        async with asyncio.timeout(10):
            assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
        assert row.connections == 0
        client.close()
        await acceptor.finish(is_last=False)


async def test_stopping_while_it_waits_for_others_takes_nothing_more() -> None:
    with _Listener() as listener:
        acceptor = Acceptor(listener, _Protocol, None, lambda: False, Board(1)[0])
        acceptor.start()
        client = socket.create_connection(listener.getsockname())
        while acceptor._resuming is None:  # noqa: ASYNC110  # the same
            await asyncio.sleep(0)
        acceptor.stop()
        await asyncio.sleep(0.05)
        assert made == []
        client.close()


async def test_what_waits_is_taken_at_the_end_whoever_has_more() -> None:
    with _Listener() as listener:
        acceptor = Acceptor(listener, _Protocol, None, lambda: False, Board(1)[0])
        client = socket.create_connection(listener.getsockname())
        finishing = asyncio.create_task(acceptor.finish(is_last=True))
        await asyncio.sleep(0.06)  # a look, and it still waits
        acceptor.start()
        await finishing
        assert len(made) == 1
        made[0].transport.close()
        client.close()


async def test_what_cannot_be_taken_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadonce.server.app.accepting._LOOKS", 2)
    with _Listener() as listener:
        acceptor = Acceptor(listener, _Protocol, None, always, Board(1)[0])
        with socket.create_connection(listener.getsockname()):
            await acceptor.finish(is_last=True)
        assert made == []


async def test_a_handshake_that_does_not_end_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("loadonce.server.app.accepting._EXHAUSTED_WAIT", 0.01)
    with _Listener() as listener:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        row = Board(1)[0]
        acceptor = Acceptor(listener, _Protocol, context, always, row)
        acceptor.start()
        with socket.create_connection(listener.getsockname()):
            while not row.connections:  # noqa: ASYNC110  # the same
                await asyncio.sleep(0)
            await acceptor.finish(is_last=False)
        await asyncio.gather(*acceptor._connecting)
        assert row.connections == 0
