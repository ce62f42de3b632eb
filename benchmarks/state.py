"""What a run has measured so far, in a file, so that it can be interrupted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Record = dict[str, Any]


class OtherRunError(Exception):
    """The file holds a run with other options: results of both must not be mixed."""


@dataclass(frozen=True, slots=True, order=True)
class Task:
    """One contender with one model in one round."""

    round: int
    workload: str
    contender: str

    @property
    def key(self) -> str:
        return f"{self.round}/{self.workload}/{self.contender}"


def tasks(rounds: int, pairs: Iterable[tuple[str, str]]) -> Iterator[Task]:
    """Round by round, each starting with another contender: whatever drifts meets all alike."""
    ordered = list(pairs)
    for number in range(1, rounds + 1):
        at = (number - 1) * 5 % len(ordered) if ordered else 0
        yield from (Task(number, *pair) for pair in ordered[at:] + ordered[:at])


@dataclass(slots=True)
class State:
    """The records of a run, by task, and why contenders were skipped, by "workload/contender".

    Attributes:
        options: what was asked for; a run goes on only with the same.
        machine: where it was measured.
    """

    path: Path
    options: Record
    machine: Record = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path, options: Record, *, is_fresh: bool = False) -> State:
        """The state of the run in `path`, or a new one.

        Reasons to skip are forgotten: they may be gone. Raises OtherRunError.
        """
        if is_fresh or not path.exists():
            return cls(path, options)
        found = json.loads(path.read_text())
        if found["options"] != options:
            raise OtherRunError(
                f"{path} holds a run with other options; choose another --name, or --fresh"
            )
        return cls(path, options, found["machine"], found["records"])

    def is_done(self, task: Task) -> bool:
        """Whether there is nothing left to do: measured, or skipped in an earlier round."""
        return task.key in self.records or f"{task.workload}/{task.contender}" in self.skipped

    def add(self, task: Task, record: Record) -> None:
        self.records[task.key] = record
        self.save()

    def skip(self, task: Task, reason: str) -> None:
        self.skipped[f"{task.workload}/{task.contender}"] = reason
        self.save()

    def save(self) -> None:
        """Write the file whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = {
            "options": self.options,
            "machine": self.machine,
            "skipped": self.skipped,
            "records": self.records,
        }
        beside = self.path.with_suffix(".new")
        beside.write_text(json.dumps(text, indent=1))
        os.replace(beside, self.path)

    def rounds_of(self, workload: str, contender: str) -> dict[int, Record]:
        """The records of one contender with one model, by round."""
        found = {}
        for key, record in self.records.items():
            number, its_workload, its_contender = key.split("/")
            if (its_workload, its_contender) == (workload, contender):
                found[int(number)] = record
        return found

    def pairs(self) -> list[tuple[str, str]]:
        """Workload and contender of everything measured, in the order of measuring."""
        found = (key.split("/") for key in self.records)
        return list(dict.fromkeys((workload, contender) for _, workload, contender in found))
