"""The loader comes from the declaration, the suffix or an entry point, never from the file."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from pathlib import Path

import pytest

from loadonce.errors import LoaderFailedError, MissingExtraError, UnknownFormatError
from loadonce.loaders import find
from loadonce.loaders.table import BUILT_IN, find_any


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a.joblib", "joblib"), ("a.pkl", "joblib"), ("x/a.b.PICKLE", "joblib"), ("a.onnx", "onnx"),
        ("a.predictor.onnx", "predictor"), ("x.y/a.b.Predictor.ONNX", "predictor"),
        ("predictor.onnx", "onnx"), ("a.predictor.onnx.b.onnx", "onnx"),
        ("a.parquet", "parquet"), ("a.pq", "parquet"), ("a.json", "json"), ("a.npy", "numpy"),
        ("a.npz", "numpy"), ("a.pt", "torch"), ("a.pth", "torch"), ("a.pt2", "torch-export"),
        ("a.torchscript", "torchscript"), ("a.safetensors", "safetensors"), ("a.skops", "skops"),
        ("a.ubj", "xgboost"), ("a.lgb", "lightgbm"),
    ],
)  # fmt: skip
def test_a_suffix_finds_its_loader(path: str, name: str) -> None:
    assert find(None, path).name == name


def test_a_declaration_goes_before_the_suffix() -> None:
    assert find("xgboost", "a.json").name == "xgboost"
    assert find("pickle", "a.bin").name == "joblib"


def test_suffixes_and_names_are_unique() -> None:
    suffixes = [suffix for loader in BUILT_IN for suffix in loader.suffixes]
    names = [name for loader in BUILT_IN for name in (loader.name, *loader.aliases)]
    assert len(set(suffixes)) == len(suffixes)
    assert len(set(names)) == len(names)


def test_which_loaders_hold_the_interpreter_lock() -> None:
    assert {loader.name for loader in BUILT_IN if loader.holds_gil} == {"joblib", "json", "skops"}


@pytest.mark.parametrize(
    ("declared", "path", "words"),
    [
        (None, "a.unknown", "no loader reads the suffix '.unknown'"),
        (None, "directory", "no loader reads the suffix ''"),
        ("jobliib", "a.joblib", "no loader is called 'jobliib'"),
        (".joblib", "a.joblib", "no loader is called '.joblib'"),
    ],
)
def test_an_unknown_format_lists_the_known_ones(
    declared: str | None, path: str, words: str
) -> None:
    with pytest.raises(UnknownFormatError) as caught:
        find(declared, path)
    assert words in str(caught.value)
    assert "joblib, predictor, onnx, parquet" in str(caught.value)


def test_a_missing_library_is_found_out_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'loadonce\[lightgbm\]'"):
        find(None, "a.lgb")


def install(site: Path, module: str, entry_points: str) -> None:
    """What pip would leave behind."""
    (site / "thirdparty.py").write_text(module)
    info = site / "thirdparty-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[loadonce.loaders]\n{entry_points}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "thirdparty", raising=False)
    importlib.invalidate_caches()
    return tmp_path


MODULE = """
from loadonce.loaders import Loader
def read(source): return bytes(source.data).decode().split()
WORDS = Loader(name="words", read=read, suffixes=(".words", ".json"))
"""


def test_a_third_party_loader_is_found_by_its_entry_point(site: Path) -> None:
    install(site, MODULE, "words = thirdparty:WORDS")
    assert find("words", "a.txt").name == "words"
    assert find(None, "a.words").name == "words"
    assert find(None, "a.json").name == "json"  # a built-in suffix cannot be taken over


@pytest.mark.parametrize(
    ("entry_points", "words"),
    [("x = thirdparty:NO", "could not be imported"), ("x = thirdparty:read", "is not a loadonce")],
)
def test_a_broken_entry_point_is_named(site: Path, entry_points: str, words: str) -> None:
    install(site, MODULE, entry_points)
    with pytest.raises(LoaderFailedError, match=rf"third-party loader 'x' \(thirdparty.*{words}"):
        find(None, "a.words")
    assert find(None, "a.json").name == "json"


def test_entry_points_are_looked_for_once(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever locks a directory of a thousand files that no loader reads does not wait for it."""
    install(site, MODULE, "words = thirdparty:WORDS")
    assert find_any(None, "a.unknown") is None
    monkeypatch.setattr(importlib.metadata, "entry_points", None)
    assert find_any(None, "b.unknown") is None
    assert find(None, "b.words").name == "words"
