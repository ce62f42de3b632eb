"""Fixtures for the whole suite."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from loadonce import lock_directory

settings.register_profile("untimed", deadline=None)  # no test is about time
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--nightly", action="store_true", help="run the large sizes too")
    parser.addoption(
        "--measure-servers",
        action="store_true",
        help="measure the coverage of what tests/integration starts, not of the tests themselves",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("alone") and "tests/integration/" not in item.nodeid:
            raise pytest.UsageError(f"scripts/test would not run it: {item.nodeid}")
    if config.getoption("--nightly"):
        return
    skip = pytest.mark.skip(reason="large; run with --nightly")
    for item in items:
        if item.get_closest_marker("nightly"):  # keywords hold names of directories too
            item.add_marker(skip)


@pytest.fixture
def anyio_backend() -> str:
    """Async tests (marked anyio) run on asyncio, as uvicorn does."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine leaks into a test."""
    for name in os.environ:
        if name.startswith("LOADONCE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def locked(tmp_path: Path) -> Callable[..., Path]:
    """`locked(a=b"...", b="...")` writes files a.bin, b.bin, locks them and returns their root."""

    def write(**files: bytes | str) -> Path:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            (tmp_path / f"{name}.bin").write_bytes(data)
        lock_directory(tmp_path)
        return tmp_path

    return write
