"""Several workers: one copy of the models, and no request lost that need not be."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest

from loadonce import lock_directory
from loadonce.server.board.running import find_info

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

_BUSY = 3.0  # seconds that a busy machine may add; without what is tested it were 30 or more

Launch = Callable[..., Any]
Write = Callable[..., Path]

# For an app of a test: writes which artifacts its processes open.
OPENED = """
import os, sys

def audit(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(args[0], str) and args[0].endswith(".bin"):
        os.write(2, f"opened {Path(args[0]).name}\\n".encode())

sys.addaudithook(audit)
"""

APP = """
import os, random, sys, threading
import numpy.random

def audit(event: str, args: tuple[Any, ...]) -> None:
    is_ours = event == "open" and isinstance(args[0], str) and args[0].endswith((".bin", ".pyc"))
    if is_ours:
        os.write(2, f"opened {Path(args[0]).name}\\n".encode())

sys.addaudithook(audit)

def is_fine(value: str) -> bool:
    return value != "wrong"

class Models(Registry):
    a: Model[str] = artifact("a.bin", loader=text, threads=64, timeout=None, golden=is_fine)
    b: Model[str] = artifact("b.bin", loader=text, fork="after", required=False)

models = Models(root=HERE / "models")
app = FastAPI(lifespan=models.lifespan)

@app.get("/a")
async def a(model: Annotated[Handle[str], Depends(models.a)], seconds: float = 0.0) -> str:
    def slowly(value: str) -> str:
        if seconds > 1:
            note("asked")
        time.sleep(seconds)
        return value
    return await model.run(slowly)

@app.get("/b")
async def b(model: Annotated[Handle[str], Depends(models.b)]) -> str:
    return await model.run(lambda value: value)

@app.get("/pid")
async def pid() -> int:
    return os.getpid()

kept = []

@app.get("/leak")
async def leak() -> None:
    kept.append(b"x" * 200_000_000)

@app.get("/exit")
async def exit() -> None:
    os._exit(0)

@app.get("/block")
async def block() -> None:
    time.sleep(60)

@app.get("/random")
async def random_number() -> tuple[float, float]:
    return random.random(), float(numpy.random.random())

@app.get("/environment")
async def environment() -> list[str]:
    return [name for name in os.environ if name.startswith("LOADONCE_")]
"""


LIFESPAN = """
import os
from contextlib import asynccontextmanager

@asynccontextmanager
async def lifespan(app):
    """


class Load:
    """Clients that ask all the time on connections they keep, until told to stop.

    Attributes:
        answers: how many requests were answered, by status.
        failures: what became of those that were not.
    """

    def __init__(self, url: str, clients: int, path: str = "/a?seconds=0.01") -> None:
        self.answers: Counter[int] = Counter()
        self.failures: list[str] = []
        self._url = url + path
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(30)

    def wait_for_answers(self, count: int) -> None:
        """Until so many more have come."""
        wanted = self.answers.total() + count
        deadline = time.monotonic() + 30
        while self.answers.total() < wanted:
            assert time.monotonic() < deadline, self.failures
            time.sleep(0.01)

    def _ask(self) -> None:
        with httpx2.Client(timeout=20) as client:
            while not self._is_over.is_set():
                try:
                    self.answers[client.get(self._url).status_code] += 1
                except (httpx2.ConnectError, httpx2.ConnectTimeout):
                    return  # nobody serves any more
                except httpx2.HTTPError as error:
                    self.failures.append(repr(error))


@pytest.fixture
def started(write: Write, serve: Launch) -> Callable[..., Any]:
    """`started("--flag", a=b"...")`: two workers that serve APP."""

    def start(*arguments: str, a: bytes = b"a", b: bytes = b"b") -> Any:
        write(APP, a=a, b=b)
        process = serve("--workers", "2", *arguments)
        assert process.url
        return process

    return start


Started = Callable[..., Any]


def workers_of(process: Any) -> dict[int, int]:
    """The process ids of the workers by their number, as they were told last."""
    found = re.findall(r'"worker ready", "worker": (\d+), "pid": (\d+)', process.output)
    return {int(number): int(pid) for number, pid in found}


def connections_of(process: Any, pid: int) -> int:
    """How many connections a worker has accepted that are still open."""
    _info, board = find_info(process.popen.pid)
    (row,) = [row for row in board if row.pid == pid]
    return row.connections


def children_of(pid: int) -> set[int]:
    """The living children of a process."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return {int(child) for child in text.split()}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition: Callable[[], bool], seconds: float = 25.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def imported(process: Any) -> Counter[str]:
    return Counter(re.findall(r"opened (\w+)\.cpython-\d+\.pyc", process.output))


def opened(process: Any) -> Counter[str]:
    return Counter(re.findall(r"opened (\w\.bin)", process.output))


def test_workers_share_what_was_loaded_once_and_load_what_cannot_be_shared(
    started: Started,
) -> None:
    process = started()
    pids: set[int] = set()
    numbers: list[float] = []
    for _ in range(40):  # each on a connection of its own
        assert process.get("/a").json() == "a"
        assert process.get("/b").json() == "b"
        pids.add(process.get("/pid").json())
        numbers += process.get("/random").json()
    assert pids <= set(workers_of(process).values())
    assert len(set(numbers)) == 80  # no two workers have the same seeds
    assert not {"LOADONCE_FREEZE", "LOADONCE_PROGRESS"} & {*process.get("/environment").json()}
    assert opened(process) == {"a.bin": 1, "b.bin": 2}  # b is the control
    assert '"message": "each worker loads its own", "models": "b"' in process.output
    process.wait_for(r"ready on http://127.0.0.1:\d+ in [\d.]+ s, 2 models, 2 workers")
    assert process.stop() == 0
    assert '"worker": 2' in process.output


def test_connections_are_spread_evenly(started: Started) -> None:
    process = started()
    clients = [httpx2.Client(timeout=20) for _ in range(40)]
    shares = Counter(client.get(process.url + "/pid").json() for client in clients)
    for client in clients:
        client.close()
    assert len(shares) == 2
    assert max(shares.values()) <= 1.5 * min(shares.values())


def test_a_killed_worker_is_replaced_without_a_load(started: Started) -> None:
    process = started()
    before = workers_of(process)
    opens, imports = opened(process), imported(process)
    assert imports["app_server"] == 1
    clients = 8
    with Load(process.url, clients) as load:
        load.wait_for_answers(50)
        os.kill(before[2], signal.SIGKILL)
        until(lambda: workers_of(process)[2] != before[2])
        until(lambda: connections_of(process, workers_of(process)[2]) >= clients / 2 - 1)
        load.wait_for_answers(50)
    assert len(load.failures) <= clients / 2 + 2  # what that worker was answering
    assert set(load.answers) == {200}
    assert '"worker died", "worker": 2' in process.output
    assert '"cause": "SIGKILL"' in process.output
    assert opened(process) - opens == {"b.bin": 1}  # which each loads: the control
    assert imported(process) == imports  # nor a module
    assert workers_of(process)[1] == before[1]
    assert process.stop() == 0


def test_a_worker_that_grows_is_replaced_without_a_load_or_a_lost_request(
    started: Started,
) -> None:
    process = started("--max-worker-memory", "150MB")
    before = workers_of(process)
    with Load(process.url, 4) as load:
        load.wait_for_answers(20)
        assert process.get("/leak").status_code == 200
        until(lambda: workers_of(process) != before)
        until(lambda: not all(map(is_alive, before.values())))
        load.wait_for_answers(20)
    assert load.failures == []
    assert set(load.answers) == {200}
    assert process.output.count("worker too big, replacing it") == 1
    assert len(set(before.items()) & set(workers_of(process).items())) == 1  # the control
    assert opened(process)["a.bin"] == 1
    assert "former generation" not in process.output
    assert process.stop() == 0


def test_a_worker_that_has_answered_enough_goes_when_its_successor_is_ready(
    started: Started,
) -> None:
    process = started("--max-worker-requests", "60")
    before = workers_of(process)
    with Load(process.url, 8) as load:
        until(lambda: process.output.count("worker has answered enough") >= 4)
        load.wait_for_answers(50)
    assert load.failures == []
    assert set(load.answers) == {200}
    assert not set(before.values()) & set(workers_of(process).values())
    assert opened(process)["a.bin"] == 1
    until(lambda: process.output.count('"requests_lost"') >= 3)
    for number in (1, 2):
        pattern = rf'"(worker has answered enough|worker ready|stopped)[",].*"worker": {number}\b'
        found = re.findall(pattern, process.output)
        assert found[:4] == [
            "worker ready",
            "worker has answered enough",
            "worker ready",
            "stopped",
        ]
    assert process.stop() == 0


def test_workers_stay_while_no_limit_is_set(started: Started) -> None:
    """The control."""
    process = started()
    before = workers_of(process)
    with Load(process.url, 8) as load:
        load.wait_for_answers(300)
    assert workers_of(process) == before
    assert process.stop() == 0


def test_a_stop_under_load_loses_no_request(started: Started) -> None:
    process = started("--drain-delay", "0.5")
    with Load(process.url, 16) as load:
        load.wait_for_answers(100)
        process.send(signal.SIGTERM)
        assert process.wait() == 0
    assert load.failures == []
    assert set(load.answers) == {200}
    assert process.output.count('"requests_lost": 0') == 2


@pytest.mark.parametrize("wait", [0.0, 0.07])
def test_a_stop_while_a_worker_is_replaced_ends_both(started: Started, wait: float) -> None:
    process = started()
    os.kill(workers_of(process)[1], signal.SIGKILL)
    process.wait_for("worker died")
    time.sleep(wait)  # wherever that finds the new one
    assert process.stop() == 0, process.output


def test_connections_wait_while_no_worker_lives(started: Started) -> None:
    process = started("--workers", "4")
    before = workers_of(process)
    assert len(before) == 4
    for pid in before.values():
        os.kill(pid, signal.SIGSTOP)  # they accept nothing any more
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(process.get("/a").status_code))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    for thread in threads:
        thread.join(30)
    assert time.monotonic() - began < 2.0 + _BUSY
    assert answers == [200] * 8


