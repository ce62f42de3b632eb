"""Calls between two ends of a connection, here in one process."""

from __future__ import annotations

import asyncio
import errno
import gc
import mmap
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from loadonce.errors import (
    CallFailedError,
    ConfigurationError,
    DeadlineExceededError,
    LoaderFailedError,
    NotReadyError,
)
from loadonce.inference import Engine
from loadonce.inference.engine import LATER
from loadonce.observe.statistics import CallStatistics
from loadonce.owner import wire as wire_module
from loadonce.owner.arena import Arena
from loadonce.owner.client import OwnerClient
from loadonce.owner.door import Door
from loadonce.owner.messages import BATCH, MANY, RUN
from loadonce.owner.remote import RemoteObject
from loadonce.owner.server import OwnerServer, refuse

from .test_codec import Plain

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

held: list[Any] = []


class Lease:
    """Runs calls on one object, as a handle does."""

    def __init__(self, engine: Engine, ended: Counter[str]) -> None:
        self._engine = engine
        self._ended = ended

    async def run(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        result = function("value", *args, **kwargs)
        return await result if asyncio.iscoroutine(result) else result

    async def batch(self, function: Any, item: Any) -> Any:
        return await self._engine.batch(1, "value", function, item)

    async def batch_many(self, function: Any, items: Any, *, return_exceptions: Any = False) -> Any:
        return await self._engine.batch_many(
            1, "value", function, items, return_exceptions=return_exceptions
        )

    def release(self) -> None:
        self._ended["leases"] += 1


class Owner:
    """An owner and the doors to it."""

    def __init__(self) -> None:
        self.outside, self.inside = Door.pair()
        self.ended: Counter[str] = Counter()
        self.statistics = CallStatistics()
        self.engine = Engine("m", self.statistics, placement="inline", max_wait=0.0)
        self.server = OwnerServer(
            "m",
            self.inside,
            lambda: {"label": "1"},
            lambda: Lease(self.engine, self.ended),
            lambda: self.statistics.snapshot({}).counters(),
            self.reload,
        )
        self.serving = asyncio.create_task(self.server.serve())

    async def reload(self) -> None:
        self.ended["reloads"] += 1

    async def client(self, timeout: float | None = 30.0) -> OwnerClient:
        client = OwnerClient("m", self.outside, CallStatistics(), timeout)
        assert await client.open() == {"label": "1"}
        return client


@asynccontextmanager
async def an_owner() -> AsyncIterator[Owner]:
    owner = Owner()
    try:
        yield owner
    finally:
        owner.outside.close()
        await owner.serving
        await owner.engine.close()
        owner.inside.close()


def echo(value: str, *args: Any, **kwargs: Any) -> Any:
    return [value, *args, kwargs]


def same(_value: str, array: Any) -> Any:
    return array


def keep(_value: str, array: Any) -> None:
    held.append(array)


def sizes(_value: str, items: list[Any]) -> list[int]:
    return [len(items)] * len(items)


def picky(_value: str, items: list[int]) -> list[Any]:
    return [ValueError("odd") if item % 2 else (item, item) for item in items]


def fail(_value: str) -> None:
    raise ZeroDivisionError("no")


class SilentError(Exception):
    def __str__(self) -> str:
        raise ValueError("says nothing")


def fails_oddly(_value: str, what: str) -> None:
    if what == "silent":
        raise SilentError
    if what == "group":
        raise ExceptionGroup("several", [ValueError("one")])
    if what == "endless":
        endless: list[Any] = []
        endless.append(endless)
        raise ValueError(endless)
    raise ValueError(10**5000)  # which JSON cannot hold


def unsendable(_value: str) -> object:
    return Plain()


async def forever(_value: str) -> None:
    held.append("began")
    try:
        await asyncio.Event().wait()
    finally:
        held.append("ended")


async def gives_itself_up(_value: str) -> None:
    raise asyncio.CancelledError


@pytest.fixture(autouse=True)
def _nothing_held() -> None:
    held.clear()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # nobody announces it
            await asyncio.sleep(0.005)


async def test_a_call_crosses_with_its_arguments_and_its_result() -> None:
    async with an_owner() as owner:
        client = await owner.client()
        result = await client.call(RUN, echo, (1, (2,)), {"b": b"c"})
        assert result == ["value", 1, (2,), {"b": b"c"}]
        assert "0 calls" in repr(RemoteObject(client))
        await client.close()


async def test_items_of_all_connections_run_together() -> None:
    async with an_owner() as owner:
        clients = [await owner.client(None) for _ in range(3)]
        results = await asyncio.gather(*(each.call(BATCH, sizes, (1,)) for each in clients))
        assert max(results) > 1
        for client in clients:
            await client.close()


async def test_each_item_of_many_has_its_result_or_its_error() -> None:
    async with an_owner() as owner:
        client = await owner.client()
        names = {"return_exceptions": True}
        first, second, third = await client.call(MANY, picky, ([0, 1, 2],), names)
        assert (first, third) == ((0, 0), (2, 2))
        assert isinstance(second, ValueError)
        with pytest.raises(ValueError, match="odd"):
            await client.call(MANY, picky, ([0, 1, 2],), {"return_exceptions": False})
        await client.close()


async def test_errors_cross() -> None:
    async with an_owner() as owner:
        client = await owner.client()
        with pytest.raises(ZeroDivisionError, match="no"):
            await client.call(RUN, fail)
        with pytest.raises(ConfigurationError, match="cannot be sent"):
            await client.call(RUN, unsendable)
        with pytest.raises(NotReadyError, match="cancelled"):
            await client.call(RUN, gives_itself_up)
        with pytest.raises(ConfigurationError, match="cannot be sent"):
            await client.call(RUN, echo, (np.zeros(100_000), Plain()))
        with pytest.raises(ConfigurationError, match="not a lambda"):
            await client.call(RUN, lambda value: value)
        assert (await client.call(RUN, echo))[0] == "value"
        await client.close()


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("silent", "SilentError"),
        ("group", "builtins.ExceptionGroup"),
        ("endless", "builtins.ValueError"),
        ("large", "builtins.ValueError"),
    ],
)
async def test_errors_that_cannot_cross_are_told_by_their_class(what: str, kind: str) -> None:
    async with an_owner() as owner:
        client = await owner.client()
        with pytest.raises(CallFailedError) as raised:
            await client.call(RUN, fails_oddly, (what,))
        assert raised.value.kind.endswith(kind)
        assert raised.value.where.startswith("test_calls.py:")
        assert (await client.call(RUN, echo))[0] == "value"  # it serves on
        await client.close()


