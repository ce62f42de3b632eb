"""Settings come from the environment, when they are asked for."""

from __future__ import annotations

import pytest

from loadonce import ConfigurationError
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
    monkeypatch.setenv("LOADONCE_MEMORY_LIMIT", "lots")
    monkeypatch.setenv("LOADONCE_WORKERS", "x")
    with pytest.raises(ConfigurationError) as caught:
        Settings()
    assert str(caught.value) == (
        "LOADONCE_MEMORY_LIMIT must be a size such as 8GiB or 500MB; LOADONCE_FREEZE must be true "
        "or false; LOADONCE_WORKERS must be a number above 0, as is WEB_CONCURRENCY, which counts "
        "without it"
    )  # and not what it was


def test_the_case_of_a_variable_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("loadonce_memory_limit", "1KiB")
    assert Settings().memory_limit == 1024