def test_a_worker_without_a_sign_of_life_is_replaced(started: Started) -> None:
    process = started("--worker-timeout", "1")
    before = workers_of(process)
    os.kill(before[1], signal.SIGSTOP)
    process.wait_for('"worker stuck, killing it", "worker": 1')
    until(lambda: workers_of(process)[1] != before[1])
    with contextlib.suppress(httpx2.HTTPError):
        process.get("/block")  # the loop itself, not the process
    until(lambda: len(re.findall("worker stuck", process.output)) == 2)
    process.wait_for(r'File ".*main.py", line \d+ in block')  # where it was
    until(lambda: process.output.count("worker ready") == 4)
    assert process.stop() == 0


@pytest.mark.parametrize(
    ("timeout", "limit"), [(1.5, 3.5), pytest.param(8.0, 10.0, marks=pytest.mark.nightly)]
)
def test_only_what_a_stopped_worker_was_answering_fails(
    started: Started, timeout: float, limit: float
) -> None:
    process = started("--worker-timeout", str(timeout))
    before = workers_of(process)
    clients = 8
    with Load(process.url, clients) as load:
        load.wait_for_answers(50)
        os.kill(before[1], signal.SIGSTOP)
        began = time.monotonic()
        load.wait_for_answers(50)  # the other one serves on
        assert workers_of(process) == before
        until(lambda: workers_of(process)[1] != before[1])
        assert time.monotonic() - began < limit + _BUSY
        load.wait_for_answers(50)
    assert len(load.failures) <= clients / 2 + 2
    assert set(load.answers) == {200}
    assert workers_of(process)[2] == before[2]
    assert process.stop() == 0


