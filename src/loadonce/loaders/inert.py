"""Read what a pickle would import without importing or executing any of it.

`pickletools` cannot walk a joblib file, because the raw bytes of arrays stand between the opcodes,
and which of its strings a STACK_GLOBAL uses takes a full machine to know. So this is that machine:
Python's own unpickler in which every global is a stand-in, and calling, building or filling a
stand-in does nothing.
"""

from __future__ import annotations

import re
from typing import BinaryIO, NoReturn

from loadonce.loaders import globalnames
from loadonce.loaders.opcodes import OpcodeUnpickler

_WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
_STRING_DTYPE = "numpy._core._internal._convert_to_stringdtype_kwargs"
_SKIP_BYTES = 2**20
_HAS_OBJECT = 1  # numpy's NPY_ITEM_REFCOUNT


class UnreadablePickleError(Exception):
    """The stream is not a pickle this machine can walk, or uses what is never allowed."""


class Inert:
    """Stands for a global, or for whatever calling one with `arguments` would have made."""

    __slots__ = ("arguments", "origin", "state")

    def __init__(self, origin: str = "", arguments: object = None) -> None:
        self.origin = origin
        self.arguments = arguments
        self.state: object = None

    def append(self, item: object) -> None:
        """Dropped, like everything a pickle would fill it with."""

    extend = add = append


def collect_globals(file: BinaryIO) -> tuple[str, ...]:
    """All globals the pickle or joblib stream asks for, sorted, spelled as in the lock file.

    Raises UnreadablePickleError if the stream is malformed, or uses extension codes or persistent
    ids.
    """
    machine = _Machine(file)
    _walk(machine)
    return tuple(sorted(machine.found))


def origin_of_object(file: BinaryIO) -> str | type:
    """What the stream's object is: the global that it is an instance or a result of, spelled as in
    the lock file; or the built-in class of one that needs none. "" where nobody can tell.

    Raises as `collect_globals` does.
    """
    made = _walk(_Machine(file))
    if isinstance(made, Inert):
        return made.origin if made.arguments is not None else ""
    return type(made)


def _walk(machine: _Machine) -> object:
    try:
        return machine.load()
    except UnreadablePickleError:
        raise
    except Exception as exc:  # a malformed stream can make the machine fail in any way
        raise UnreadablePickleError(f"not a readable pickle: {_told(exc)}") from exc


def _told(exc: Exception) -> str:
    if isinstance(exc, KeyError):  # the table of opcodes has no such one
        return f"{exc} is no instruction of one"
    return f"{type(exc).__name__}: {exc}".removesuffix(": ")


class _Machine(OpcodeUnpickler):
    """Python's unpickler without hands: it keeps a stack, but touches nothing."""

    def __init__(self, file: BinaryIO, *, found: set[str] | None = None) -> None:
        super().__init__(file)
        self.nested = found is not None
        self.found: set[str] = set() if found is None else found

    def find_class(self, module: str, name: str) -> Inert:
        if self.proto < 3:
            module, name = globalnames.modern(module, name)
        spelled = globalnames.spell(module, name)
        self.found.add(spelled)
        return Inert(spelled)

    def get_extension(self, code: int) -> NoReturn:
        raise UnreadablePickleError(f"uses the extension code {code}, which names no global")

    def persistent_load(self, pid: object) -> NoReturn:
        raise UnreadablePickleError("uses a persistent id, which stands for something elsewhere")

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        function = self.stack[-1]
        self.stack[-1] = _made_by(function, arguments)

    def load_newobj(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = _made_by(self.stack[-1], arguments)

    def load_newobj_ex(self) -> None:
        self.stack.pop()
        self.load_newobj()

    def _instantiate(self, klass: object, args: object) -> None:
        self.append(_made_by(klass, args))

    def load_build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Inert):
            target.state = state
            if target.origin == _WRAPPER and not self.nested:
                self._pass_over_array(state)

    def load_setitem(self) -> None:
        value = self.stack.pop()
        key = self.stack.pop()
        _keep_items(self.stack[-1], [key, value])

    def load_setitems(self) -> None:
        items = self.pop_mark()
        _keep_items(self.stack[-1], items)

    def load_dict(self) -> None:
        items = self.pop_mark()
        made: dict[str, object] = {}
        _keep_items(made, items)
        self.append(made)

    def load_additems(self) -> None:
        self.pop_mark()

    def load_frozenset(self) -> None:
        self.pop_mark()
        self.append(frozenset())

    def _pass_over_array(self, state: object) -> None:
        """After the wrapper's BUILD a joblib file holds the array: raw, or pickled objects."""
        if not isinstance(state, dict):
            raise UnreadablePickleError("an array wrapper without its fields")
        item_bytes, has_object = _layout(state.get("dtype"))
        if has_object:
            _Machine(self.file, found=self.found).load()
            return
        if state.get("numpy_array_alignment_bytes") is not None:
            self._skip(int.from_bytes(self.file.read(1), "little"))
        self._skip(_product(state.get("shape")) * item_bytes)

    def _skip(self, count: int) -> None:
        while count > 0:
            passed = len(self.file.read(min(count, _SKIP_BYTES)))
            if passed == 0:
                raise UnreadablePickleError("ends inside an array")
            count -= passed


def _made_by(function: object, arguments: object) -> Inert:
    origin = function.origin if isinstance(function, Inert) else ""
    if origin == "copyreg._reconstructor" and isinstance(arguments, tuple) and arguments:
        origin = getattr(arguments[0], "origin", "")  # protocols 0 and 1 make objects this way
    return Inert(origin, arguments)


def _keep_items(target: object, items: list[object]) -> None:
    """Of a mapping only string keys matter here; others are not even hashed."""
    if isinstance(target, dict):
        for key, value in zip(items[::2], items[1::2], strict=False):
            if type(key) is str:
                target[key] = value


def _layout(dtype: object) -> tuple[int, bool]:
    """Item size in bytes, and whether items are objects, of a pickled numpy dtype."""
    if isinstance(dtype, Inert) and dtype.origin == _STRING_DTYPE:
        return 0, True
    if not isinstance(dtype, Inert) or dtype.origin != "numpy.dtype":
        raise UnreadablePickleError("an array of a kind whose extent is unknown")
    code = dtype.arguments[0] if isinstance(dtype.arguments, tuple) and dtype.arguments else None
    match = re.fullmatch(r"[A-Za-z](\d+)", code) if isinstance(code, str) else None
    state = dtype.state
    if match is None or not isinstance(state, tuple) or len(state) < 8:
        raise UnreadablePickleError("an array of a kind whose extent is unknown")
    item_bytes, flags = state[5], state[7]
    if not isinstance(item_bytes, int) or not isinstance(flags, int):
        raise UnreadablePickleError("an array of a kind whose extent is unknown")
    return (item_bytes if item_bytes >= 0 else int(match[1])), bool(flags & _HAS_OBJECT)


def _product(shape: object) -> int:
    count = 1
    for length in shape if isinstance(shape, tuple) else (None,):
        if type(length) is not int or length < 0:
            raise UnreadablePickleError("an array of an impossible shape")
        count *= length
    return count
