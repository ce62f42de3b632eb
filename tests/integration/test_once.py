"""Loaded once: every artifact file is opened exactly once, whatever is asked later."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

APP = """
import os
import sys

def audit(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(args[0], str) and args[0].endswith(".bin"):
        os.write(2, f"opened {args[0]}\\n".encode())

sys.addaudithook(audit)

class Models(Registry):
    a: Model[str] = artifact("a.bin", loader=text)
    b: Model[str] = artifact("b.bin", loader=text, when="first_use")
    c: Model[dict[str, str]] = artifact({"x": "c.bin", "y": "d.bin"}, loader=lambda source: {
        name: text(part) for name, part in source.files.items()
    })

models = Models(root=HERE / "models")
app = FastAPI(lifespan=models.lifespan)

@app.get("/a")
async def a(model: Annotated[Handle[str], Depends(models.a)]) -> str:
    return await model.run(lambda value: value)

@app.get("/b")
def b(value: Annotated[str, Depends(models.b.raw)]) -> str:
    return value

@app.get("/c")
async def c(model: Annotated[Handle[dict[str, str]], Depends(models.c)]) -> str:
    return model.value["x"] + model.value["y"]
"""


@pytest.mark.parametrize("tracer", ["audit", "strace"])
def test_a_thousand_requests_open_each_artifact_once(
    write: Callable[..., Path], launch: Callable[..., Any], tracer: str
) -> None:
    write(APP, a=b"a", b=b"b", c=b"c", d=b"d")
    command = ["loadonce", "serve", "main:app", "--port", "0", "--drain-delay", "0"]
    if tracer == "strace":
        strace = shutil.which("strace")
        if strace is None:
            pytest.skip("strace is not installed")
        script = str(Path(sys.executable).parent / command[0])
        # -D: the tracer is the server's grandchild, so that signals reach the server itself.
        command = [strace, "-D", "-f", "-qq", "-e", "trace=openat", script, *command[1:]]
    process = launch(*command)
    url = process.url
    with httpx2.Client() as client, ThreadPoolExecutor(8) as pool:
        paths = [f"{url}/{'abc'[number % 3]}" for number in range(1000)]
        answers = list(pool.map(lambda path: client.get(path, timeout=30).text, paths))
    assert Counter(answers) == {'"a"': 334, '"b"': 333, '"cd"': 333}
    lines = process.output.splitlines()
    opened = Counter(name for name in "abcd" for line in lines if _opens(line, name, tracer))
    assert opened == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert process.stop() == 0


def _opens(line: str, name: str, tracer: str) -> bool:
    if tracer == "audit":
        return line.startswith("opened ") and line.endswith(f"{name}.bin")
    return "openat(" in line and f'{name}.bin"' in line and "ENOENT" not in line
