"""The owner's side: answers the calls of all connections."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from loadonce.errors import ConfigurationError, LoaderFailedError, NotReadyError
from loadonce.observe.statistics import COUNTERS, StatisticsSnapshot

from .codec import Place, Put, Tree, to_tree
from .door import Door, Ends, Knock, advice_for
from .failures import bare_tree, error_tree
from .messages import (
    BATCH,
    CANCEL,
    COUNTED,
    ERROR,
    FAILED,
    HELLO,
    MANY,
    NEWER,
    RELOAD,
    RESULT,
    RESULTS,
    RUN,
)
from .names import find
from .wire import Wire, message_bytes

_TELL = 0.25  # seconds between two reports of what was counted


class Lease(Protocol):
    """What holds the object for one connection, and runs its calls."""

    async def run(self, function: Any, /, *args: Any, **kwargs: Any) -> Any: ...
    async def batch(self, function: Any, item: Any) -> Any: ...
    async def batch_many(
        self, function: Any, items: Any, *, return_exceptions: Any = False
    ) -> Any: ...
    def release(self) -> None: ...


class OwnerServer:
    """Opens a door to whoever knocks, and answers.

    Args:
        model: the model's name.
        door: the inside.
        hello: what each connection is told first, of the version it will hold.
        lease: holds the object, once for each connection.
        counted: what was counted until now; its growth is told to one of the connections.
        reload: makes a newer version, which connections from then on will hold.
    """

    def __init__(
        self,
        model: str,
        door: Door,
        hello: Callable[[], dict[str, Any]],
        lease: Callable[[], Lease],
        counted: Callable[[], StatisticsSnapshot],
        reload: Callable[[], Awaitable[None]],
    ) -> None:
        self._model = model
        self._door = door
        self._hello = hello
        self._lease = lease
        self._counted = counted
        self._reload = reload
        self._told = counted()
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Answer, until nobody who might call is left."""
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        loop.add_reader(self._door.fileno(), self._open, over)
        telling = loop.create_task(self._tell())
        try:
            await over.wait()
        finally:
            loop.remove_reader(self._door.fileno())
            telling.cancel()
            for connection in list(self._connections):
                connection.end()

    def _open(self, over: asyncio.Event) -> None:
        for knock in knocks(self._door):
            if knock is None:
                over.set()
                return
            try:
                ends = knock.open()
            except OSError as error:
                problem = f"its process cannot take another worker's calls: {error.strerror}"
                refusal = LoaderFailedError(self._model, problem, hint=advice_for(error))
                _refuse(knock.socket, self._model, refusal)
                continue
            connection = _Connection(self, self._model, ends, self._lease())
            self._connections.add(connection)
            connection.wire.send_value([HELLO, self._hello()])
            task = asyncio.get_running_loop().create_task(connection.begin(ends))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def reload_for(self, asker: _Connection) -> None:
        """Make a newer version, and tell all other connections that there is one."""
        await self._reload()
        for connection in self._connections - {asker}:
            connection.wire.send_value([NEWER])

    def forget(self, connection: _Connection) -> None:
        """It has ended."""
        self._connections.discard(connection)

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(_TELL)
            now = self._counted()
            if now != self._told and (connection := next(iter(self._connections), None)):
                connection.wire.send_value([COUNTED, growth(self._told, now)])
                self._told = now


class _Connection:
    """The calls of one process."""

    def __init__(self, server: OwnerServer, model: str, ends: Ends, lease: Lease) -> None:
        self.wire = Wire(ends.sending, ends.receiving, self._hear, self.end)
        self._model = model
        self._lease = lease
        self._server = server
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._is_over = False

    async def begin(self, ends: Ends) -> None:
        """Hear what comes."""
        await asyncio.get_running_loop().create_unix_connection(lambda: self.wire, sock=ends.socket)

    def end(self) -> None:
        """The other side has gone: nobody waits for its calls."""
        if self._is_over:
            return
        self._is_over = True
        self.wire.close()
        for task in self._calls.values():
            task.cancel()
        self._lease.release()
        self._server.forget(self)

    def _hear(self, message: list[Any]) -> None:
        what, number, *rest = message
        if what == CANCEL:
            if (task := self._calls.get(number)) is not None:
                task.cancel()
            return
        try:
            call = self._call(what, *self.wire.read(rest))
        except Exception as error:
            self._fail(number, error)
            return
        task = asyncio.get_running_loop().create_task(self._answer(number, what, call))
        self._calls[number] = task
        task.add_done_callback(lambda _task: self._calls.pop(number))

    def _call(self, what: str, *rest: Any) -> Callable[[], Awaitable[Any]]:
        if what == RELOAD:
            return partial(self._server.reload_for, self)
        name, values, names = rest
        function = find(*name)
        if what == RUN:
            return partial(self._lease.run, function, *values, **names)
        if what == BATCH:
            return partial(self._lease.batch, function, *values)
        return partial(self._lease.batch_many, function, *values, **names)

    async def _answer(self, number: int, what: str, call: Callable[[], Awaitable[Any]]) -> None:
        try:
            result = await call()
            self.wire.send(lambda put: self._result_tree(number, what, result, put))
        except asyncio.CancelledError:
            if not self._is_over:
                self._fail(number, NotReadyError(self._model, "the call was cancelled"))
        except BaseException as error:
            self._fail(number, error)

    def _result_tree(self, number: int, what: str, result: Any, put: Put) -> Tree:
        if what != MANY:
            return [RESULT, number, to_tree(result, put)]
        return [RESULTS, number, [self._outcome_tree(each, put) for each in result]]

    def _outcome_tree(self, outcome: Any, put: Put) -> Tree:
        if isinstance(outcome, Exception):
            return [False, error_tree(self._model, outcome, put)]
        return [True, to_tree(outcome, put)]

    def _fail(self, number: int, error: BaseException) -> None:
        try:
            self.wire.send(lambda put: [ERROR, number, error_tree(self._model, error, put)])
        except Exception:  # it holds what cannot cross; its caller waits for an answer
            self.wire.send_value([ERROR, number, bare_tree(self._model, error)])


def refuse(door: Door, model: str, error: BaseException) -> None:
    """Tell all who knock now why nobody will answer them."""
    for knock in knocks(door):
        if knock is None:
            return
        _refuse(knock.socket, model, error)
        knock.close()


def _refuse(connection: socket.socket, model: str, error: BaseException) -> None:
    with suppress(OSError):
        connection.sendall(message_bytes([FAILED, error_tree(model, error, _no_bytes)]))
    connection.close()


def knocks(door: Door) -> Iterator[Knock | None]:
    """The connections that are asked for now; None, at last, if none ever will be again."""
    with suppress(BlockingIOError):
        while (knock := door.hear()) is not None:
            yield knock
        yield None


def growth(before: StatisticsSnapshot, now: StatisticsSnapshot) -> dict[str, Any]:
    """What was counted in between, as `CallStatistics.add` takes it."""
    grown: dict[str, Any] = {name: getattr(now, name) - getattr(before, name) for name in COUNTERS}
    sizes = {size: n - before.batch_sizes.get(size, 0) for size, n in now.batch_sizes.items()}
    return grown | {"batch_sizes": {size: count for size, count in sizes.items() if count}}


def _no_bytes(_size: int) -> tuple[Place, memoryview]:
    raise ConfigurationError("no bytes go with this message")
