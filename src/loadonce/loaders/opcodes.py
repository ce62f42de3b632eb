"""Python's own unpickler with its inner names typed, and every opcode overridable by name."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, BinaryIO


class OpcodeUnpickler(pickle._Unpickler):
    """Base of the unpicklers that must see single opcodes: override `load_<opcode>`.

    The standard library dispatches through a table of its own functions, which an override would
    not reach; here the table is rebuilt for each subclass. joblib relies on the same machine.
    """

    if TYPE_CHECKING:  # attributes of the base class that its stubs leave out
        stack: list[object]
        proto: int

        def append(self, value: object, /) -> None: ...
        def pop_mark(self) -> list[object]: ...
        def read(self, size: int, /) -> bytes: ...
        def load_build(self) -> None: ...

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.file = file

    def load_bytearray8(self) -> None:
        """The standard one makes an array of the declared size before it looks for the bytes."""
        size = int.from_bytes(self.read(8), "little")
        content = self.read(size)
        if len(content) < size:
            raise EOFError
        self.append(bytearray(content))

    def __init_subclass__(cls) -> None:
        table = {
            opcode: getattr(cls, function.__name__)
            for opcode, function in pickle._Unpickler.dispatch.items()
        }
        cls.dispatch = table
