"""The pytest plugin, as pytest finds it by its entry point."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from loadonce import Model, NotRunningError, Registry, artifact
from loadonce.testing import FakeClock
from loadonce.testing.plugin import Override


class Models(Registry):
    heart: Model[str] = artifact("heart.bin")


models = Models("nowhere")


def test_overrides_hold_until_the_test_ends(loadonce_overrides: Override) -> None:
    loadonce_overrides(models, heart="h")
    loadonce_overrides(models, heart="later")
    assert models.heart.run(str.upper) == "LATER"


def test_and_no_longer() -> None:
    with pytest.raises(NotRunningError):
        models.heart.run(str.upper)


def test_the_clock_is_new_for_each_test(loadonce_clock: FakeClock) -> None:
    assert loadonce_clock.time() == 0


def test_the_plugin_is_found_by_its_entry_point(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.pluginmanager.hasplugin("loadonce")


def test_importing_the_plugin_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, loadonce.testing.plugin\n"
        "heavy = {'fastapi', 'starlette', 'pydantic', 'numpy', 'httpx2', 'uvicorn', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert found.stdout.strip() == "[]"
