"""The model call without a server, timed in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any, Final

from .artifacts import rows
from .contenders import Workload
from .places import MODELS, ROOT, executable
from .servers import ServerError

NAME: Final = "bare-model"
WORKLOADS: Final[tuple[Workload, ...]] = ("pipeline", "forest", "cnn")
ENVIRONMENT: Final = "fastapi"


def measure(workload: Workload, seconds: float) -> dict[str, Any]:
    """Microseconds a row, by library and batch size. Raises ServerError."""
    environ = os.environ | {
        "PYTHONPATH": str(ROOT),
        "BENCH_ARTIFACTS": str(MODELS),
        "BENCH_WORKLOAD": workload,
    }
    program = [str(executable(ENVIRONMENT, "python")), "-m", "benchmarks.apps.bare"]
    asked, _ = rows(workload)
    done = subprocess.run(
        [*program, str(min(seconds, 1.0))],
        input=json.dumps(asked),
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ServerError(done.stderr.strip()[-400:])
    return {"microseconds": json.loads(done.stdout)}
