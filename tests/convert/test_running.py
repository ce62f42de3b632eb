"""A conversion's process can do no harm, and whatever becomes of it is a reason."""

from __future__ import annotations

import json
import os
import pickle
import platform
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from loadonce.artifacts import LockFile
from loadonce.convert import sandbox
from loadonce.convert.running import ChildFailedError, run
from loadonce.loaders import lock_file

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def workplace(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary directories are made."""
    place = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.fixture(autouse=True)
def nothing_left_behind(workplace: Path) -> Iterator[None]:
    """Whatever happened."""
    yield
    assert list(workplace.iterdir()) == []


def attempt(
    builder: str,
    tmp_path: Path,
    *names: str,
    methods: tuple[str, ...] | None = sandbox.METHODS,
    timeout: float = 50,
    memory_bytes: int = 2**30,
    model: object = None,
    module: str = "hostile",
) -> dict[str, Any]:
    """Run a conversion in which `builder` does something."""
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(model))
    entry = lock_file(tmp_path, "m.pkl")
    request = {
        "entry": asdict(entry),
        "memory_bytes": memory_bytes,
        "timeout": timeout,
        "builder": f"{module}:{builder}",
        "feature_names": names,
        "text": [],
        "app_dir": str(tmp_path / "app"),
    }
    data = (tmp_path / "m.pkl").read_bytes()
    return dict(run(request, data, timeout=timeout, methods=methods).fields)


@pytest.fixture
def listener() -> Iterator[tuple[socket.socket, str]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server, str(server.getsockname()[1])


@pytest.mark.parametrize(
    ("methods", "reason"),
    [
        (None, "reached"),  # the control: without isolation the network is there
        ((sandbox.NAMESPACE,), "not reached: [Errno 101] Network is unreachable"),
        ((sandbox.FILTER,), "not reached: [Errno 1] Operation not permitted"),
        (sandbox.METHODS, "not reached: [Errno 1] Operation not permitted"),
    ],
)
def test_the_network_is_out_of_reach(
    tmp_path: Path, listener: tuple[socket.socket, str], methods: Any, reason: str
) -> None:
    _server, port = listener
    said = attempt("call", tmp_path, port, methods=methods)
    assert said == {"isolation": list(methods or ()), "reason": reason}


def test_modules_of_the_app_are_found_and_take_nobodys_place(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "of_the_app.py").write_text("NAME = 'found'")
    (tmp_path / "app" / "joblib.py").write_text("raise RuntimeError")
    assert attempt("borrow", tmp_path)["reason"] == "found"


def test_without_any_isolation_nothing_is_opened(tmp_path: Path) -> None:
    said = attempt("call", tmp_path, "1", methods=())
    assert "keeps its process from the network" in said["reason"]


def test_no_program_and_no_copy_is_started(tmp_path: Path) -> None:
    assert attempt("start", tmp_path)["reason"] == "refused, refused, a thread ran"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="knows the numbers of x86-64 only")
def test_nobody_else_is_signalled(tmp_path: Path) -> None:
    allowed, refused = (attempt("send", tmp_path, methods=(each,)) for each in sandbox.METHODS)
    assert "tgkill: done" in allowed["reason"]  # the control
    ways = ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")
    assert refused["reason"] == "".join(f"{way}: EPERM, " for way in ways) + "own: done"


def test_it_works_in_an_empty_directory_of_its_own_and_is_told_nothing(
    tmp_path: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "x")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    reason = attempt("look", tmp_path)["reason"]
    assert reason.startswith(f"[] [] True {workplace}/loadonce-")


@pytest.mark.parametrize(
    ("builder", "reason"),
    [
        ("die", "its process ended with code 3 and without an answer: ?[31mlast words"),
        ("abort", "its process was ended by SIGABRT"),
        ("babble", "its process ended with code 0 and without an answer"),
    ],
)
def test_a_process_that_ends_without_an_answer_is_a_reason(
    tmp_path: Path, builder: str, reason: str
) -> None:
    with pytest.raises(ChildFailedError) as caught:
        attempt(builder, tmp_path)
    assert str(caught.value).startswith(reason)


def test_a_process_that_hangs_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(ChildFailedError, match="not done within 2 s; it was stopped"):
        attempt("hang", tmp_path, timeout=2)


def test_a_process_that_wants_too_much_memory_is_told_of(tmp_path: Path) -> None:
    told = "its process ran out of memory: give more than 1.0 GiB (--memory-limit)"
    assert attempt("eat", tmp_path)["reason"] == told


@pytest.mark.parametrize(
    "line",
    ["[]", '{"answer": 5, "bytes": 0}', '{"answer": {}}', '{"answer": {}, "bytes": 5}', "7"],
)
def test_an_answer_that_is_none_is_a_reason(tmp_path: Path, line: str) -> None:
    with pytest.raises(ChildFailedError, match="without an answer"):
        attempt("lie", tmp_path, line)


def test_an_answer_may_come_from_anyone_in_there(tmp_path: Path) -> None:
    """The control: so the parent believes none of it."""
    assert attempt("lie", tmp_path, json.dumps({"answer": {"a": 1}, "bytes": 0})) == {"a": 1}


def test_a_file_that_wants_too_much_memory_when_it_is_loaded_is_told_of(tmp_path: Path) -> None:
    class Big:
        def __reduce__(self) -> Any:
            return bytearray, (2**31,)

    assert attempt("look", tmp_path, model=Big())["reason"].startswith("its process ran out")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "",
            "its builder 'mine:build' cannot be imported (module 'mine' has no attribute 'build')",
        ),
        ("raise ImportError('failed to map segment from shared object')", "its process ran out of"),
    ],
)
def test_a_builder_that_cannot_be_had_is_told_of(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "mine.py").write_text(text)
    assert attempt("build", tmp_path, module="mine")["reason"].startswith(told)


def test_a_pickle_that_asks_for_what_is_not_locked_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(os.getcwd))
    with pytest.raises(Exception, match="imports what is not known to be harmless"):
        lock_file(tmp_path, "m.pkl")
    data = (tmp_path / "m.pkl").read_bytes()
    request = {
        "entry": {"path": "m.pkl", "size": len(data), "sha256": "0" * 64, "format": "joblib"},
        "memory_bytes": 2**30,
        "timeout": 50,
    }
    said = run(request, data, timeout=50).fields
    assert "asks for something its lock entry does not list" in said["reason"]
    assert LockFile().entries == {}


def test_a_machine_whose_calls_are_not_known_has_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert sandbox.isolate([sandbox.FILTER]) == ()


def test_a_system_without_these_calls_has_no_isolation(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_library(name: object) -> object:
        raise OSError

    monkeypatch.setattr("ctypes.CDLL", no_library)
    assert sandbox.isolate(sandbox.METHODS) == ()
