"""Settings come from the environment, when they are asked for."""

from __future__ import annotations

import pytest

from loadonce.settings import Settings


def test_the_number_of_workers_is_ours_else_that_of_uvicorn_and_gunicorn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("LOADONCE_WORKERS", "WEB_CONCURRENCY"):
        monkeypatch.delenv(name, raising=False)
    assert Settings().workers == 1
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    assert Settings().workers == 4
    monkeypatch.setenv("LOADONCE_WORKERS", "2")
    assert Settings().workers == 2
