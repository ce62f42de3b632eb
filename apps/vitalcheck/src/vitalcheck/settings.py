"""What an operator may set: `VITALCHECK_*` in the environment or in a `.env` file."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

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


class Settings(BaseModel):
    """Where things lie and how the API presents itself.

    Attributes:
        models_dir: the models, their cards and `models.lock`.
        reference_dir: the reference tables with their own `models.lock`; absent: `models_dir`.
        static_dir: the web page's files.
        log_level: of the "vitalcheck" logger.
        api_version: the version the OpenAPI document states.
        max_body_bytes: the largest JSON body accepted; uploads have a limit of their own.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, protected_namespaces=()
    )

    models_dir: Path = _PACKAGE / "artifacts"
    reference_dir: Path | None = None
    static_dir: Path = _PACKAGE / "static"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    api_version: str = "1.0.0"
    max_body_bytes: int = 2**20

    @classmethod
    def read(cls) -> Self:
        """From `.env` in the working directory, and from the environment, which wins.

        Raises `UnknownSettingError` for an unknown `VITALCHECK_*` variable, and pydantic's
        ValidationError; what has another prefix is none of our business.
        """
        given = {
            name.upper(): value
            for name, value in (_file() | os.environ).items()
            if name.upper().startswith(_PREFIX)
        }
        known = {f"{_PREFIX}{name.upper()}": name for name in cls.model_fields}
        if unknown := given.keys() - known.keys():
            raise UnknownSettingError(unknown, known)
        return cls.model_validate({known[name]: value for name, value in given.items()})

    @property
    def tables_dir(self) -> Path:
        """Where the reference tables lie."""
        return self.reference_dir or self.models_dir


def _file() -> dict[str, str | None]:
    path = Path(".env")
    if not path.exists():
        return {}
    from dotenv import dotenv_values

    return dotenv_values(path)
