"""Each contender's own environment: made by pip from its pinned requirements, and reused."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import Final

from .places import REQUIREMENTS, ROOT, environments

_TIMEOUT: Final = 1800.0


class NotInstallableError(Exception):
    """An environment could not be made; the message is pip's last words."""


def prepare(name: str) -> None:
    """Make the environment of a contender unless it is there as required.

    Raises NotInstallableError.
    """
    if name == "repository":
        return _check_repository()
    requirements = REQUIREMENTS / f"{name}.txt"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    directory = environments() / name
    stamp = directory / ".installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    if not (directory / "bin" / "pip").exists():
        _run([sys.executable, "-m", "venv", "--clear", str(directory)])
    python = str(directory / "bin" / "python")
    _run([python, "-m", "pip", "install", "--quiet", "-r", str(requirements)])
    stamp.write_text(wanted)


def _check_repository() -> None:
    python = ROOT / ".venv" / "bin" / "python"
    if not python.exists():
        raise NotInstallableError("this clone has no environment: run scripts/install test")


def _run(command: list[str]) -> None:
    # Without compiled bytecode every start would be measured several times too slow.
    environ = {key: text for key, text in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT, check=False, env=environ
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstallableError(str(error)) from error
    if done.returncode != 0:
        raise NotInstallableError((done.stderr or done.stdout).strip().splitlines()[-1])
