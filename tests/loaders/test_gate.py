"""The gate resolves exactly what is listed."""

from __future__ import annotations

import collections
import copyreg
import io
import pickle
from pathlib import Path

import pytest

from loadonce.errors import LoaderFailedError, UntrustedGlobalError
from loadonce.loaders.gate import Gate, GatedUnpickler, SlowGatedUnpickler, unpickler


def test_listed_globals_are_resolved_exactly() -> None:
    gate = Gate("a.pkl", ["collections.OrderedDict", "collections:OrderedDict.fromkeys"])
    assert gate.resolve("collections", "OrderedDict") is collections.OrderedDict
    assert gate.resolve("collections", "OrderedDict.fromkeys") == collections.OrderedDict.fromkeys
    for module, name in [
        ("collections", "OrderedDict.clear"),
        ("collections.OrderedDict", "fromkeys"),
        ("collections", "Ordered"),
        ("collections", "OrderedDictX"),
        ("collections", "deque"),
        ("collections.abc", "OrderedDict"),
        ("", "collections.OrderedDict"),
        ("xcollections", "OrderedDict"),
    ]:
        with pytest.raises(UntrustedGlobalError, match=r"a\.pkl: "):
            gate.resolve(module, name)


def test_names_of_python_2_pass_if_their_new_names_are_listed() -> None:
    gate = Gate("a.pkl", ["builtins.range"])
    assert gate.resolve("__builtin__", "xrange") is range


def test_a_refusal_says_what_was_asked_for() -> None:
    with pytest.raises(UntrustedGlobalError) as caught:
        Gate("a.pkl", ["builtins.int"]).resolve("posix", "system")
    message = str(caught.value)
    assert "expected: one of the 1 globals in its lock entry" in message
    assert "found: posix.system" in message
    assert "read the diff" in message


@pytest.mark.parametrize(
    ("module", "name", "problem", "hint"),
    [
        ("__main__", "scale", "AttributeError", "the script or notebook that saved the file"),
        ("no_such_module", "Scale", "ModuleNotFoundError", "install 'no_such_module'"),
        ("collections", "Moved", "AttributeError", "give it back to 'collections'"),
        ("broken_import", "Scale", "ImportError", "make `import broken_import` work"),
    ],
)
def test_what_is_not_there_any_more_is_named(
    module: str, name: str, problem: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_import.py").write_text("raise ImportError('no libx.so')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(LoaderFailedError, match=f"needs {module}.{name}: {problem}") as caught:
        Gate("a.pkl", [f"{module}.{name}"]).resolve(module, name)
    assert hint in caught.value.hint


@pytest.mark.parametrize("kind", [GatedUnpickler, SlowGatedUnpickler])
@pytest.mark.parametrize("protocol", range(6))
def test_both_unpicklers_load_what_is_listed(
    kind: type[GatedUnpickler] | type[SlowGatedUnpickler], protocol: int
) -> None:
    value = {"a": [1, 2.5, "x", b"y", None, (True,)], "b": collections.OrderedDict(z={1, 2})}
    names = ["collections.OrderedDict", "builtins.set", "_codecs.encode"]
    file = io.BytesIO(pickle.dumps(value, protocol))
    assert kind(file, Gate("a", names)).load() == value


@pytest.mark.parametrize("kind", [GatedUnpickler, SlowGatedUnpickler])
def test_both_refuse_persistent_ids(
    kind: type[GatedUnpickler] | type[SlowGatedUnpickler],
) -> None:
    with pytest.raises(UntrustedGlobalError, match="a persistent id"):
        kind(io.BytesIO(b"Px\n."), Gate("a", [])).load()


def test_extension_codes_are_refused_even_if_the_program_registered_some() -> None:
    """The C unpickler would serve them from its cache, without asking."""
    assert isinstance(unpickler(io.BytesIO(), Gate("a", [])), GatedUnpickler)
    copyreg.add_extension("collections", "OrderedDict", 241)
    try:
        stream = b"\x80\x02\x82\xf1."
        assert pickle.loads(stream) is collections.OrderedDict
        gate = Gate("a", ["collections.OrderedDict"])
        assert GatedUnpickler(io.BytesIO(stream), gate).load() is collections.OrderedDict  # control
        with pytest.raises(UntrustedGlobalError, match="the extension code 241"):
            unpickler(io.BytesIO(stream), gate).load()
    finally:
        copyreg.remove_extension("collections", "OrderedDict", 241)
