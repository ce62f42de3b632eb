"""A whole run: round by round, whatever is not measured yet."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from . import artifacts, bare, environments, measuring, wrk
from .contenders import BY_NAME, CONTENDERS, WORKLOADS
from .environments import NotInstallableError
from .measuring import Plan
from .servers import ServerError
from .state import Record, State, Task, tasks

Told = Callable[[str], None]
_CONVERTED: Final = ("loadonce-converted", "loadonce-direct")


def chosen(only: Sequence[str]) -> list[tuple[str, str]]:
    """Workload and contender of all that `only` names; everything if it names nothing.

    A name is a contender's, a workload's, or "workload/contender". Contenders and workloads given
    together limit each other. Raises ValueError for a name that is neither.
    """
    known = [(one, bare.NAME) for one in bare.WORKLOADS]
    known += [(workload, one.name) for one in CONTENDERS for workload in one.workloads]
    known.sort(key=lambda pair: WORKLOADS.index(pair[0]))  # stable: contenders keep their order
    names = {name for _, name in known}
    unknown = [
        one
        for one in only
        if one not in names and one not in WORKLOADS and tuple(one.split("/")) not in known
    ]
    if unknown:
        raise ValueError(f"unknown: {', '.join(unknown)}. There are {', '.join(sorted(names))}")
    return [pair for pair in known if _is_asked(pair, only)]


def _is_asked(pair: tuple[str, str], only: Sequence[str]) -> bool:
    workload, name = pair
    workloads = [one for one in only if one in WORKLOADS]
    contenders = [one for one in only if one not in WORKLOADS and "/" not in one]
    if "/".join(pair) in only or not only:
        return True
    if not workloads and not contenders:
        return False
    return (not workloads or workload in workloads) and (not contenders or name in contenders)


def machine() -> Record:
    """Where and when this is measured."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names and names[0] != "unknown" else platform.machine()


def prepare(state: State, pairs: Sequence[tuple[str, str]], tell: Told) -> None:
    """Artifacts and environments; who cannot be installed is skipped."""
    tell("artifacts")
    artifacts.make()
    needed = {_environment(name) for _, name in pairs}
    for environment in sorted(needed):
        tell(f"environment {environment}")
        try:
            environments.prepare(environment)
        except NotInstallableError as error:
            for workload, name in pairs:
                if _environment(name) == environment:
                    state.skip(Task(0, workload, name), f"not installed: {error}")
        else:
            if environment == "repository":
                _convert(state, pairs)


def _convert(state: State, pairs: Sequence[tuple[str, str]]) -> None:
    reason = artifacts.convert()
    for workload, name in pairs:
        if name in _CONVERTED and not artifacts.is_converted(workload):
            state.skip(Task(0, workload, name), f"not converted: {reason}")


def _environment(name: str) -> str:
    return bare.ENVIRONMENT if name == bare.NAME else BY_NAME[name].environment


def run(
    state: State, rounds: int, pairs: Sequence[tuple[str, str]], plan: Plan, tell: Told
) -> Iterator[Task]:
    """Measure what is missing; yields each task when there is nothing left of it."""
    for task in tasks(rounds, pairs):
        if not state.is_done(task):
            _measure(state, task, plan, _prefixed(task.key, tell))
        yield task


def _prefixed(prefix: str, tell: Told) -> Told:
    return lambda what: tell(f"{prefix}: {what}")


def _measure(state: State, task: Task, plan: Plan, tell: Told) -> None:
    workload = next(one for one in WORKLOADS if one == task.workload)
    try:
        if task.contender == bare.NAME:
            tell("calling")
            record = bare.measure(workload, plan.seconds)
        else:
            record = measuring.measure(BY_NAME[task.contender], workload, plan, tell)
    except (ServerError, wrk.LoadError, OSError) as error:
        state.skip(task, str(error))
    else:
        state.add(task, record)