@pytest.mark.parametrize("count", [10, pytest.param(1000, marks=pytest.mark.nightly)])
async def test_arrays_of_any_size_come_back_bit_by_bit(count: int) -> None:
    random = np.random.default_rng(1)
    async with an_owner() as owner:
        client = await owner.client()
        for number in range(count):
            size = int(random.integers(0, 2 ** random.integers(1, 19)))
            array = random.bytes(size * 8)
            sent = np.frombuffer(array, [np.int64, np.float64, np.uint64][number % 3])
            found = await client.call(RUN, same, (sent,))
            assert found.dtype == sent.dtype
            assert found.tobytes() == array
        await client.close()


async def test_where_the_shared_memory_is_full_arrays_cross_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Arena, "reserve", lambda _arena, _size: None)
    async with an_owner() as owner:
        client = await owner.client()
        large = np.arange(300_000)
        assert ((await client.call(RUN, same, (large,))) == large).all()
        monkeypatch.setattr(wire_module, "_MOST_BESIDE", 1_000_000)
        with pytest.raises(ConfigurationError, match=r"2\.3 MiB do not fit"):
            await client.call(RUN, same, (large,))
        assert (await client.call(RUN, same, (large[:1000],))).nbytes == 8000
        await client.close()


async def test_more_than_four_gigabytes_at_once_is_refused() -> None:
    async with an_owner() as owner:
        client = await owner.client()
        huge = np.broadcast_to(np.zeros(1), (2**29 + 1,))  # as an array; here it is one number
        with pytest.raises(ConfigurationError, match=r"4\.0 GiB do not fit"):
            await client.call(RUN, same, (huge,))
        await client.close()


async def test_an_array_that_is_kept_is_not_written_over() -> None:
    async with an_owner() as owner:
        client = await owner.client()
        for number in range(5):
            await client.call(RUN, keep, (np.full(50_000, number),))
        assert [int(each[0]) for each in held] == [0, 1, 2, 3, 4]
        assert bytes(await client.call(RUN, same, (b"x" * 100_000,))) == b"x" * 100_000
        await client.close()


