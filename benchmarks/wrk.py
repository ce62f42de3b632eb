"""Load from `wrk`: as many requests as N connections get answered."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

_MARK: Final = "BENCH "
_GRACE: Final = 30.0

SCRIPT: Final = """
local requests, turn = {}, 0
function init(args)
  local headers = {["Content-Type"] = "application/json"}
  for line in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("POST", args[2], headers, line)
  end
end
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    'BENCH {"requests":%d,"microseconds":%d,"p50":%d,"p95":%d,"p99":%d,"longest":%d,' ..
    '"statuses":%d,"timeouts":%d,"broken":%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(95),
    latency:percentile(99), latency.max, e.status, e.timeout, e.connect + e.read + e.write))
end
"""


class LoadError(Exception):
    """wrk is missing, or did not end as it should."""


@dataclass(frozen=True, slots=True)
class Load:
    """What N connections got in some seconds; latencies in milliseconds.

    Attributes:
        per_second: requests answered with a status below 400.
        failed: other statuses, time-outs and broken connections.
    """

    per_second: float
    p50: float
    p95: float
    p99: float
    longest: float
    failed: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def check_installed() -> None:
    """Raise LoadError, with what to do, where there is no wrk."""
    if shutil.which("wrk") is None:
        raise LoadError("wrk is not installed: it is Debian's and Ubuntu's package `wrk`")


def parse(output: str) -> Load:
    """Read what SCRIPT printed. Raises LoadError if that is not there."""
    lines = [line for line in output.splitlines() if line.startswith(_MARK)]
    if len(lines) != 1:
        raise LoadError(f"wrk reported nothing: {output[-500:]}")
    found = json.loads(lines[0].removeprefix(_MARK))
    answered = found["requests"] - found["statuses"]
    return Load(
        per_second=answered / (found["microseconds"] / 1e6) if found["microseconds"] else 0.0,
        p50=found["p50"] / 1e3,
        p95=found["p95"] / 1e3,
        p99=found["p99"] / 1e3,
        longest=found["longest"] / 1e3,
        failed=found["statuses"] + found["timeouts"] + found["broken"],
    )


def write_bodies(directory: Path, bodies: Sequence[object]) -> Path:
    """The file that the script takes turns from: one JSON body in each line."""
    path = directory / "bodies.jsonl"
    path.write_text("".join(f"{json.dumps(body)}\n" for body in bodies))
    (directory / "load.lua").write_text(SCRIPT)
    return path


def command(port: int, path: str, bodies: Path, connections: int, seconds: float) -> list[str]:
    """wrk's arguments: one thread, which is enough for loopback and leaves a core to the server."""
    program = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
    script = ["-s", str(bodies.parent / "load.lua"), f"http://127.0.0.1:{port}"]
    return [*program, *script, "--", str(bodies), path]


def load(port: int, path: str, bodies: Path, connections: int, seconds: float) -> Load:
    """Run wrk and wait for it. Raises LoadError."""
    arguments = command(port, path, bodies, connections, seconds)
    try:
        done = subprocess.run(
            arguments, capture_output=True, text=True, timeout=seconds + _GRACE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LoadError("wrk did not end") from error
    if done.returncode != 0:
        raise LoadError(f"wrk failed: {(done.stderr or done.stdout)[-500:]}")
    return parse(done.stdout)
