"""Artifacts that nobody has locked anew are told of, each once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadonce import lock_directory
from loadonce.server.dev.written import WrittenArtifacts
from loadonce.server.workers.locks import entries


def test_each_artifact_is_told_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("1")
    lock_directory(tmp_path)
    locks = entries([str(tmp_path / "models.lock")])
    written = WrittenArtifacts()

    def told() -> list[str]:
        caplog.clear()
        written.look(locks)
        return caplog.messages

    assert told() == []  # seen for the first time
    os.utime(tmp_path / "a.json", ns=(1, 1))
    assert told() == [
        f"development: a.json was written anew; run `loadonce lock {tmp_path}` to serve it"
    ]
    os.utime(tmp_path / "a.json", ns=(2, 2))
    assert told() == []
    (tmp_path / "b.json").unlink()
    assert told() == []  # it may come back
    written.forget()
    assert told() == []
    os.utime(tmp_path / "a.json", ns=(3, 3))
    assert len(told()) == 1
