"""Models from files: several files, roots, library versions, and development's first use."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from loadonce import (
    Golden,
    Model,
    Registry,
    Source,
    StartupError,
    artifact,
    lock_directory,
    table,
)
from loadonce.artifacts import LockFile

pytestmark = pytest.mark.anyio

Locked = Callable[..., Path]


def text(source: Source) -> str:
    return bytes(source.data).decode()


def names(source: Source) -> list[str]:
    return sorted(source.files)


def change(root: Path, path: str, **changes: Any) -> None:
    lock = LockFile.read(root)
    lock.with_entry(replace(lock.entries[path], **changes)).write(root)


async def loaded(registry: type[Registry], root: Path) -> dict[str, Any]:
    models = registry(root=root)
    async with models.running():
        return {model.name: model.slot.current.value for model in models}  # type: ignore[union-attr]


async def test_named_files_give_a_dict_of_what_each_holds(tmp_path: Path) -> None:
    for name in ("low", "high"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"is": name}))
    lock_directory(tmp_path)

    class One(Registry):
        both: Model[Mapping[str, dict[str, str]]] = artifact(
            {"low": "low.json", "high": "high.json"}
        )

    assert await loaded(One, tmp_path) == {"both": {"low": {"is": "low"}, "high": {"is": "high"}}}


async def test_named_files_are_one_object_for_a_loader_that_takes_them_together(
    tmp_path: Path,
) -> None:
    save_with_external_data(tmp_path)
    lock_directory(tmp_path)

    class One(Registry):
        net: Model[object] = artifact({"graph": "net.onnx", "w": "net.bin"}, loader="onnx")

    (session,) = (await loaded(One, tmp_path)).values()
    assert session.run(None, {"x": np.ones(4, np.float32)})[0].tolist() == [2.0] * 4


def save_with_external_data(root: Path) -> None:
    """y = x + w, with w beside the graph."""
    weights = numpy_helper.from_array(np.ones(4, np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(
        model,
        str(root / "net.onnx"),
        save_as_external_data=True,
        location="net.bin",
        size_threshold=0,
    )


async def test_named_files_and_directories_reach_a_loader_of_one_s_own(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    for name in ("weights.bin", "graph.bin"):
        (tmp_path / "net" / name).write_text(name)
    lock_directory(tmp_path)

    class One(Registry):
        directory: Model[list[str]] = artifact("net", loader=names)
        named: Model[list[str]] = artifact({"w": "net/weights.bin"}, loader=names)

    found = await loaded(One, tmp_path)
    assert found["named"] == ["w"]
    assert found["directory"] == ["graph.bin", "weights.bin"]


async def test_an_artifact_may_have_a_root_of_its_own(tmp_path: Path, locked: Locked) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.bin").write_text("B")
    lock_directory(other)

    class One(Registry):
        a: Model[str] = artifact("a.bin", loader=text)
        b: Model[str] = artifact("b.bin", loader=text, root=lambda: other)

    root = tmp_path / "own"
    root.mkdir()
    (root / "a.bin").write_text("A")
    lock_directory(root)
    assert await loaded(One, root) == {"a": "A", "b": "B"}


async def test_the_locked_format_counts_where_none_is_declared(tmp_path: Path) -> None:
    class Several(Registry):
        one: Model[list[int]] = artifact("one.bin")
        two: Model[dict[str, list[int]]] = artifact({"a": "one.bin", "b": "two.json"})
        declared: Model[str] = artifact("one.bin", loader=text)

    class Misread(Registry):
        one: Model[object] = artifact("one.bin", loader="numpy")

    class Unknown(Registry):
        one: Model[object] = artifact("three.bin")

    for name, content in (("one.bin", "[1]"), ("two.json", "[2]"), ("three.bin", "[3]")):
        (tmp_path / name).write_text(content)
    lock_directory(tmp_path, formats={"one.bin": "json"})
    values = await loaded(Several, tmp_path)
    assert values == {"one": [1], "two": {"a": [1], "b": [2]}, "declared": "[1]"}
    with pytest.raises(StartupError, match="the numpy loader failed"):
        await loaded(Misread, tmp_path)
    with pytest.raises(StartupError, match=r"no loader reads the suffix '\.bin'"):
        await loaded(Unknown, tmp_path)


async def test_a_table_is_a_parquet_file(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"x": [1, 2]}), tmp_path / "x.parquet")
    lock_directory(tmp_path)

    class One(Registry):
        people: Model[pa.Table] = table("x.parquet", golden=lambda found: found.num_rows == 2)

    assert (await loaded(One, tmp_path))["people"].column_names == ["x"]


async def test_a_golden_example_in_the_lock_is_checked_for_each_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text('{"x": 1}')
    lock_directory(tmp_path)

    class One(Registry):
        both: Model[Mapping[str, dict[str, int]]] = artifact({"a": "a.json", "b": "b.json"})
        a: Model[dict[str, int]] = artifact("a.json")

    change(tmp_path, "a.json", golden=Golden("get", "x", 1))
    await loaded(One, tmp_path)
    change(tmp_path, "b.json", golden=Golden("get", "x", 2))
    with pytest.raises(StartupError, match="golden example") as caught:
        await loaded(One, tmp_path)
    assert len(caught.value.failures) == 1


async def test_another_minor_version_of_a_library_stops_the_start_unless_allowed(
    locked: Locked, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class One(Registry):
        a: Model[str] = artifact("a.bin", loader=text)

    root = locked(a="A")
    change(root, "a.bin", libraries={"anyio": "0.1.0"})
    with pytest.raises(StartupError, match="anyio"):
        await loaded(One, root)
    monkeypatch.setenv("LOADONCE_ALLOW_VERSION_MISMATCH", "1")
    assert await loaded(One, root) == {"a": "A"}
    assert "anyio" in caplog.text


async def test_an_unknown_option_names_the_model(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    lock_directory(tmp_path)

    class One(Registry):
        a: Model[dict[str, int]] = artifact("a.json", options={"colour": "red"})

    with pytest.raises(StartupError, match=r"model 'a' \(a.json\)"):
        await loaded(One, tmp_path)


async def test_annotations_that_cannot_be_evaluated_are_not_checked(locked: Locked) -> None:
    namespace = {"__annotations__": {"a": "Model[Missing]"}, "a": artifact("a.bin", loader=text)}
    one: type[Registry] = type("One", (Registry,), namespace)
    assert await loaded(one, locked(a="A")) == {"a": "A"}


async def test_development_locks_what_is_new_on_first_use_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class One(Registry):
        a: Model[dict[str, int]] = artifact("a.json")
        pair: Model[Mapping[str, dict[str, int]]] = artifact({"b": "b.json"})
        net: Model[list[str]] = artifact("net", loader=names)

    (tmp_path / "net").mkdir()
    for name in ("a.json", "b.json", "net/c.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(StartupError, match=r"models\.lock"):
        await loaded(One, tmp_path)
    monkeypatch.setenv("LOADONCE_DEVELOPMENT", "1")
    await loaded(One, tmp_path)
    for name in ("a.json", "b.json", "net/c.json"):
        assert caplog.text.count(f"locked {name} on first use") == 1
    before = (tmp_path / "models.lock").read_bytes()
    await loaded(One, tmp_path)
    assert (tmp_path / "models.lock").read_bytes() == before
    (tmp_path / "a.json").write_text('{"changed": 1}')
    with pytest.raises(StartupError, match="sha256"):
        await loaded(One, tmp_path)


async def test_development_still_refuses_what_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class One(Registry):
        a: Model[dict[str, int]] = artifact("a.json")

    monkeypatch.setenv("LOADONCE_DEVELOPMENT", "1")
    with pytest.raises(StartupError, match=r"a\.json"):
        await loaded(One, tmp_path)
