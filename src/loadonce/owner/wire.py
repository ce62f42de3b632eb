"""One end of a connection: typed messages in frames, large bytes in shared memory beside them."""

from __future__ import annotations

import asyncio
import json
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, cast

from loadonce.errors import ConfigurationError
from loadonce.observe.memory import format_bytes

from .arena import Arena
from .codec import Place, Put, Tree, from_tree, to_tree

_HEAD = struct.Struct("<II")  # bytes of the text, and of what follows it
_SMALL = 16 * 1024  # bytes; what is larger lies in shared memory
_MOST_BESIDE = 256 * 2**20  # bytes, for what that has no room for
_DONE = "done"

Message = list[Any]


class _Luggage:
    """The bytes that go with one message.

    Attributes:
        beside: what follows its text, `size` bytes together.
        blocks: what lies in shared memory.
    """

    def __init__(self, arena: Arena) -> None:
        self.beside: list[bytearray] = []
        self.size = 0
        self._arena = arena
        self.blocks: list[int] = []

    def put(self, size: int) -> tuple[Place, memoryview]:
        """Make room for so many bytes."""
        if size > _SMALL and (reserved := self._arena.reserve(size)) is not None:
            self.blocks.append(reserved[0])
            return ["shared", reserved[0], size], reserved[1]
        if self.size + size > _MOST_BESIDE:
            raise ConfigurationError(
                f"{format_bytes(size)} do not fit into what is shared with a model's own process, "
                "beside what is on its way: send less at once"
            )
        self.beside.append(bytearray(size))
        self.size += size
        return ["inline", self.size - size, size], memoryview(self.beside[-1])

    def unpack(self) -> None:
        """The message is not sent."""
        for offset in self.blocks:
            self._arena.release(offset)


class Wire(asyncio.Protocol):
    """Sends and receives messages; belongs to its event loop.

    Args:
        sending, receiving: the memory of the two directions.
        hear: called with each message, still as a tree: `read` gives its values.
        gone: called once, when the other end is closed.
    """

    def __init__(
        self,
        sending: Arena,
        receiving: Arena,
        hear: Callable[[Message], None],
        gone: Callable[[], None],
    ) -> None:
        self._sending = sending
        self._receiving = receiving
        self._hear = hear
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._beside = memoryview(b"")  # the bytes that came with the message that is read
        self._written: list[bytes | bytearray | memoryview] = []
        self._finished: deque[int] = deque()  # offsets of blocks that were read
        self._unread: set[int] = set()  # blocks of the message that is heard
        self._is_giving_back = False
        self._is_open = True

    @property
    def is_open(self) -> bool:
        """Whether the other end is there, as far as is known."""
        return self._is_open

    # -- out -----------------------------------------------------------------------------------

    def send(self, make: Callable[[Put], Tree]) -> None:
        """Send the tree that `make` makes, given what reserves bytes; soon, with others.

        Raises what `make` raises; nothing is sent then.
        """
        if not self._is_open:
            return
        luggage = _Luggage(self._sending)
        try:
            text = _text(make(luggage.put), luggage.blocks)
        except BaseException:
            luggage.unpack()
            raise
        self._write(text, luggage)

    def send_value(self, message: Message) -> None:
        """Send a message of any values."""
        self.send(partial(to_tree, message))

    def close(self) -> bool:
        """Close this end, once all is sent; False if it was never connected."""
        self._flush()
        self._is_open = False
        if self._transport is None:
            self._let_memory_go()
            return False
        self._transport.close()
        return True

    def _write(self, text: bytes, luggage: _Luggage | None = None) -> None:
        if not self._is_open:
            return
        if not self._written:
            self._loop.call_soon(self._flush)
        self._written.append(_framed(text, luggage.size if luggage else 0))
        if luggage:
            self._written += luggage.beside

    def _flush(self) -> None:
        if self._written and self._transport is not None:
            self._transport.writelines(self._written)
            self._written = []

    # -- in ------------------------------------------------------------------------------------

    def read(self, tree: Tree) -> Any:
        """The values of a part of the message that is heard; only while it is heard."""
        return from_tree(tree, self.take)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if not self._is_open:  # closed while it was being connected
            self._transport.abort()
            return
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._received += data
        whole, start = memoryview(self._received), 0
        while len(whole) - start >= _HEAD.size:
            text_size, beside_size = _HEAD.unpack_from(whole, start)
            text_end = start + _HEAD.size + text_size
            end = text_end + beside_size
            if end > len(whole):
                break
            self._beside = whole[text_end:end]
            self._receive(*json.loads(bytes(whole[start + _HEAD.size : text_end])))
            start = end
        if start:
            self._beside = memoryview(b"")
            rest = bytes(whole[start:])
            self._received = bytearray(rest)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_open = False
        self._let_memory_go()
        self._gone()

    def _let_memory_go(self) -> None:
        """Now, not when the collector comes; arrays that somebody has keep theirs."""
        vars(self).pop("_sending", None)
        vars(self).pop("_receiving", None)

    def _receive(self, blocks: list[int], message: Message) -> None:
        self._unread = set(blocks)
        if message[0] == _DONE:
            for offset in message[1]:
                self._sending.release(offset)
        else:
            self._hear(message)
        for offset in self._unread:
            self._let_go(offset)

    def take(self, place: Place, is_kept: bool) -> Any:
        """The bytes at a place of the message that is heard."""
        where, start, size = place
        if where == "inline":
            part = self._beside[start : start + size]
            return bytearray(part) if is_kept else part
        self._unread.discard(start)
        if is_kept:
            return self._receiving.borrow(start, size, self._let_go)
        try:
            return bytearray(self._receiving.read(start, size))
        finally:
            self._let_go(start)

    def _let_go(self, offset: int) -> None:
        """In any thread: nothing refers to a block any more."""
        self._finished.append(offset)
        if not self._is_giving_back:
            self._is_giving_back = True
            with suppress(RuntimeError):  # the loop is closed, and with it the connection
                self._loop.call_soon_threadsafe(self._give_back)

    def _give_back(self) -> None:
        self._is_giving_back = False
        offsets = []
        while self._finished:
            offsets.append(self._finished.popleft())
        self._write(_text([_DONE, offsets], []))


def message_bytes(tree: Tree) -> bytes:
    """A message as it is sent, without anything beside it."""
    return _framed(_text(tree, []), 0)


def _text(tree: Tree, blocks: list[int]) -> bytes:
    return json.dumps([blocks, tree], separators=(",", ":")).encode()


def _framed(text: bytes, beside: int) -> bytes:
    return _HEAD.pack(len(text), beside) + text
