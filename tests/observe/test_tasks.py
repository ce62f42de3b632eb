"""Threads as the kernel knows them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from loadonce.observe import tasks as tasks_module
from loadonce.observe.tasks import task_name, tasks


def test_a_thread_is_seen_and_has_its_name() -> None:
    over = threading.Event()
    before = tasks()
    thread = threading.Thread(target=over.wait, name="mine")
    thread.start()
    assert thread.native_id in tasks() - before
    assert thread.native_id is not None
    assert task_name(thread.native_id) == "mine"
    over.set()
    thread.join()
    assert task_name(2**30) == ""


def test_a_native_thread_has_the_kernels_name(monkeypatch: pytest.MonkeyPatch) -> None:
    number = threading.main_thread().native_id
    assert number is not None
    monkeypatch.setattr(threading, "enumerate", list)
    assert task_name(number) == Path(f"/proc/self/task/{number}/comm").read_text().strip()


def test_where_nobody_tells_there_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tasks_module, "_TASKS", tmp_path / "none")
    assert tasks() == frozenset()
