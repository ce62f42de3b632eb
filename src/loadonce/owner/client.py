"""A worker's side: sends calls to the owner of a model, and waits for their results."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from loadonce.errors import DeadlineExceededError, LoaderFailedError, NotReadyError
from loadonce.observe.statistics import CallStatistics

from .codec import to_tree
from .door import Door, advice_for
from .failures import error_of
from .messages import CANCEL, COUNTED, ERROR, FAILED, HELLO, NEWER, RELOAD, RESULT, RESULTS
from .names import name_of
from .wire import Wire

_LOOK = 1.0  # seconds between two looks at who should start the owner
_SLACK = 1.0  # seconds after which a result is late that the owner should have refused in time


class OwnerClient:
    """One connection to the owner of a model; belongs to its event loop.

    Args:
        model: the model's name.
        door: the outside.
        statistics: of this process; the owner tells it what it counts.
        timeout: the deadline of a call in seconds; the owner keeps it, this side in case it hangs.
        newer: called when the owner has a newer version than this connection.
        waiting: called again and again while the owner has not loaded.
    """

    def __init__(
        self,
        model: str,
        door: Door,
        statistics: CallStatistics,
        timeout: float | None,
        newer: Callable[[], None] = lambda: None,
        waiting: Callable[[], None] = lambda: None,
    ) -> None:
        self._model = model
        self._door = door
        self._statistics = statistics
        self._timeout = timeout
        self._newer = newer
        self._waiting = waiting
        self._numbers = itertools.count()
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._hello: asyncio.Future[Mapping[str, Any]] | None = None
        self._wire: Wire | None = None
        self._gone = asyncio.Event()

    def __repr__(self) -> str:
        return f"<OwnerClient {self._model}: {len(self._calls)} calls>"

    async def open(self) -> Mapping[str, Any]:
        """Connect, wait until the owner has loaded, and return what it tells of that.

        Raises:
            LoadOnceError: why it could not load.
            LoaderFailedError: it ended, or nobody will start it.
        """
        loop = asyncio.get_running_loop()
        hello = self._hello = loop.create_future()
        try:
            ends = self._door.knock()
        except OSError as error:
            problem = f"no process can be started for it: {error.strerror}"
            raise LoaderFailedError(self._model, problem, hint=advice_for(error)) from error
        wire = self._wire = Wire(ends.sending, ends.receiving, self._hear, self._end)
        try:
            await loop.create_unix_connection(lambda: wire, sock=ends.socket)
            while not (await asyncio.wait([hello], timeout=_LOOK))[0]:
                self._waiting()
            told: Mapping[str, Any] = hello.result()
            return told
        except BaseException:
            hello.cancel()
            if not wire.close():
                ends.socket.close()
            raise

    async def lost(self) -> None:
        """Return when the owner has gone, or `close` was called."""
        await self._gone.wait()

    async def close(self) -> None:
        """End the connection; calls that wait are refused."""
        assert self._wire is not None
        self._wire.close()
        await self._gone.wait()

    async def call(
        self,
        what: str,
        function: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Have the owner call `function` in one of the three ways, and return the result.

        Raises:
            NotReadyError: the owner has ended, before the call or during it.
            DeadlineExceededError: it has not answered in time.
            ConfigurationError: the function or a value cannot cross.
            Exception: what the call raised.
        """
        rest = [name_of(function), list(args), dict(kwargs or {})]
        late = asyncio.timeout(None if self._timeout is None else self._timeout + _SLACK)
        self._statistics.in_flight += 1
        try:
            async with late:
                return await self._ask(what, rest)
        except TimeoutError:
            if self._timeout is None or not late.expired():
                raise
            raise DeadlineExceededError(self._model, self._timeout, "running") from None
        finally:
            self._statistics.in_flight -= 1

    async def reload(self) -> None:
        """Have the owner make a newer version, which connections from then on will have.

        Raises:
            LoadOnceError: why it could not; it goes on with the one it has.
        """
        await self._ask(RELOAD, [])

    async def _ask(self, what: str, rest: list[Any]) -> Any:
        wire = self._wire
        if wire is None or not wire.is_open:
            raise self._unavailable()
        number = next(self._numbers)
        wire.send(lambda put: [what, number, *(to_tree(each, put) for each in rest)])
        future = self._calls[number] = asyncio.get_running_loop().create_future()
        try:
            return await future
        finally:
            if self._calls.pop(number, None) is not None and wire.is_open:
                wire.send_value([CANCEL, number])

    # -- what comes ----------------------------------------------------------------------------

    def _hear(self, message: list[Any]) -> None:
        assert self._wire is not None
        what, *rest = message
        if what == HELLO:
            self._settle_hello(self._wire.read(rest[0]), None)
        elif what == FAILED:
            self._settle_hello(None, error_of(rest[0], self._wire.take))
        elif what == NEWER:
            self._newer()
        elif what == COUNTED:
            self._statistics.add(self._wire.read(rest[0]))
        else:
            self._settle(self._wire, what, *rest)

    def _settle(self, wire: Wire, what: str, number: int, outcome: Any) -> None:
        future = self._calls.pop(number, None)
        if future is None or future.done():
            return  # its caller has left
        try:
            if what == ERROR:
                raise error_of(outcome, wire.take)
            if what == RESULTS:
                future.set_result(
                    [
                        wire.read(each) if is_result else error_of(each, wire.take)
                        for is_result, each in outcome
                    ]
                )
            else:
                assert what == RESULT
                future.set_result(wire.read(outcome))
        except Exception as error:
            future.set_exception(error)

    def _settle_hello(self, told: Mapping[str, Any] | None, error: Exception | None) -> None:
        hello = self._hello
        if hello is None or hello.done():
            return
        if error is not None:
            hello.set_exception(error)
        else:
            assert told is not None
            hello.set_result(told)

    def _end(self) -> None:
        self._gone.set()
        self._settle_hello(None, LoaderFailedError(self._model, "its process ended"))
        calls, self._calls = self._calls, {}
        for future in calls.values():
            if not future.done():
                future.set_exception(self._unavailable())

    def _unavailable(self) -> NotReadyError:
        return NotReadyError(
            self._model, "the model's own process has ended, another one starts", retry_after=1.0
        )
