"""One conversion in a process of its own: what the parent does. No pickle passes between the two.

The child is given a request on its standard input: one line of JSON, then the file's bytes. It
writes lines of JSON: how far it is, and at the end one with "answer" and the number of bytes that
follow. Whatever it does otherwise is a refusal.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, cast

from .sandbox import METHODS, clean_environment

OnStage = Callable[[str], None]

_MAX_LINE_BYTES = 2**20
_MAX_MODEL_BYTES = 2**31
_LAST_WORDS_BYTES = 300


class ChildFailedError(Exception):
    """The process did not come to an answer; the message says how it ended."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the process found: fields, and the converted model's bytes (empty if refused)."""

    fields: Mapping[str, Any]
    model: bytes = b""


def run(
    request: Mapping[str, object],
    data: memoryview | bytes,
    *,
    timeout: float,
    on_stage: OnStage = lambda stage: None,
    methods: Sequence[str] | None = METHODS,
) -> Answer:
    """Convert in a process without network, within `timeout` seconds.

    Args:
        request: for `worker`.
        data: the file's bytes.
        timeout: in seconds; the process and all it started are killed then.
        on_stage: called with what the process is at.
        methods: ways of isolation to take; None for none at all, which only tests want.

    Raises:
        ChildFailedError: it was killed, died, or said something that makes no sense.
    """
    with (
        tempfile.TemporaryDirectory(prefix="loadonce-") as home,
        _input({**request, "methods": methods, "bytes": len(data)}, data) as given,
        tempfile.TemporaryFile() as words,
    ):
        child = subprocess.Popen(
            [sys.executable, "-c", "from loadonce.convert.worker import main; main()"],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=words,
            cwd=home,
            env=clean_environment(home, sys.path),
            start_new_session=True,
        )
        is_late = threading.Event()
        timer = threading.Timer(timeout, _kill, (child, is_late))
        timer.start()
        output = cast("IO[bytes]", child.stdout)
        try:
            answer = _listen(output, on_stage)
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # its number stays taken
        finally:
            timer.cancel()
            _kill(child)
            status = child.wait()
            output.close()
        if is_late.is_set():
            raise ChildFailedError(f"not done within {timeout:g} s; it was stopped")
        if answer is None:
            raise ChildFailedError(f"{_how_it_ended(status)}{_last_words(words)}")
        return answer


def _input(request: Mapping[str, object], data: memoryview | bytes) -> IO[bytes]:
    """A file, not a pipe: a child that does not read cannot hold up its parent."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    file.write(json.dumps(request).encode() + b"\n")
    file.write(data)
    file.seek(0)
    return file


def _listen(output: IO[bytes], on_stage: OnStage) -> Answer | None:
    """Read until the answer, or to the end."""
    while line := output.readline(_MAX_LINE_BYTES):
        try:
            message = json.loads(line)
            if "answer" not in message:
                on_stage(str(message["stage"]))
                continue
            size = int(message["bytes"])
            fields = dict(message["answer"])
        except (ValueError, TypeError, KeyError):
            return None
        model = output.read(size) if 0 <= size <= _MAX_MODEL_BYTES else b""
        return Answer(fields, model) if len(model) == size else None
    return None


def _kill(child: subprocess.Popen[bytes], is_late: threading.Event | None = None) -> None:
    """The child and everything of its session."""
    if is_late is not None:
        is_late.set()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def _how_it_ended(status: int) -> str:
    if status < 0:
        name = signal.Signals(-status).name
        limits = {"SIGXCPU": " (it took too long)", "SIGXFSZ": " (it wrote too much)"}
        return f"its process was ended by {name}{limits.get(name, '')}"
    return f"its process ended with code {status} and without an answer"


def _last_words(words: IO[bytes]) -> str:
    """The last line it wrote, made harmless for a terminal."""
    words.seek(max(0, words.seek(0, os.SEEK_END) - _LAST_WORDS_BYTES))
    lines = words.read().decode(errors="replace").strip().splitlines()
    said = "".join(each if each.isprintable() else "?" for each in lines[-1]) if lines else ""
    return f": {said}" if said else ""
