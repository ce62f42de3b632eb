"""An exported program that would run code while it loads is refused before torch sees it."""

from __future__ import annotations

import io
import json
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from loadonce.errors import UntrustedGlobalError

Members = dict[str, bytes]


class Twice(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 + x.shape[0]


class Evil:
    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (self.marker,)


@pytest.fixture(scope="module")
def members() -> Members:
    file = io.BytesIO()
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(Twice(), (torch.ones(3, 4),), dynamic_shapes={"x": {0: batch}})
    torch.export.save(program, file)
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(members: Members) -> bytes:
    """As torch writes it: stored, each member aligned to 64 bytes."""
    file = torch._C.PyTorchFileWriter(target := io.BytesIO())
    top = next(iter(members)).partition("/")[0]
    for name, content in members.items():
        inner = name.removeprefix(f"{top}/")
        if inner not in ("version", ".data/version", "byteorder", ".data/serialization_id"):
            file.write_record(inner, content, len(content))
    file.write_end_of_file()
    return target.getvalue()


def member(members: Members, ending: str) -> str:
    return next(name for name in members if name.endswith(ending))


def program(members: Members, change: Callable[[str], str]) -> None:
    name = member(members, "models/model.json")
    before = members[name].decode()
    after = change(before)
    assert after != before
    json.loads(after)
    members[name] = after.encode()


def _expression(text: str) -> Callable[[Members, str], None]:
    def change(members: Members, marker: str) -> None:
        document = json.loads(members[member(members, "models/model.json")])

        def replace(item: Any) -> None:
            if isinstance(item, dict):
                if "expr_str" in item:
                    item["expr_str"] = text.format(marker)
                for value in item.values():
                    replace(value)
            elif isinstance(item, list):
                for value in item:
                    replace(value)

        replace(document)
        members[member(members, "models/model.json")] = json.dumps(document).encode()

    return change


def _sample(members: Members, marker: str) -> None:
    file = io.BytesIO()
    torch.save(Evil(marker), file)
    members[member(members, "sample_inputs/model.pt")] = file.getvalue()


def _added(name: str) -> Callable[[Members, str], None]:
    def change(members: Members, marker: str) -> None:
        top = next(iter(members)).partition("/")[0]
        members[f"{top}/{name}"] = pickle.dumps(Evil(marker))

    return change


def _pickled_weight(members: Members, marker: str) -> None:
    entry = {"path_name": "weight_9", "use_pickle": True, "is_param": False, "tensor_meta": None}
    top = next(iter(members)).partition("/")[0]
    config = json.dumps({"config": {"w": entry}}).encode()
    members[f"{top}/data/weights/model_weights_config.json"] = config
    _sample_bytes = io.BytesIO()
    torch.save(Evil(marker), _sample_bytes)
    members[f"{top}/data/weights/weight_9"] = _sample_bytes.getvalue()


def _target(members: Members, marker: str) -> None:
    program(members, lambda text: text.replace("torch.ops.aten.mul.Tensor", "torch.hub.load"))


CHANGES: dict[str, tuple[Callable[[Members, str], None], str]] = {
    "sample input": (_sample, "a sample input that is not made of tensors"),
    "pickled weight": (_pickled_weight, "a pickled tensor"),
    "custom object": (_added("data/constants/custom_obj_0"), "an unknown member"),
    "opaque object": (_added("data/constants/opaque_obj_0"), "an unknown member"),
    "legacy constants": (_added("data/constants/model.pt"), "an unknown member"),
    "legacy weights": (_added("data/weights/model.pt"), "an unknown member"),
    "compiled model": (_added("data/aotinductor/model/x.so"), "an unknown member"),
    "old format": (_added("serialized_constants.pt"), "an unknown member"),
    "operator": (_target, "the operator 'torch.hub.load'"),
    "expression with a call": (_expression("exec(chr(49))"), "calls a function"),
    "expression with a string": (_expression("__import__('os').mkdir('{0}')"), "not arithmetic"),
    "expression with an attribute": (_expression("Symbol('x').args"), "not arithmetic"),
    "expression with dunders": (_expression("s0__class__"), "not arithmetic"),
}


def test_an_ordinary_program_loads_as_it_was_packed_here(shelf: Any, members: Members) -> None:
    """The control: packing anew is not what is refused."""
    shelf.put("m.pt2", packed(members))
    assert shelf.load("m.pt2").module()(torch.ones(3, 4)).sum().item() == 60.0


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_would_run_code_is_refused(
    shelf: Any, members: Members, tmp_path: Path, name: str
) -> None:
    change, reason = CHANGES[name]
    marker = str(tmp_path / "executed")
    changed = dict(members)
    change(changed, marker)
    shelf.put("m.pt2", packed(changed))
    with pytest.raises(UntrustedGlobalError, match=reason):
        shelf.load("m.pt2")
    assert not os.path.exists(marker)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["sample input", "expression with a string", "pickled weight"])
def test_torch_itself_would_run_it(members: Members, tmp_path: Path, name: str) -> None:
    """Why this guard exists: `torch.export.load` alone executes these."""
    marker = str(tmp_path / "executed")
    changed = dict(members)
    CHANGES[name][0](changed, marker)
    try:
        torch.export.load(io.BytesIO(packed(changed)))
    except Exception:
        assert os.path.exists(marker)
    assert os.path.exists(marker)


def test_an_empty_sample_is_harmless(shelf: Any, members: Members) -> None:
    changed = {**members, member(members, "sample_inputs/model.pt"): b""}
    shelf.put("m.pt2", packed(changed))
    shelf.load("m.pt2")


def zipped(pairs: list[tuple[str, bytes]]) -> bytes:
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two members of one name
        for name, content in pairs:
            archive.writestr(name, content)
    return file.getvalue()


def _with_a_second_member(good: Members, bad: Members) -> bytes:
    """Python's reader finds the last of one name, torch's the first."""
    name = member(good, "sample_inputs/model.pt")
    return zipped([(name, bad[name]), *good.items()])


def _behind_another(good: Members, bad: Members) -> bytes:
    """Python's reader counts from the end of the file, torch's from its beginning."""
    sizes = [sum(map(len, each.values())) for each in (good, bad)]
    pad = next(iter(good)).partition("/")[0] + "/extra/pad"
    archives = [
        zipped([*each.items(), (pad, bytes(max(sizes) - size + 1))])
        for each, size in zip((bad, good), reversed(sizes), strict=True)
    ]
    return b"".join(archives)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("trick", [_with_a_second_member, _behind_another])
def test_what_torch_would_find_in_a_file_of_two_readings_does_not_run(
    shelf: Any, members: Members, tmp_path: Path, trick: Callable[[Members, Members], bytes]
) -> None:
    marker = str(tmp_path / "executed")
    bad = dict(members)
    _sample(bad, marker)
    content = trick(members, bad)
    shelf.put("m.pt2", content)
    if trick is _with_a_second_member:
        with pytest.raises(UntrustedGlobalError, match="a sample input that is not made"):
            shelf.load("m.pt2")
    else:
        assert shelf.load("m.pt2").module()(torch.ones(3, 4)).sum().item() == 60.0
    assert not os.path.exists(marker)
    with pytest.raises(Exception):  # noqa: B017  # the control: torch itself runs it
        torch.export.load(io.BytesIO(content))
    assert os.path.exists(marker)


def test_two_members_of_one_name_are_refused_whatever_they_hold(
    shelf: Any, members: Members
) -> None:
    shelf.put("m.pt2", _with_a_second_member(members, members))
    with pytest.raises(UntrustedGlobalError, match=r"a second content in \S+/model\.pt"):
        shelf.load("m.pt2")
