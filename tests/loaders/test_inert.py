"""The inert machine reads every global out of real pickles, and makes nothing of them."""

from __future__ import annotations

import contextlib
import datetime
import io
import pickle
import pickletools
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadonce.loaders.inert import UnreadablePickleError, collect_globals

VALUES = [
    [1, (2, "x"), {"k": None}, {3, 4}, frozenset({5}), b"bytes", bytearray(b"ba"), 1.5, 10**40],
    datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC),
    np.arange(12.0).reshape(3, 4),
    np.float32(1.5),
    np.array([("a", 1)], dtype=[("s", "U3"), ("n", "i4")]),
    np.random.default_rng(0),
    np.ma.masked_array([1, 2], [False, True]),
    slice(1, 2),
    complex(1, 2),
    ValueError,
]


def asked_for(content: bytes) -> set[str]:
    """The control: what the real unpickler asks for, by hooking it."""
    names: set[str] = set()

    class Spy(pickle._Unpickler):
        def find_class(self, module: str, name: str) -> object:
            names.add(f"{module}.{name}")
            return super().find_class(module, name)

    Spy(io.BytesIO(content)).load()
    return names


@pytest.mark.parametrize("protocol", range(3, 6))
@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_it_finds_what_a_real_unpickler_asks_for(value: object, protocol: int) -> None:
    content = pickle.dumps(value, protocol)
    assert set(collect_globals(io.BytesIO(content))) == asked_for(content)
    optimized = pickletools.optimize(content)
    assert set(collect_globals(io.BytesIO(optimized))) == asked_for(content)


@pytest.mark.parametrize("protocol", range(3))
def test_old_protocols_are_read_with_their_modern_names(protocol: int) -> None:
    content = pickle.dumps([range(3), {1}, b"x"], protocol)
    found = collect_globals(io.BytesIO(content))
    assert "builtins.set" in found
    assert all(not name.startswith(("__builtin__", "copy_reg")) for name in found)


ARRAYS = [
    np.arange(5),
    np.arange(5, dtype=">f4"),
    np.asfortranarray(np.ones((3, 4))),
    np.array(7),
    np.empty((0, 3)),
    np.array(["a", "bb"]),
    np.array([b"a"]),
    np.array(["2026-11-21"], dtype="M8[D]"),
    np.zeros(2, dtype=[("a", "f8", (2, 3)), ("b", "S3")]),
    np.array([True]),
    np.array([1 + 2j]),
    np.array([None, datetime.date(2026, 1, 1)], dtype=object),
    np.array([(1, "x")], dtype=[("n", "i8"), ("o", "O")]),
    np.array(["short", "a much longer string than the others"], dtype=np.dtypes.StringDType()),
    np.ones((1, 1)).view(np.matrix),
]


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: str(array.dtype))
def test_it_steps_over_arrays_in_joblib_files(array: np.ndarray[Any, Any], protocol: int) -> None:
    file = io.BytesIO()
    joblib.dump([array, datetime.timedelta(1), array, ValueError], file, protocol=protocol)
    content = file.getvalue()
    found = collect_globals(io.BytesIO(content))
    assert {"datetime.timedelta", "joblib.numpy_pickle.NumpyArrayWrapper"} <= set(found)
    assert found[-1].endswith("ndarray") or "numpy.dtype" in found


def test_what_object_arrays_hold_is_found_too() -> None:
    file = io.BytesIO()
    joblib.dump(np.array([datetime.date(2026, 1, 1)], dtype=object), file)
    file.seek(0)
    assert "datetime.date" in collect_globals(file)


def test_old_wrappers_without_alignment_have_no_padding() -> None:
    array = np.arange(3.0)
    file = io.BytesIO()

    class Unseekable(io.BytesIO):
        def tell(self) -> int:
            raise io.UnsupportedOperation

    file = Unseekable()
    joblib.dump([array, datetime.timedelta(1)], file)
    assert "datetime.timedelta" in collect_globals(io.BytesIO(file.getvalue()))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(UnreadablePickleError):
        collect_globals(io.BytesIO(content))


