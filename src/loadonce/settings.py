"""Settings of the library itself, from `LOADONCE_*` environment variables."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AliasChoices, ByteSize, Field, PositiveInt, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from loadonce.errors import ConfigurationError

_ACCEPTED = {
    "LOADONCE_MEMORY_LIMIT": "a size such as 8GiB or 500MB",
    "LOADONCE_PROGRESS": "auto or never",
    "LOADONCE_WORKERS": "a number above 0, as is WEB_CONCURRENCY, which counts without it",
}


class Settings(BaseSettings):
    """What an operator may set without touching code; read when a registry starts.

    Attributes:
        development: lock an unlocked artifact on first use instead of refusing it. Set by
            `loadonce dev` for the process it starts; never set it where others can reach the
            server or write to the models' directory.
        allow_version_mismatch: load artifacts made by another major or minor version of their
            library, with a warning.
        memory_limit: the most memory this process may hold ("8GiB"), besides the limits of the
            machine and its control group: a load that would not fit is refused.
        progress: show progress bars while loading: "auto" on a terminal only.
        freeze: `gc.freeze()` after loading, so that collections do not walk the models; and give
            back the memory that loading freed.
        workers: how many processes like this one share the machine; the threads that libraries may
            start inside a call are cores / workers / inference threads. uvicorn's and gunicorn's
            own `WEB_CONCURRENCY` counts where this is not set.

    Raises:
        ConfigurationError: a variable says something else than it may.
    """

    # An alias instead of a prefix: an error then names the variable as it was given.
    model_config = SettingsConfigDict(
        alias_generator=lambda name: f"LOADONCE_{name.upper()}", extra="ignore", frozen=True
    )

    development: bool = False
    allow_version_mismatch: bool = False
    memory_limit: ByteSize | None = None
    progress: Literal["auto", "never"] = "auto"
    freeze: bool = True
    workers: PositiveInt = Field(
        default=1, validation_alias=AliasChoices("LOADONCE_WORKERS", "WEB_CONCURRENCY")
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            names = dict.fromkeys(str(each["loc"][0]) for each in error.errors())
            accepted = [f"{name} must be {_ACCEPTED.get(name, 'true or false')}" for name in names]
            raise ConfigurationError("; ".join(accepted)) from None  # never the value
