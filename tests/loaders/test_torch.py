"""PyTorch weights, TorchScript and exported programs load; whole pickled modules never do."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from loadonce.errors import LoaderFailedError
from loadonce.loaders import find


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.linear(x)) + x.shape[0]


NET = Net().eval()
BATCH = torch.ones(3, 4)


def saved(value: object) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def scripted() -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(NET), file)
    return file.getvalue()


class Evil:
    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (self.marker,)


def test_state_dicts_load(shelf: Any) -> None:
    shelf.put("w.pt", saved(NET.state_dict()))
    loaded = shelf.load("w.pt")
    assert torch.equal(loaded["linear.weight"], NET.state_dict()["linear.weight"])


def test_torch_reads_a_source_by_its_path_too(shelf: Any) -> None:
    shelf.put("w.pt", saved(NET.state_dict()))
    source = shelf.locked("w.pt")
    assert set(torch.load(source, weights_only=True)) == set(NET.state_dict())
    assert find(None, "w.pt").memory_estimate(source) == source.size


def test_pickled_modules_and_code_are_refused_without_a_way_round(
    shelf: Any, tmp_path: Path
) -> None:
    shelf.put("w.pt", saved(NET))
    with pytest.raises(LoaderFailedError, match="more than tensors") as caught:
        shelf.load("w.pt")
    assert caught.value.found == f"{__name__}.Net"
    assert "state_dict" in caught.value.hint
    assert "weights_only" not in str(caught.value)  # torch says how to get round it
    marker = str(tmp_path / "executed")
    shelf.put("w.pt", saved([Evil(marker)]))
    with pytest.raises(LoaderFailedError):
        shelf.load("w.pt")
    assert not os.path.exists(marker)
    torch.load(io.BytesIO(saved([Evil(marker)])), weights_only=False)  # the control
    assert os.path.exists(marker)


def test_a_damaged_file_is_told_of_in_the_words_of_torch(shelf: Any) -> None:
    shelf.put("w.pt", saved([1]).replace(b"]q", b"\xffq", 1))
    with pytest.raises(LoaderFailedError, match="torch loader failed"):
        shelf.load("w.pt")


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_torchscript_loads_in_evaluation_mode(shelf: Any) -> None:
    shelf.put("m.torchscript", scripted())
    module = shelf.load("m.torchscript")
    assert not module.training
    assert torch.equal(module(BATCH), NET(BATCH))


def test_exported_programs_load(shelf: Any) -> None:
    file = io.BytesIO()
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(NET, (BATCH,), dynamic_shapes=({0: batch},))
    torch.export.save(program, file)
    shelf.put("m.pt2", file.getvalue())
    loaded = shelf.load("m.pt2")
    assert torch.equal(loaded.module()(BATCH), NET(BATCH))