async def test_memory_is_given_back_also_for_callers_that_have_left() -> None:
    async with an_owner() as owner:
        client = await owner.client()
        wire: Any = client._wire
        for _ in range(20):
            call = asyncio.create_task(client.call(RUN, same, (np.zeros(100_000),)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            call.cancel()
        await client.call(RUN, echo)
        await until(lambda: (gc.collect(), not len(wire._sending._blocks))[1])
        (connection,) = owner.server._connections
        await until(lambda: (gc.collect(), not len(connection.wire._sending._blocks))[1])
        await client.close()


async def test_who_leaves_drops_its_call() -> None:
    async with an_owner() as owner:
        client = await owner.client()
        call = asyncio.create_task(client.call(RUN, forever))
        await until(lambda: held == ["began"])
        call.cancel()
        await until(lambda: held == ["began", "ended"])
        assert "0 calls" in repr(client)
        await client.close()


async def test_who_ends_drops_all_its_calls_and_its_lease() -> None:
    async with an_owner() as owner:
        client = await owner.client()
        call = asyncio.create_task(client.call(RUN, forever))
        await until(lambda: held == ["began"])
        await client.close()
        with pytest.raises(NotReadyError, match="has ended"):
            await call
        await until(lambda: held == ["began", "ended"])
        assert owner.ended["leases"] == 1
        with pytest.raises(NotReadyError, match="another one starts") as caught:
            await client.call(RUN, echo)
        assert caught.value.retry_after == 1.0


async def test_an_owner_that_does_not_answer_is_given_up() -> None:
    async with an_owner() as owner:
        client = await owner.client(timeout=0.01)
        with pytest.raises(DeadlineExceededError, match="running"):
            await client.call(RUN, forever)
        await until(lambda: held == ["began", "ended"])
        await client.close()


async def times_out(_value: str) -> None:
    raise TimeoutError("its own")


async def test_a_timeout_of_the_call_itself_is_another_thing() -> None:
    async with an_owner() as owner:
        for timeout in (None, 30.0):
            client = await owner.client(timeout)
            with pytest.raises(TimeoutError, match="its own"):
                await client.call(RUN, times_out)
            await client.close()


async def test_what_the_owner_counts_is_told_to_one_of_those_that_call() -> None:
    async with an_owner() as owner:
        clients = [await owner.client() for _ in range(2)]
        for client in clients:
            await client.call(BATCH, sizes, (1,))
        told = [client._statistics for client in clients]
        await until(lambda: sum(each.calls for each in told) == 2)
        assert sum(each.batch_sizes.get(1, 0) for each in told) == 2
        for client in clients:
            await client.close()


async def test_a_reload_is_told_to_the_others() -> None:
    async with an_owner() as owner:
        told: list[str] = []
        asker, other = (
            OwnerClient("m", owner.outside, CallStatistics(), None, partial(told.append, name))
            for name in ("asker", "other")
        )
        await asker.open()
        await other.open()
        await asker.reload()
        await until(lambda: told)
        assert told == ["other"]
        assert owner.ended["reloads"] == 1
        await asker.close()
        await other.close()


async def test_where_no_owner_will_ever_be_that_is_told() -> None:
    outside, inside = Door.pair()
    inside.close()
    with pytest.raises(LoaderFailedError, match="no process can be started"):
        await OwnerClient("m", outside, CallStatistics(), None).open()
    outside.close()


async def test_a_connection_that_cannot_be_made_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse_to_connect(*_any: Any, **_names: Any) -> None:
        raise OSError("too many open files")

    outside, inside = Door.pair()
    before = len(os.listdir("/proc/self/fd"))
    client = OwnerClient("m", outside, CallStatistics(), None)
    monkeypatch.setattr(
        asyncio.get_running_loop(), "create_unix_connection", refuse_to_connect, raising=True
    )
    with pytest.raises(OSError, match="too many"):
        await client.open()
    monkeypatch.undo()
    outside.close()
    inside.close()
    del client
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before


async def test_a_caller_for_whom_no_addresses_are_left_is_told_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which of the four mappings fails: two of the caller's, then two of the owner's."""
    advice = "each worker's connection takes 8.0 GiB of addresses, though no memory"
    mapped = mmap.mmap
    async with an_owner() as owner:
        await (await owner.client()).close()
        gc.collect()  # what other tests have left
        before = len(os.listdir("/proc/self/fd"))
        for number, where in enumerate(["started", "started", "take another", "take another"]):
            fails = iter([*[False] * number, True])

            def map_or_fail(*arguments: Any, fails: Iterator[bool] = fails) -> mmap.mmap:
                if next(fails):
                    raise OSError(errno.ENOMEM, "Cannot allocate memory")
                return mapped(*arguments)

            monkeypatch.setattr(mmap, "mmap", map_or_fail)
            with pytest.raises(LoaderFailedError, match=f"{where}.*Cannot allocate") as caught:
                await OwnerClient("m", owner.outside, CallStatistics(), 30.0).open()
            assert caught.value.hint.startswith(advice)
            del caught
            monkeypatch.undo()
        await (await owner.client()).close()  # the others are served as before
        gc.collect()
        await until(lambda: len(os.listdir("/proc/self/fd")) <= before)


async def test_who_knocks_is_told_why_nobody_opens() -> None:
    outside, inside = Door.pair()
    knocking = asyncio.create_task(OwnerClient("m", outside, CallStatistics(), None).open())
    leaving = asyncio.create_task(OwnerClient("m", outside, CallStatistics(), None).open())
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    bytes_in_it = asyncio.create_task(OwnerClient("m", outside, CallStatistics(), None).open())
    await asyncio.sleep(0)
    refuse(inside, "m", ValueError(b"x"))
    with pytest.raises(ValueError, match="x"):
        await knocking
    with pytest.raises(ValueError, match="x"):
        await bytes_in_it
    knocking = asyncio.create_task(OwnerClient("m", outside, CallStatistics(), None).open())
    await asyncio.sleep(0)
    refuse(inside, "m", LoaderFailedError("m", "it is broken"))
    with pytest.raises(LoaderFailedError, match="it is broken"):
        await knocking
    outside.close()
    refuse(inside, "m", ValueError(b"nobody is there"))
    inside.close()


async def test_an_owner_that_ends_before_it_opens_is_told() -> None:
    outside, inside = Door.pair()
    client = OwnerClient("m", outside, CallStatistics(), None)
    knocking = asyncio.create_task(client.open())
    await asyncio.sleep(0)
    knock = inside.hear()
    assert knock is not None
    knock.close()
    with pytest.raises(LoaderFailedError, match="its process ended"):
        await knocking
    outside.close()
    inside.close()


async def test_an_object_in_another_process_takes_calls_as_an_engine_does() -> None:
    async with an_owner() as owner:
        client = await owner.client()
        remote = RemoteObject(client)
        here = Engine("m", CallStatistics(), placement="inline")
        named = {"self": 1, "function": 2, "_value": 3}
        for value, engine in (("here", here), ("value", remote)):
            assert await engine.run(echo, value) == [value, {}]
            assert await engine.run(echo, value, **named) == [value, named]
            assert await engine.batch(1, value, sizes, 1) == 1
            assert await engine.batch_many(1, value, sizes, [1, 2]) == [2, 2]
        assert remote.run_now(echo, remote, (), {}) is LATER
        assert remote.batch_now(remote, sizes, 1) is LATER
        await here.close()
        await client.close()


async def test_a_caller_that_leaves_as_the_owner_ends_is_not_told_twice() -> None:
    async with an_owner() as owner:
        client = await owner.client()
        call = asyncio.create_task(client.call(RUN, forever))
        await until(lambda: held == ["began"])
        (connection,) = owner.server._connections
        call.cancel()
        client._end()
        await asyncio.wait([call])
        assert call.cancelled()
        connection.wire.close()
        connection.wire.send_value(["nobody hears this"])
        connection.wire._let_go(0)
        await client.lost()


async def test_a_connection_that_is_given_up_while_it_is_made_ends_quietly() -> None:
    gone: list[str] = []
    arena, transport = Mock(), Mock()
    wire = wire_module.Wire(arena, arena, lambda _message: None, lambda: gone.append("gone"))
    wire._write(b"[]")
    assert not wire.close()
    wire.connection_made(transport)
    wire.connection_lost(None)
    assert [call[0] for call in transport.method_calls] == ["abort"]
    assert gone == ["gone"]


async def test_a_message_that_names_nothing_known_is_answered_with_an_error() -> None:
    async with an_owner() as owner:
        client = await owner.client()
        wire: Any = client._wire
        answer = client._calls[77] = asyncio.get_running_loop().create_future()
        wire.send_value([RUN, 77, ["no.such", "x"], [np.zeros(100_000)], {}])
        with pytest.raises(ConfigurationError, match="there is no 'x'"):
            await answer
        await until(lambda: not len(wire._sending._blocks))
        await client.close()


async def test_an_owner_ends_when_nobody_can_knock_any_more() -> None:
    async with an_owner() as owner:
        client = await owner.client()
        owner.outside.close()
        await owner.serving
        await client.lost()


async def test_nothing_is_left_of_connections() -> None:
    async with an_owner() as owner:
        gc.collect()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            client = await owner.client()
            await client.call(RUN, same, (np.zeros(100_000),))
            await client.close()
            del client
        await until(lambda: (gc.collect(), len(os.listdir("/proc/self/fd")) == before)[1])
        assert "loadonce-calls" not in Path("/proc/self/maps").read_text()  # noqa: ASYNC240
