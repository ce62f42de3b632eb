"""What serving changes in a process is put back after each test."""

from __future__ import annotations

import logging
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _same_process_afterwards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    names = (None, "loadonce", "loadonce.http", "uvicorn", "uvicorn.error", "uvicorn.access")
    loggers = [logging.getLogger(name) for name in names]
    before = [(list(one.handlers), list(one.filters), one.level, one.propagate) for one in loggers]
    handlers = {
        number: signal.getsignal(number)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    interval = sys.getswitchinterval()
    modules = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    show = warnings.showwarning
    yield
    warnings.showwarning = show
    logging.captureWarnings(False)
    for one, (kept, filters, level, propagate) in zip(loggers, before, strict=True):
        one.handlers, one.filters, one.propagate = kept, filters, propagate
        one.setLevel(level)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    sys.setswitchinterval(interval)
    for name in set(sys.modules) - modules:
        if name.startswith("served_"):
            del sys.modules[name]


@pytest.fixture
def module(tmp_path: Path) -> Callable[[str], str]:
    """`module("code")` writes a module into the test's directory and returns its unique name."""

    def write(code: str) -> str:
        name = f"served_{abs(hash((str(tmp_path), code)))}"
        (tmp_path / f"{name}.py").write_text(code)
        return name

    return write