def test_a_worker_that_ends_by_itself_is_replaced_later_each_time(started: Started) -> None:
    process = started()
    for count in (1, 2, 3):
        with contextlib.suppress(httpx2.HTTPError):
            process.get("/exit")
        until(lambda count=count: process.output.count('"exit code 0"') == count)  # type: ignore[misc]
    until(lambda: all(map(is_alive, workers_of(process).values())))
    assert process.get("/a").json() == "a"
    assert process.stop() == 0


def test_workers_outlive_the_zygote_until_another_generation_takes_over(started: Started) -> None:
    process = started()
    before = workers_of(process)
    [zygote] = children_of(process.popen.pid) - set(before.values())
    with Load(process.url, 4) as load:
        os.kill(zygote, signal.SIGKILL)
        process.wait_for("the loading process died, the workers serve on")
        process.wait_for("the former generation has ended")
        load.wait_for_answers(20)
    assert load.failures == []
    after = workers_of(process)
    assert not set(before.values()) & set(after.values())
    os.kill(after[1], signal.SIGKILL)
    until(lambda: workers_of(process)[1] != after[1])
    assert process.stop() == 0


@pytest.mark.parametrize("is_stopping", [False, True])
def test_a_zygote_that_forks_no_worker_is_replaced(started: Started, is_stopping: bool) -> None:
    """Without that a dead worker has no successor for good, and a stop no end."""
    process = started("--worker-timeout", "1")
    before = workers_of(process)
    [zygote] = children_of(process.popen.pid) - set(before.values())
    os.kill(zygote, signal.SIGSTOP)
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    until(lambda: process.output.count('"worker died"') == 2)
    if not is_stopping:
        assert process.get("/a").json() == "a"  # it waited for that
        assert not is_alive(zygote)
    assert process.stop() == 0
    assert "the loading process forks no worker, killing it" in process.output


