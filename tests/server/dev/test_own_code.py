"""Whose code may change while somebody works on an app: neither Python's nor what is installed."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from loadonce.server.dev.own_code import is_own


@pytest.mark.parametrize(
    "module", ["sys", "json.decoder", "numpy", "sklearn.tree", "loadonce.http"]
)
def test_what_is_installed_is_not(module: str) -> None:
    assert not is_own(module)


@pytest.mark.parametrize(
    "module", ["__main__", "no_such_module_anywhere", "own_one", "own_two.x", "made"]
)
def test_what_is_not_is(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_one.py").write_text("raise SystemExit('imported')")
    (tmp_path / "own_two").mkdir()  # a namespace package
    monkeypatch.setitem(sys.modules, "made", types.ModuleType("made"))
    monkeypatch.syspath_prepend(str(tmp_path))
    is_own.cache_clear()
    assert is_own(module)
    assert "own_one" not in sys.modules