@given(st.data())
def test_any_damage_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(pickle.dumps(VALUES[0:4], data.draw(st.integers(0, 5))))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(UnreadablePickleError):
        collect_globals(io.BytesIO(bytes(content)))


def wrapped(state: bytes) -> bytes:
    """A joblib array wrapper whose state is whatever `state` leaves on the stack."""
    return b"\x80\x02cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81" + state + b"b."


DTYPE = b"X\x05\x00\x00\x00dtype"
SHAPE = b"X\x05\x00\x00\x00shape"
REAL = (
    b"cnumpy\ndtype\nX\x02\x00\x00\x00i8K\x00K\x01\x87R"
    b"(K\x03NNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a readable pickle"),
        (b"not a pickle", "not a readable pickle"),
        (b"\x80\x02\x82\xf0.", "extension code"),
        (b"P1\n.", "persistent id"),
        (b"K\x01Q.", "persistent id"),
        (b"cos\na b\n.", "not the name of a global"),
        (b"\x80\x04K\x01K\x02\x93.", "STACK_GLOBAL requires str"),
        (wrapped(b"K\x01"), "without its fields"),
        (wrapped(b"}"), "extent is unknown"),
        (wrapped(b"}" + DTYPE + b"cnumpy\ndtype\ns"), "extent is unknown"),
        (wrapped(b"}" + DTYPE + b"cnumpy\ndtype\n)Rs"), "extent is unknown"),
        (wrapped(b"}" + DTYPE + b"cnumpy\ndtype\nK\x01\x85Rs"), "extent is unknown"),
        (
            wrapped(b"}" + DTYPE + b"cnumpy\ndtype\nX\x02\x00\x00\x00i8\x85R(NNNNNNNNtbs"),
            "is unknown",
        ),
        (
            wrapped(b"}" + DTYPE + b"cnumpy\nndarray\nX\x02\x00\x00\x00i8\x85Rs"),
            "extent is unknown",
        ),
        (wrapped(b"}" + DTYPE + REAL + b"s"), "impossible shape"),
        (wrapped(b"}(" + DTYPE + REAL + SHAPE + b"K\x01u"), "impossible shape"),
        (wrapped(b"}(" + DTYPE + REAL + SHAPE + b"\x8a\x01\xff\x85u"), "impossible shape"),
        (wrapped(b"}(" + DTYPE + REAL + SHAPE + b"K\x05\x85u"), "ends inside an array"),
    ],
)
def test_what_cannot_be_walked_is_refused_with_its_reason(content: bytes, reason: str) -> None:
    with pytest.raises(UnreadablePickleError, match=reason):
        collect_globals(io.BytesIO(content))


@pytest.mark.timeout(2)
@pytest.mark.parametrize("size", [5, 2**33, 2**62])
def test_a_declared_size_takes_no_memory(size: int) -> None:
    """BYTEARRAY8 of 8 GiB in a file of 14 bytes; found by damaging pickles at random."""
    content = b"\x80\x05\x96" + size.to_bytes(8, "little") + b"abc."
    with pytest.raises(UnreadablePickleError, match="EOFError"):
        collect_globals(io.BytesIO(content))
    assert collect_globals(io.BytesIO(pickle.dumps(bytearray(b"abc"), 5))) == ()


def test_deeply_nested_keys_are_not_even_hashed() -> None:
    """Hashing a tuple of tuples 200,000 deep would overflow the C stack."""
    content = b"\x80\x02}N" + b"\x85" * 200_000 + b"K\x01s."
    assert collect_globals(io.BytesIO(content)) == ()


def test_every_way_to_fill_an_object_touches_nothing() -> None:
    """APPEND, APPENDS, SETITEM, SETITEMS, ADDITEMS, BUILD, OBJ and INST on stand-ins."""
    content = (
        b"\x80\x04(cos\nsystem\no(ios\npopen\n"
        b"K\x01a(K\x01K\x02eK\x01K\x02s(K\x01K\x02u(K\x01\x90K\x01b\x86K\x01b."
    )
    assert collect_globals(io.BytesIO(content)) == ("os.popen", "os.system")
