"""What a hostile file could do in its process, as builders: named by it, told of by the reason."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Collection, Sequence

from loadonce.convert.model import Graph, Unconvertible


def none(estimator: object, names: Sequence[str] | None, text: Collection[str] = ()) -> Graph:
    raise Unconvertible("step 'tree' (DecisionTree): not today")


def broken(estimator: object, names: Sequence[str] | None, text: Collection[str] = ()) -> Graph:
    raise KeyError("tree_")


def call(estimator: object, names: Sequence[str], text: Collection[str] = ()) -> Graph:
    """Connect to the port that the first name tells."""
    import socket

    try:
        socket.create_connection(("127.0.0.1", int(names[0])), timeout=5).close()
    except OSError as exc:
        raise Unconvertible(f"not reached: {exc}") from exc
    raise Unconvertible("reached")


def start(estimator: object, names: Sequence[str] | None, text: Collection[str] = ()) -> Graph:
    """Start a program, and a copy of itself."""
    import subprocess
    import threading

    said = []
    for attempt in (lambda: subprocess.run(["true"]), os.fork):
        try:
            attempt()
        except PermissionError:
            said.append("refused")
    thread = threading.Thread(target=said.append, args=("a thread ran",))
    thread.start()
    thread.join()
    raise Unconvertible(", ".join(said))


def send(estimator: object, names: Sequence[str] | None, text: Collection[str] = ()) -> Graph:
    """Signal the parent in each way there is (on x86-64), with no signal, then itself."""
    import ctypes
    import errno

    system = ctypes.CDLL(None, use_errno=True)
    parent, own = os.getppid(), os.getpid()
    about = ctypes.create_string_buffer(128)
    calls = {
        "kill": (62, parent, 0),
        "tkill": (200, parent, 0),
        "tgkill": (234, parent, parent, 0),
        "rt_sigqueueinfo": (129, parent, 0, about),
        "rt_tgsigqueueinfo": (297, parent, parent, 0, about),
        "own": (234, own, own, 0),
    }
    said = []
    for name, (number, *arguments) in calls.items():
        code = ctypes.get_errno() if system.syscall(number, *arguments) else 0
        said.append(f"{name}: {errno.errorcode.get(code, 'done')}")
    raise Unconvertible(", ".join(said))


def borrow(estimator: object, names: Sequence[str] | None, text: Collection[str] = ()) -> Graph:
    """Import a module of the app, and an installed one of which the app has another."""
    import importlib

    importlib.import_module("joblib")
    raise Unconvertible(importlib.import_module("of_the_app").NAME)


def look(estimator: object, names: Sequence[str] | None, text: Collection[str] = ()) -> Graph:
    """Tell of the environment, the directory, and what is in it; leave something behind."""
    secrets = [name for name in os.environ if "SECRET" in name]
    found = os.listdir()
    with open("left", "w") as file:
        file.write("behind")
    print("on standard output")
    raise Unconvertible(f"{secrets} {found} {os.environ['HOME'] == os.getcwd()} {os.getcwd()}")


def die(estimator: object, names: Sequence[str] | None, text: Collection[str] = ()) -> Graph:
    os.write(2, b"\x1b[31mlast words\n")
    os._exit(3)


def abort(estimator: object, names: Sequence[str] | None, text: Collection[str] = ()) -> Graph:
    os.abort()


def hang(estimator: object, names: Sequence[str] | None, text: Collection[str] = ()) -> Graph:
    while True:
        signal.pause()


def eat(estimator: object, names: Sequence[str] | None, text: Collection[str] = ()) -> Graph:
    """Ask for more and more memory."""
    for size in itertools.count(30):
        bytearray(2**size)
    raise AssertionError("unreachable")


def _answer(line: bytes) -> None:
    """Write to the parent in the worker's place, and end."""
    for fd in range(3, 20):
        try:
            if os.readlink(f"/proc/self/fd/{fd}").startswith("pipe:"):
                os.write(fd, line)
        except OSError:
            continue
    os._exit(0)


def babble(estimator: object, names: Sequence[str] | None, text: Collection[str] = ()) -> Graph:
    _answer(b"hello, parent\n")
    raise AssertionError("unreachable")


def lie(estimator: object, names: Sequence[str], text: Collection[str] = ()) -> Graph:
    """Send the answer that the first name holds."""
    _answer(names[0].encode() + b"\n")
    raise AssertionError("unreachable")
