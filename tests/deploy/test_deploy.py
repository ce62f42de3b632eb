"""What is offered for deployment names flags that exist, and grants the time that a stop takes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main

from loadonce.cli.app import command_line
from loadonce.http.probes import LIVE, READY, STARTED

DEPLOY = Path(__file__).parents[2] / "deploy"


def _flags() -> set[str]:
    command: Any = typer.main.get_command(command_line())
    return {name for one in command.commands["serve"].params for name in one.opts}


def _commands() -> dict[str, str]:
    unit = (DEPLOY / "loadonce.service").read_text()
    docker = (DEPLOY / "Dockerfile").read_text()
    pod = (DEPLOY / "kubernetes.yaml").read_text()
    return {
        "systemd": re.findall(r"ExecStart=\S+ (.*)", unit)[0],
        "docker": " ".join(json.loads(re.findall(r"^CMD (\[.*\])$", docker, re.M)[0])),
        "kubernetes": " ".join(json.loads(re.findall(r"args: (\[.*\])", pod)[0])),
    }


@pytest.mark.parametrize("place", ["systemd", "docker", "kubernetes"])
def test_the_command_exists(place: str) -> None:
    words = _commands()[place].split()
    assert words[0] == "serve"
    assert {word for word in words if word.startswith("--")} <= _flags()


def test_the_guide_shows_the_same_container_file() -> None:
    guide = (DEPLOY.parent / "docs" / "how-to" / "run.md").read_text()
    shown = re.findall(r"```dockerfile\n(.*?)```", guide, re.S)[0].splitlines()
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line in shown] == shown


def test_a_stop_has_the_time_it_may_take() -> None:
    [stop] = re.findall(r"TimeoutStopSec=(\d+)", (DEPLOY / "loadonce.service").read_text())
    assert int(stop) >= 1 + 20 + 2
    pod = (DEPLOY / "kubernetes.yaml").read_text()
    [grace] = re.findall(r"terminationGracePeriodSeconds: (\d+)", pod)
    assert int(grace) >= 5 + 20 + 2


def test_the_probes_exist() -> None:
    pod = (DEPLOY / "kubernetes.yaml").read_text()
    assert re.findall(r"path: (/\w+),", pod) == [STARTED, READY, LIVE]
    assert READY in (DEPLOY / "Dockerfile").read_text()


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    unit = (DEPLOY / "loadonce.service").read_text()
    copy = tmp_path / "loadonce.service"
    copy.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", unit))
    done = subprocess.run([analyze, "verify", str(copy)], capture_output=True, text=True)
    assert "loadonce.service" not in done.stderr, done.stderr
    copy.write_text(copy.read_text() + "\n[Service]\nKillMode=gently\n")  # the control
    done = subprocess.run([analyze, "verify", str(copy)], capture_output=True, text=True)
    assert "gently" in done.stderr