def test_a_zygote_that_cannot_load_again_is_tried_again(started: Started, tmp_path: Path) -> None:
    process = started()
    (tmp_path / "models" / "a.bin").write_bytes(b"altered")
    [zygote] = children_of(process.popen.pid) - set(workers_of(process).values())
    os.kill(zygote, signal.SIGKILL)
    process.wait_for("reload failed, the former models serve on")
    assert process.get("/a").json() == "a"
    (tmp_path / "models" / "a.bin").write_bytes(b"a")
    process.wait_for("the former generation has ended")
    assert process.stop() == 0


def test_a_reload_under_load_changes_every_answer_and_fails_none(
    started: Started, tmp_path: Path
) -> None:
    process = started()
    before = workers_of(process)
    with Load(process.url, 8) as load:
        load.wait_for_answers(20)
        (tmp_path / "models" / "a.bin").write_bytes(b"new")
        lock_directory(tmp_path / "models")
        process.send(signal.SIGHUP)
        process.wait_for('"reloading"')
        process.send(signal.SIGHUP)  # again, once the first is through
        until(lambda: process.output.count("the former generation has ended") == 2)
        load.wait_for_answers(20)
    assert load.failures == []
    assert set(load.answers) == {200}
    assert {process.get("/a").json() for _ in range(8)} == {"new"}
    assert not any(is_alive(pid) for pid in before.values())
    assert opened(process) == {"a.bin": 3, "b.bin": 6}
    assert process.stop() == 0


def test_a_changed_lock_file_reloads_once_and_changed_artifacts_do_not(
    started: Started, tmp_path: Path
) -> None:
    process = started("--reload-models")
    (tmp_path / "models" / "a.bin").write_bytes(b"wrong")
    lock_directory(tmp_path / "models")
    process.wait_for("reload failed, the former models serve on")
    assert process.get("/a").json() == "a"
    (tmp_path / "models" / "a.bin").write_bytes(b"new")
    time.sleep(1.2)  # two looks, which must not see it: the control
    assert process.output.count("lock file changed") == 1
    lock_directory(tmp_path / "models")
    process.wait_for("the former generation has ended")
    assert process.get("/a").json() == "new"
    assert process.output.count("lock file changed") == 2
    assert process.stop() == 0


@pytest.mark.parametrize("fault", ["digest", "golden", "killed"])
def test_a_reload_that_fails_changes_nothing(started: Started, tmp_path: Path, fault: str) -> None:
    process = started()
    before = workers_of(process)
    if fault == "killed":
        (tmp_path / "main.py").write_text("import os; os.kill(os.getpid(), 9)")
    else:
        (tmp_path / "models" / "a.bin").write_bytes(b"wrong")
        if fault == "golden":  # locked, but it does not pass its check in the worker
            lock_directory(tmp_path / "models")
    process.send(signal.SIGHUP)
    process.wait_for("reload failed, the former models serve on")
    until(lambda: len(children_of(process.popen.pid)) == 3)
    assert process.get("/a").json() == "a"
    os.kill(before[1], signal.SIGKILL)  # and a worker is still replaced without a load
    until(lambda: workers_of(process)[1] != before[1])
    assert {process.get("/a").json() for _ in range(8)} == {"a"}
    assert process.stop() == 0


