"""Everything that is measured of one contender in one round."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

from . import rate, wrk
from .artifacts import rows
from .contenders import RATES, Contender, Reply, Workload
from .servers import Server, ServerError, running

Record = dict[str, Any]
Told = Callable[[str], None]

TOLERANCE: Final = 2e-6
"""The largest difference of a probability from the original's."""
_PROBES_PER_SECOND: Final = 50
_CLIENTS: Final = 16


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    seconds: float = 4.0
    concurrency: tuple[int, ...] = (1, 16, 64)


def measure(contender: Contender, workload: Workload, plan: Plan, tell: Told) -> Record:
    """Start a contender, compare its answers, load it, weigh it, end it.

    Raises ServerError or LoadError where that is impossible.
    """
    asked, expected = rows(workload)
    tell("starting")
    with running(contender, workload, asked[0]) as server:
        record: Record = {
            "start_seconds": server.start_seconds,
            "idle_bytes": server.memory_bytes(),
        }
        if not contender.is_floor:
            tell("comparing answers")
            record |= compare(server, asked, expected)
        bodies = [contender.body(row) for row in asked]
        file = wrk.write_bodies(server.log.parent, bodies)
        wrk.load(server.port, server.path, file, _CLIENTS, min(1.0, plan.seconds))  # warm-up
        loads: dict[str, Any] = {}
        for connections in plan.concurrency:
            tell(f"{connections} clients")
            found = wrk.load(server.port, server.path, file, connections, plan.seconds)
            loads[str(connections)] = found.as_dict()
        record["loads"] = loads
        tell("fixed rate")
        record["paced"] = _paced(server, bodies, plan.seconds)
        if workload == "forest" and contender.health is not None:
            tell("liveness")
            record["liveness"] = _liveness(server, file, contender.health, plan)
        record["loaded_bytes"] = server.memory_bytes()
    return record


def compare(
    server: Server, asked: Sequence[Record], expected: Sequence[Record]
) -> dict[str, float | int]:
    """Ask for all rows, 16 at a time, and compare with the original's unbatched answers.

    Raises ServerError if a label differs, or a probability by more than `TOLERANCE`.
    """
    local = threading.local()

    def ask(row: Record) -> Reply | None:
        if not hasattr(local, "connection"):
            local.connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
        return server.ask(row, local.connection)

    with ThreadPoolExecutor(_CLIENTS) as pool:
        found = list(pool.map(ask, asked))
    return {"rows_compared": len(found), "largest_difference": difference(found, expected)}


def difference(found: Sequence[Reply | None], expected: Sequence[Record]) -> float:
    """The largest difference of a probability. Raises ServerError for an answer that is wrong."""
    largest = 0.0
    for number, (reply, right) in enumerate(zip(found, expected, strict=True)):
        if reply is None:
            raise ServerError(f"row {number} was not answered")
        largest = max(largest, abs(reply.probability - right["probability"]))
        if reply.label is not None and reply.label != right.get("label"):
            raise ServerError(f"another label than the original for row {number}")
        if largest > TOLERANCE:
            raise ServerError(f"row {number} differs from the original by {largest:.2g}")
    return largest


def _paced(server: Server, bodies: Sequence[object], seconds: float) -> Record:
    requests = [
        rate.request("POST", server.path, json.dumps(body, separators=(",", ":")).encode())
        for body in bodies
    ]
    per_second = RATES[server.workload]
    found = asyncio.run(rate.paced(server.port, requests, per_second, seconds))
    return {"per_second": per_second, **found.as_dict()}


def _liveness(server: Server, bodies: Path, path: str, plan: Plan) -> Record:
    """The liveness route, asked at a fixed rate while the model is saturated."""
    with ThreadPoolExecutor(1) as pool:
        most = max(plan.concurrency)
        load = pool.submit(wrk.load, server.port, server.path, bodies, most, plan.seconds + 1)
        requests = [rate.request("GET", path)]
        found = asyncio.run(rate.paced(server.port, requests, _PROBES_PER_SECOND, plan.seconds))
        load.result()
    return found.as_dict()
