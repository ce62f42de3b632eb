"""Settings come from the environment, when they are asked for."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

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


def test_a_setting_that_cannot_be_meant_is_named_as_it_was_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOADONCE_FREEZE", "perhaps")
    with pytest.raises(ValidationError, match="LOADONCE_FREEZE"):
        Settings()


def test_the_case_of_a_variable_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("loadonce_memory_limit", "1KiB")
    assert Settings().memory_limit == 1024