def test_a_stop_during_a_reload_stops_both_generations(started: Started, tmp_path: Path) -> None:
    process = started()
    slow = (tmp_path / "main.py").read_text() + "\nnote('importing')\ntime.sleep(60)\n"
    (tmp_path / "main.py").write_text(slow)
    process.send(signal.SIGHUP)
    until((tmp_path / "notes.txt").exists)
    family = children_of(process.popen.pid)
    assert len(family) == 4
    assert process.stop() == 0
    assert not any(map(is_alive, family))


def test_no_process_outlives_the_supervisor(started: Started) -> None:
    process = started()
    port = int(process.url.rpartition(":")[2])
    family = children_of(process.popen.pid)
    assert len(family) == 3
    process.send(signal.SIGKILL)
    process.wait()
    until(lambda: not any(map(is_alive, family)), 2.0 + _BUSY)
    with socket.create_server(("127.0.0.1", port)):
        pass


HOLDING = """
zygote = os.getpid()

def hold() -> None:
    if os.getppid() == zygote:  # the one in between
        return
    if (HERE / "hold").exists():
        note("held")
    while (HERE / "hold").exists():
        time.sleep(0.02)

os.register_at_fork(after_in_child=hold)
"""


def test_nor_does_a_worker_that_is_forked_at_this_moment(
    write: Write, serve: Launch, tmp_path: Path
) -> None:
    write(APP + HOLDING, a=b"a", b=b"b")
    process = serve("--workers", "2")
    before = workers_of(process) if process.url else {}
    (tmp_path / "hold").touch()
    os.kill(before[1], signal.SIGKILL)
    until((tmp_path / "notes.txt").exists)
    until(lambda: len(children_of(process.popen.pid)) == 3)
    family = children_of(process.popen.pid)
    process.send(signal.SIGKILL)
    process.wait()
    until(lambda: sum(map(is_alive, family)) == 1)  # the control: it cannot know yet
    (tmp_path / "hold").unlink()
    until(lambda: not any(map(is_alive, family)))


def test_a_required_model_that_fails_ends_the_start_with_one_message(
    write: Write, serve: Launch
) -> None:
    models = write(APP, a=b"a", b=b"b")
    (models / "a.bin").write_bytes(b"x")
    process = serve("--workers", "2")
    assert process.wait() == 3
    assert process.output.count("start-up stopped") == 1
    assert "model 'a' (a.bin): differs from models.lock" in process.output
    assert "Traceback" not in process.output


def test_a_check_that_fails_after_the_fork_is_told_once(write: Write, serve: Launch) -> None:
    write(APP, a=b"wrong", b=b"b")
    process = serve("--workers", "3")
    assert process.wait() == 3
    assert process.output.count("start-up stopped") == 1
    assert "Traceback" not in process.output


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("raise KeyError('oops')", "importing 'main' failed: KeyError: 'oops'"),
        ("raise SystemExit(7)", "importing 'main' failed: SystemExit: 7"),
        (LIFESPAN + "raise SystemExit(7)\n    yield\n", "a process of the server failed"),
        ("os = __import__('os'); os.kill(os.getpid(), 9)", "the loading process died"),
        ("__import__('os')._exit(7)", '"the loading process died", "cause": "exit code 7"'),
        (LIFESPAN + "os.kill(os.getpid(), 9)\n    yield\n", "a worker died before it was ready"),
    ],
)
def test_an_app_that_cannot_start_ends_the_server(
    write: Write, serve: Launch, code: str, expected: str
) -> None:
    write(code + "\napp = FastAPI(lifespan=globals().get('lifespan'))\n")
    process = serve("--workers", "2")
    assert process.wait() in (1, 3)
    assert expected in process.output


def test_a_process_that_dies_while_it_loads_leaves_the_name_of_the_model(
    write: Write, serve: Launch, tmp_path: Path
) -> None:
    """Native code crashes on a damaged file, and the kernel kills who takes too much memory."""
    code = """
import os
from loadonce.http import install

def load(source: Source) -> str:
    if (HERE / "kill").exists():
        os.kill(os.getpid(), 9)
    return text(source)

class Models(Registry):
    a: Model[str] = artifact("a.bin", loader=load)

models = Models(root=HERE / "models")
app = FastAPI(lifespan=models.lifespan)
install(app, models)
"""
    write(code, a=b"a")
    process = serve("--workers", "2")
    assert process.url
    (tmp_path / "kill").touch()
    process.send(signal.SIGHUP)
    process.wait_for("reload failed, the former models serve on")
    assert '"the loading process died", "loading": "a", "cause": "SIGKILL"' in process.output
    assert process.get("/readyz").status_code == 200
    assert process.stop() == 0
    process = serve("--workers", "2")
    assert process.wait() == 3
    assert '"the loading process died", "loading": "a", "cause": "SIGKILL"' in process.output


