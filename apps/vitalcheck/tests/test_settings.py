"""Settings come from the environment or `.env`; a slip in a name is an error with a suggestion."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from vitalcheck.settings import Settings, UnknownSettingError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_defaults_point_into_the_package() -> None:
    settings = Settings()
    assert settings.models_dir.name == "artifacts"
    assert settings.static_dir.parent == settings.models_dir.parent
    assert settings.tables_dir == settings.models_dir


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(
        "VITALCHECK_MODELS_DIR=/file\nVITALCHECK_REFERENCE_DIR=/tables\n"
    )
    monkeypatch.setenv("VITALCHECK_MODELS_DIR", "/environment")
    settings = Settings()
    assert settings.models_dir == Path("/environment")
    assert settings.tables_dir == Path("/tables")


def test_an_unknown_variable_is_refused_with_a_suggestion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITALCHECK_MODEL_DIR", "a-secret-value")
    with pytest.raises(UnknownSettingError, match="did you mean VITALCHECK_MODELS_DIR") as caught:
        Settings()
    assert "a-secret-value" not in str(caught.value)


def test_an_unknown_entry_of_the_file_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("VITALCHECK_LOGLEVEL=info\nvitalcheck_zzz=1\n")
    with pytest.raises(UnknownSettingError) as caught:
        Settings()
    first, second = str(caught.value).splitlines()
    assert "did you mean VITALCHECK_LOG_LEVEL?" in first
    assert "known are: VITALCHECK_API_VERSION" in second


def test_foreign_entries_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("DATABASE_URL=x\nLOADONCE_PORT=1\n")
    monkeypatch.setenv("VITALITY", "high")
    assert Settings().log_level == "info"


def test_a_wrong_value_is_refused_without_repeating_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITALCHECK_LOG_LEVEL", "a-secret-value")
    with pytest.raises(ValidationError, match="log_level") as caught:
        Settings()
    assert "a-secret-value" not in str(caught.value)


def test_arguments_win_and_settings_do_not_change(tmp_path: Path) -> None:
    settings = Settings(static_dir=tmp_path)
    assert settings.static_dir == tmp_path
    with pytest.raises(ValidationError):
        setattr(settings, "static_dir", Path())  # noqa: B010
