"""What an operator may set: `VITALCHECK_*` in the environment or in a `.env` file."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

_PACKAGE = Path(__file__).parent
_PREFIX = "VITALCHECK_"


class UnknownSettingError(ValueError):
    """A `VITALCHECK_*` variable that means nothing; very likely a slip of the pen.

    Args:
        names: the unknown variables; their values are never shown.
        known: the variables there are.
    """

    def __init__(self, names: Iterable[str], known: Iterable[str]) -> None:
        by_ending = {name.removeprefix(_PREFIX): name for name in sorted(known)}
        super().__init__("\n".join(_complaint(name, by_ending) for name in sorted(names)))


def _complaint(name: str, known: dict[str, str]) -> str:
    near = difflib.get_close_matches(name.removeprefix(_PREFIX), known, n=1)
    hint = f"did you mean {known[near[0]]}?" if near else f"known are: {', '.join(known.values())}"
    return f"unknown setting {name}: {hint}"


class Settings(BaseSettings):
    """Where things lie and how the API presents itself.

    Raises `UnknownSettingError` for an unknown `VITALCHECK_*` variable (pydantic-settings does not
    look at variables it has no field for); entries with another prefix are none of our business.

    Attributes:
        models_dir: the models, their cards and `models.lock`.
        reference_dir: the reference tables with their own `models.lock`; absent: `models_dir`.
        static_dir: the web page's files.
        log_level: of the "vitalcheck" logger.
        api_version: the version the OpenAPI document states.
        max_body_bytes: the largest JSON body accepted; uploads have a limit of their own.
    """

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_file=".env",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        protected_namespaces=(),
    )

    models_dir: Path = _PACKAGE / "artifacts"
    reference_dir: Path | None = None
    static_dir: Path = _PACKAGE / "static"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    api_version: str = "1.0.0"
    max_body_bytes: int = 2**20

    @property
    def tables_dir(self) -> Path:
        """Where the reference tables lie."""
        return self.reference_dir or self.models_dir

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The usual sources, once nothing unknown is among them."""
        known = {f"{_PREFIX}{name.upper()}" for name in cls.model_fields}
        given = {
            name.upper()
            for source in (env_settings, dotenv_settings)
            if isinstance(source, EnvSettingsSource)
            for name in source.env_vars
        }
        if unknown := {name for name in given - known if name.startswith(_PREFIX)}:
            raise UnknownSettingError(unknown, known)
        return init_settings, env_settings, dotenv_settings, file_secret_settings