def test_an_app_that_ignores_the_ends_of_its_children_can_be_forked(
    write: Write, serve: Launch
) -> None:
    write("import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\napp = FastAPI()\n")
    process = serve("--workers", "2")
    assert process.get("/none").status_code == 404
    assert process.stop() == 0


def test_a_port_in_use_is_told_before_anything_is_forked(write: Write, serve: Launch) -> None:
    write("note('imported')")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = serve("--workers", "2", "--port", str(taken.getsockname()[1]))
        assert process.wait() == 1
    assert "Address already in use" in process.output


def test_a_signal_while_loading_ends_at_once(write: Write, serve: Launch, tmp_path: Path) -> None:
    write("note('importing')\ntime.sleep(60)")
    process = serve("--workers", "2")
    until((tmp_path / "notes.txt").exists)
    assert process.stop() == 0
    assert "stopped before it served" in process.output


def test_a_signal_while_the_first_worker_starts_ends_at_once(
    write: Write, serve: Launch, tmp_path: Path
) -> None:
    write(
        """
        from contextlib import asynccontextmanager

        @asynccontextmanager
        async def lifespan(app):
            note("starting")
            await asyncio.sleep(60)
            yield

        app = FastAPI(lifespan=lifespan)
        """
    )
    process = serve("--workers", "2")
    until((tmp_path / "notes.txt").exists)
    assert process.stop() == 0


@pytest.mark.parametrize("is_forced", [True, False])
def test_a_hung_model_cannot_hold_the_exit(
    started: Started, tmp_path: Path, is_forced: bool
) -> None:
    process = started("--timeout-graceful-shutdown", "30" if is_forced else "0.3")
    thread = threading.Thread(target=lambda: _quietly(lambda: process.get("/a?seconds=60")))
    thread.start()
    until((tmp_path / "notes.txt").exists)
    process.send(signal.SIGINT)
    began = time.monotonic()
    if is_forced:
        process.wait_for("draining")
        process.send(signal.SIGINT)
    assert process.wait(15) == 1
    assert time.monotonic() - began < 0.3 + 2.0 + _BUSY
    thread.join(10)
    assert "1 request lost: not finished in time (model 'a': 1 running)" in process.output


def test_a_worker_that_does_not_stop_is_killed(started: Started) -> None:
    process = started("--timeout-graceful-shutdown", "0.2")
    os.kill(workers_of(process)[1], signal.SIGSTOP)
    process.send(signal.SIGTERM)
    assert process.wait(15) == 1
    assert '"worker does not stop, killing it", "worker": 1' in process.output


def test_a_thread_that_workers_will_miss_is_named(write: Write, serve: Launch) -> None:
    write(
        APP + "\nthreading.Thread(target=time.sleep, args=(60,), name='metrics', daemon=True)"
        ".start()\n",
        a=b"a",
        b=b"b",
    )
    process = serve("--workers", "2")
    assert process.get("/a").json() == "a"
    assert '"workers will not have this thread", "thread": "metrics"' in process.output
    assert process.stop() == 0


def test_a_unix_socket_serves_and_stops_too(write: Write, serve: Launch, tmp_path: Path) -> None:
    write(APP, a=b"a", b=b"b")
    process = serve("--workers", "2", "--uds", "s.sock")
    process.wait_for("ready on")
    transport = httpx2.HTTPTransport(uds=str(tmp_path / "s.sock"))
    with httpx2.Client(transport=transport, timeout=30) as client:
        assert client.get("http://local/a").json() == "a"
    assert process.stop() == 0
    assert not (tmp_path / "s.sock").exists()


def _quietly(ask: Callable[[], object]) -> None:
    with contextlib.suppress(httpx2.HTTPError):
        ask()
