"""`loadonce dev` keeps models loaded while code changes, and serves no other bytes or code."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from loadonce import lock_directory

from .test_development import rewrite
from .test_workers import children_of, until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(90),
    pytest.mark.skipif(sys.platform != "linux", reason="models are kept on Linux only"),
]

Launch = Callable[..., Any]

APP = """
import os, sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from fastapi import Depends, FastAPI
from loadonce import Handle, Model, Registry, Source, artifact, resource

def audit(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(args[0], str) and args[0].endswith((".npy", ".bin", ".pkl")):
        os.write(2, f"opened {Path(args[0]).name}\\n".encode())

sys.addaudithook(audit)

def opened() -> Iterator[int]:
    yield 1

def text(source: Source) -> str:
    return bytes(source.data).decode() + "1"

class Models(Registry):
    kept: Model[Any] = artifact("kept.npy", close=lambda value: print("closed", flush=True))
    own: Model[str] = artifact("own.bin", loader=text)
    odd: Model[Any] = artifact("own.odd", required=False)
    pool: Model[int] = resource(opened)

models = Models(root=Path(__file__).parent / "models")
app = FastAPI(lifespan=models.lifespan)

@app.get("/")
async def both(
    kept: Annotated[Handle[Any], Depends(models.kept)],
    own: Annotated[Handle[str], Depends(models.own)],
) -> list[Any]:
    return ["a", float(kept.value.sum()), own.value, os.getpid()]
"""


class Dev:
    """A development server of an app whose files a test changes."""

    def __init__(self, directory: Path, launch: Launch) -> None:
        self.directory = directory
        self.models = directory / "models"
        self.models.mkdir(exist_ok=True)
        self._launch = launch

    def start(self, code: str = APP, *arguments: str) -> Any:
        (self.directory / "main.py").write_text(code)
        self.process = self._launch("loadonce", "dev", "main:app", "--port", "0", *arguments)
        self.url = self.process.url
        self.process.await_watcher()
        return self.process

    def array(self, value: float) -> None:
        np.save(self.models / "kept.npy", np.full(10, value))

    def change(self, old: str, new: str, file: str = "main.py") -> None:
        path = self.directory / file
        text = path.read_text()
        assert old in text
        rewrite(path, text.replace(old, new))

    def ask(self) -> list[Any]:
        """What is answered; nothing where nobody serves yet."""
        answer = httpx2.get(self.url, timeout=30)
        return list(answer.json()) if answer.status_code == 200 else []

    def eventually(self, *expected: object) -> list[Any]:
        """Ask until this is answered."""
        deadline = time.monotonic() + 30
        while (answer := self.ask())[: len(expected)] != list(expected):
            assert time.monotonic() < deadline, (answer, self.process.output)
            time.sleep(0.05)
        return answer

    def opened(self, name: str) -> int:
        """How often a process of the app has opened it; the one that keeps it has no such hook."""
        return int(self.process.output.count(f"opened {name}"))


@pytest.fixture
def dev(tmp_path: Path, launch: Launch) -> Dev:
    made = Dev(tmp_path, launch)
    made.array(1.0)
    (made.models / "own.bin").write_text("text")
    lock_directory(made.models)
    return made


def test_code_changes_and_the_model_stays(dev: Dev) -> None:
    process = dev.start()
    first = dev.eventually("a", 10.0, "text1")
    assert '"kept loaded while code changes", "models": "kept"' in process.output
    assert '"models": "own", "reason": "a loader of the app\'s own"' in process.output
    assert dev.opened("kept.npy") == 0
    dev.change('["a"', '["b"')
    second = dev.eventually("b", 10.0, "text1")
    assert second[3] != first[3]
    assert dev.opened("kept.npy") == 0
    assert dev.opened("own.bin") == 2  # which each loads: the control
    assert process.output.count("kept loaded while code changes") == 1
    assert process.output.count("closed") == 1  # as declared, in the process that ends
    assert process.stop(signal.SIGINT) == 0
    assert process.output.count("closed") == 2


def test_the_code_of_a_loader_of_ones_own_is_never_stale(dev: Dev) -> None:
    dev.start()
    dev.eventually("a", 10.0, "text1")
    dev.change('+ "1"', '+ "2"')
    dev.eventually("a", 10.0, "text2")


@pytest.mark.parametrize("change", ["digest", "loader", "options", "name"])
def test_what_is_declared_or_locked_otherwise_is_loaded_anew(dev: Dev, change: str) -> None:
    dev.start()
    dev.eventually("a", 10.0)
    if change == "digest":
        dev.array(2.0)
        lock_directory(dev.models)
        dev.change('["a"', '["b"')
        dev.eventually("b", 20.0)
    elif change == "loader":
        loader = 'loader=lambda source: __import__("numpy").full(10, 3.0)'
        dev.change('"kept.npy"', f'"kept.npy", {loader}')
        dev.eventually("a", 30.0)
    elif change == "options":
        dev.change('"kept.npy"', '"kept.npy", options={"x": print}')
        dev.process.wait_for("options that are no plain values")
    else:
        dev.change('kept: Model[Any] = artifact("kept', 'other: Model[Any] = artifact("kept')
        dev.change("Depends(models.kept)", "Depends(models.other)")
        dev.eventually("a", 10.0)
        assert dev.opened("kept.npy") == 0  # the same bytes by the same loader


def test_bytes_that_differ_from_the_lock_are_refused_as_ever(dev: Dev) -> None:
    dev.start()
    dev.eventually("a", 10.0)
    dev.array(2.0)
    dev.change('["a"', '["b"')
    dev.process.wait_for("model 'kept' \\(kept.npy\\): differs from models.lock")
    dev.array(1.0)
    dev.change('["b"', '["c"')
    dev.eventually("c", 10.0)


OWN = """
class Scaler:
    def sum(self) -> float:
        return 1.0
"""


def test_a_pickle_that_names_the_apps_own_class_is_loaded_anew(dev: Dev) -> None:
    (dev.directory / "scaling.py").write_text(OWN)
    sys.path.insert(0, str(dev.directory))
    try:
        scaling = __import__("scaling")
        (dev.models / "scaler.pkl").write_bytes(pickle.dumps(scaling.Scaler()))
        lock_directory(dev.models, allow=["scaling.Scaler"])
    finally:
        sys.path.remove(str(dev.directory))
        del sys.modules["scaling"]
    dev.start(APP.replace("kept.npy", "scaler.pkl"))
    dev.eventually("a", 1.0)
    assert "it names scaling.Scaler, which is the app's own" in dev.process.output
    dev.change("1.0", "2.0", "scaling.py")
    dev.eventually("a", 2.0)


def test_without_the_process_that_keeps_them_models_are_loaded_again(dev: Dev) -> None:
    process = dev.start()
    dev.eventually("a", 10.0)
    [holder] = children_of(process.popen.pid)
    os.kill(holder, signal.SIGKILL)
    dev.change('["a"', '["b"')
    dev.eventually("b", 10.0)
    assert process.output.count("kept loaded while code changes") == 2
    assert process.stop() == 0


@pytest.mark.parametrize("wanted", ["stop", "another"])
def test_a_holder_that_hangs_holds_up_neither_a_change_nor_the_exit(dev: Dev, wanted: str) -> None:
    process = dev.start()
    dev.eventually("a", 10.0)
    [holder] = children_of(process.popen.pid)
    os.kill(holder, signal.SIGSTOP)
    if wanted == "another":
        dev.change('["a"', '["b"')
        until(lambda: holder not in children_of(process.popen.pid))
        dev.eventually("b", 10.0)
    assert process.stop(signal.SIGINT, seconds=20) == 0
