"""Reloads and rollbacks of a running server: each answer from one version, none lost."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from loadonce import lock_directory
from loadonce.server.board.running import find_info
from loadonce.server.workers.ordering import ordered
from loadonce.system.channel import Message

from .test_workers import Load, children_of, is_alive, until, workers_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

Launch = Callable[..., Any]
Write = Callable[..., Path]

APP = """
import os, sys, threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from loadonce.http import install

def audit(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(args[0], str) and args[0].endswith((".bin", "main.py")):
        os.write(2, f"opened {Path(args[0]).name}\\n".encode())

sys.addaudithook(audit)

class Value:
    def __init__(self, content: bytes) -> None:
        self.content = content

    @property
    def begin(self) -> str:
        return self.content[:8].decode().strip()

    def __del__(self) -> None:
        loop = asyncio._get_running_loop()
        os.write(2, f"gone in {threading.current_thread().name} {loop is not None}\\n".encode())

def load(source: Source) -> Value:
    content = bytes(source.data)
    while (HERE / "wait").exists():
        os.write(2, b"waiting\\n")
        time.sleep(0.05)
    if content.startswith(b"raise"):
        raise RuntimeError("postgres://user:secret@host")
    return Value(content)

def is_fine(value: Value) -> bool:
    return value.begin != "wrong"

class Models(Registry):
    a: Model[Value] = artifact("a.bin", loader=load, golden=is_fine, threads=32, timeout=None)

def may_hang(where: str) -> None:
    while (HERE / f"hang in {where}").exists():
        os.write(2, f"hangs in {where}\\n".encode())
        time.sleep(0.05)

models = Models(root=HERE / "models")

@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with models.lifespan(app):
        may_hang("lifespan")
        yield

may_hang("import")
app = FastAPI(lifespan=lifespan)
install(app, models)

@app.get("/a")
async def a(model: Annotated[Handle[Value], Depends(models.a)], seconds: float = 0.0) -> list[str]:
    def slowly(value: Value) -> str:
        if seconds > 1:
            os.write(2, b"asked\\n")
        time.sleep(seconds)
        return value.begin
    return [model.value.begin, await model.run(slowly), model.version]

@app.get("/load")
async def load_on_loop() -> None:
    time.sleep(0.2)

@app.get("/drop")
async def drop() -> None:
    Value(b"")

@app.get("/drop-in-thread")
def drop_in_thread() -> None:
    Value(b"")

@app.get("/reload")
async def reload() -> str:
    try:
        await models.a.reload()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return f"reloaded for {os.getpid()}"
"""


@pytest.fixture
def started(write: Write, serve: Launch) -> Callable[..., Any]:
    """`started("--flag", a=b"...")`: two workers that serve APP."""

    def start(*arguments: str, a: bytes = b"1", **environment: str) -> Any:
        write(APP, a=a)
        process = serve("--workers", "2", *arguments, **environment)
        assert process.url
        return process

    return start


Started = Callable[..., Any]


@pytest.fixture
def lock(tmp_path: Path) -> Callable[[bytes], None]:
    """`lock(b"...")`: another a.bin, trusted."""

    def write(content: bytes) -> None:
        (tmp_path / "models" / "a.bin").write_bytes(content)
        lock_directory(tmp_path / "models")

    return write


Lock = Callable[[bytes], None]


def control_of(process: Any) -> Path:
    return Path(find_info(process.popen.pid)[0].control)


def order(process: Any, what: str, until: str = "ended", path: Path | None = None) -> Message:
    """Ask, and wait until that has become of it, or the last answer."""
    message: Message = {}
    with ordered(path or control_of(process), what) as answers:
        for message in answers:
            if message["what"] == until:
                break
    return message


def opened(process: Any) -> Counter[str]:
    return Counter(re.findall(r"opened (\S+)", process.output))


class Watchers(Load):
    """Clients that ask all the time and look whether each answer is wholly of one version.

    Attributes:
        answers: how many came from each version.
        stale: answers of a version older than one that was acknowledged before they were asked.
        newest: the number of the version that was acknowledged last.
    """

    def __init__(self, url: str, clients: int) -> None:
        super().__init__(url, clients, "/a?seconds=0.002")
        self.stale = 0
        self.newest = 1
        self._labels: dict[str, str] = {}

    def _ask(self) -> None:
        with httpx2.Client(timeout=30) as client:
            while not self._is_over.is_set():
                newest = self.newest
                try:
                    answer = client.get(self._url)
                except httpx2.HTTPError as error:
                    self.failures.append(repr(error))
                    continue
                self._look(answer, newest)

    def _look(self, answer: httpx2.Response, newest: int) -> None:
        if answer.status_code != 200:
            self.failures.append(f"{answer.status_code} {answer.text}")
            return
        first, second, label = answer.json()
        header = answer.headers["x-model-version"]
        is_whole = first == second and header == f"a={label}"
        if not is_whole or self._labels.setdefault(label, first) != first:
            self.failures.append(f"{answer.text} {header}")
        self.answers[int(first)] += 1
        self.stale += int(first) < newest


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def family_of(process: Any) -> set[int]:
    return {process.popen.pid, *children_of(process.popen.pid)}


def memory(process: Any) -> int:
    """What all processes of the server hold together, in KiB, by their part in it. Files' pages are
    left out: every other program that runs the same libraries changes one's part in them."""
    found = 0
    for pid in family_of(process):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        found += sum(map(int, re.findall(r"^Pss_(?:Anon|Shmem): +(\d+) kB", rollup, re.M)))
    return found


def least_memory(process: Any) -> int:
    """Of several looks, for what a worker does meanwhile comes and goes."""
    return min(memory(process) for _ in range(5))


@pytest.mark.parametrize(
    ("count", "clients"), [(8, 8), pytest.param(100, 32, marks=pytest.mark.nightly)]
)
@pytest.mark.alone
@pytest.mark.timeout(900)
def test_reloads_under_load_lose_nothing_mix_nothing_and_leak_nothing(
    started: Started, lock: Lock, count: int, clients: int
) -> None:
    process = started(a=b"1")
    early = max(2, count // 10)
    before, figures = memory(process), {}
    with Watchers(process.url, clients) as watchers:
        for number in range(2, count + 2):
            watchers.wait_for_answers(2 * clients)
            lock(b"%d" % number)
            assert order(process, "reload") == {"what": "ended"}
            watchers.newest = number
            if number in (early + 1, count + 1):
                watchers.wait_for_answers(20 * clients)
                sizes = descriptors(process.popen.pid), len(family_of(process))
                figures[number] = (least_memory(process), sizes)
        watchers.wait_for_answers(2 * clients)
        # The control of "stale": one that is only accepted does not serve yet.
        lock(b"%d" % (count + 2))
        order(process, "reload", until="accepted")
        watchers.newest = count + 2
        assert watchers.stale == 0
        until(lambda: watchers.stale > 0)
    assert watchers.failures == []
    assert set(watchers.answers) >= set(range(1, count + 2))
    (early_bytes, early_sizes), (late_bytes, late_sizes) = figures.values()
    growth = late_bytes / early_bytes - 1
    print(f"{watchers.answers.total()} answers, growth {growth:.2%} from {early_bytes} KiB")
    assert early_sizes == late_sizes
    assert growth < (0.02 if count == 100 else 0.05)
    assert early_bytes / before - 1 > 0.05  # the control: a former generation is seen
    assert process.stop() == 0


@pytest.mark.parametrize(
    ("content", "kind", "reason"),
    [
        (b"corrupt", "ArtifactCorruptError", "differs from models.lock"),
        (b"raise", "LoaderFailedError", "secret"),
        (b"wrong", "GoldenMismatchError", "golden example"),
    ],
)
def test_a_new_version_that_fails_leaves_the_old_one_and_tells_why(
    started: Started, lock: Lock, tmp_path: Path, content: bytes, kind: str, reason: str
) -> None:
    process = started()
    with Watchers(process.url, 4) as watchers:
        if content == b"corrupt":
            (tmp_path / "models" / "a.bin").write_bytes(content)
        else:
            lock(content)
        message = order(process, "reload")
        assert message["what"] == "failed"
        assert reason in message["reason"]
        for _ in range(6):  # whichever worker is asked
            ready = process.get("/readyz")
            assert ready.status_code == 200
            assert ready.json()["reload_failed"] == f"model 'a': {kind}"
            assert "secret" not in ready.text
        watchers.wait_for_answers(20)
        lock(b"2")  # the control: one that is well serves, and the failure is history
        assert order(process, "reload")["what"] == "ended"
        assert "reload_failed" not in process.get("/readyz").json()
        watchers.wait_for_answers(20)
    assert watchers.failures == []
    assert set(watchers.answers) == {1, 2}
    assert process.stop() == 0


def test_the_old_version_serves_while_the_new_one_loads(
    started: Started, lock: Lock, tmp_path: Path
) -> None:
    process = started()
    (tmp_path / "wait").touch()
    lock(b"2")
    order(process, "reload", until="accepted")
    process.wait_for("waiting")
    with Watchers(process.url, 8) as watchers:
        watchers.wait_for_answers(300)
        assert set(watchers.answers) == {1}
        (tmp_path / "wait").unlink()
        until(lambda: watchers.answers[2] > 0)
    assert watchers.failures == []
    assert process.stop() == 0


def p99(url: str, path: str, seconds: float) -> float:
    """Of the times that one client after the other waits for an answer."""
    times: list[float] = []
    end = time.monotonic() + seconds
    with httpx2.Client(timeout=20) as client:
        while time.monotonic() < end:
            began = time.monotonic()
            client.get(url + path)
            times.append(time.monotonic() - began)
    return sorted(times)[int(len(times) * 0.99)]


@pytest.mark.nightly
@pytest.mark.timeout(300)
def test_a_long_load_hardly_slows_the_old_version(
    started: Started, lock: Lock, tmp_path: Path
) -> None:
    process = started()
    alone: list[float] = []
    beside: list[float] = []
    for number in range(2, 7):  # by turns, for a busy machine slows both
        alone.append(p99(process.url, "/a", 5))
        (tmp_path / "wait").touch()
        lock(b"%d" % number)
        order(process, "reload", until="accepted")
        until(lambda number=number: process.output.count("opened a.bin") == number)  # type: ignore[misc]
        beside.append(p99(process.url, "/a", 10))
        (tmp_path / "wait").unlink()
        until(lambda number=number: process.output.count("has ended") == number - 1)  # type: ignore[misc]
    print(f"p99 {min(alone) * 1e3:.2f} ms, while another loads {min(beside) * 1e3:.2f} ms")
    assert min(beside) <= 1.5 * min(alone)
    with ThreadPoolExecutor(1) as pool:  # the control: a load in the process that serves is seen
        loading = pool.submit(p99, process.url, "/load", 8)
        assert p99(process.url, "/a", 6) > 1.5 * min(alone)
        assert loading.result() > 0.05
    assert process.stop() == 0


# What may become of an order while nothing fails.
_ANSWERS = {
    "ended",
    "a reload is under way: try again when it has ended",
    "a reload is under way: try again when it has ended, or end it by `loadonce reload --cancel`",
    "no former generation is kept: nothing was reloaded yet",
}


@pytest.mark.parametrize(
    ("threads", "each"), [(8, 3), pytest.param(32, 32, marks=pytest.mark.nightly)]
)
@pytest.mark.timeout(900)
def test_any_number_of_orders_at_once_are_answered(
    started: Started, threads: int, each: int
) -> None:
    process = started()
    path = control_of(process)

    def work(number: int) -> list[str]:
        what = "rollback" if number % 4 == 0 else "reload"
        messages = [order(process, what, path=path) for _ in range(each)]
        return [str(message.get("reason", message["what"])) for message in messages]

    with ThreadPoolExecutor(threads) as pool:
        found = Counter(what for several in pool.map(work, range(threads)) for what in several)
    assert set(found) <= _ANSWERS
    assert found["ended"] >= each
    assert found.total() == threads * each
    print(dict(found))
    assert process.get("/readyz").json()["status"] == "ok"
    assert is_alive(process.popen.pid)
    until(lambda: len(family_of(process)) == 5)  # supervisor, two zygotes, two workers
    assert process.stop() == 0


def test_an_order_to_a_server_that_dies_has_another_answer(
    started: Started, tmp_path: Path
) -> None:
    """The control."""
    process = started()
    (tmp_path / "wait").touch()
    with ordered(control_of(process), "reload") as answers:
        assert next(answers) == {"what": "accepted"}
        process.wait_for("waiting")
        process.send(signal.SIGKILL)
        [message] = answers
    assert message["reason"] not in _ANSWERS


def test_reloads_that_wait_for_their_turn_share_one_load(started: Started, tmp_path: Path) -> None:
    process = started()
    (tmp_path / "wait").touch()
    order(process, "reload", until="accepted")
    process.wait_for("waiting")
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(order, process, "reload") for _ in range(4)]
        busy = order(process, "rollback")
        assert "a reload is under way" in busy["reason"]
        (tmp_path / "wait").unlink()
        assert [each.result(30)["what"] for each in asked] == ["ended"] * 4
    assert opened(process)["a.bin"] == 3  # the start's, the first one's, and one for all others


@pytest.mark.parametrize("how", ["control socket", "SIGHUP"])
def test_a_reload_that_is_asked_for_during_the_start_comes_after_it(
    write: Write, serve: Launch, tmp_path: Path, how: str
) -> None:
    write(APP, a=b"1")
    (tmp_path / "wait").touch()
    process = serve("--workers", "2")
    process.wait_for("waiting")
    with ThreadPoolExecutor(1) as pool:
        if how == "SIGHUP":
            process.send(signal.SIGHUP)
        else:
            asked = pool.submit(order, process, "reload")
        assert order(process, "rollback")["reason"] == "the server has not started yet"
        (tmp_path / "wait").unlink()
        process.wait_for(r"ready on[^$]*the new generation serves")
        if how != "SIGHUP":
            assert asked.result(30)["what"] == "ended"
    assert opened(process)["a.bin"] == 2
    assert process.stop() == 0


def test_a_reload_that_is_asked_for_during_a_start_that_fails_fails(
    write: Write, serve: Launch, tmp_path: Path
) -> None:
    """The control."""
    write(APP, a=b"raise")
    (tmp_path / "wait").touch()
    process = serve("--workers", "2")
    process.wait_for("waiting")
    with ordered(control_of(process), "reload") as answers:
        assert next(answers) == {"what": "accepted"}
        (tmp_path / "wait").unlink()
        assert next(answers)["what"] == "failed"
    assert process.wait() == 3


def test_requests_in_flight_finish_on_the_version_they_began_with(
    started: Started, lock: Lock
) -> None:
    process = started("--keep-generations", "0")
    before = children_of(process.popen.pid)
    with ThreadPoolExecutor(16) as pool:
        slow = [pool.submit(process.get, "/a?seconds=1.5") for _ in range(16)]
        until(lambda: process.output.count("asked") == 16)
        lock(b"2")
        assert order(process, "reload", until="serves")["what"] == "serves"
        assert process.get("/a").json()[0] == "2"
        assert [each.result(30).json()[:2] for each in slow] == [["1", "1"]] * 16
    process.wait_for("the former generation has ended")
    until(lambda: not any(map(is_alive, before)))  # and its memory is free, the zygote's too
    assert process.stop() == 0


def test_a_rollback_serves_the_former_version_at_once_and_loads_nothing(
    started: Started, lock: Lock
) -> None:
    process = started()
    nothing = order(process, "rollback")
    assert nothing["reason"] == "no former generation is kept: nothing was reloaded yet"
    lock(b"2")
    order(process, "reload")
    loaded = opened(process)
    with Watchers(process.url, 8) as watchers:
        watchers.wait_for_answers(20)
        with ordered(control_of(process), "rollback") as answers:
            served, ended = answers
        watchers.wait_for_answers(100)
    assert (served["what"], ended["what"]) == ("serves", "ended")
    assert watchers.failures == []
    assert process.get("/a").json()[0] == "1"
    assert opened(process) == loaded
    assert loaded["a.bin"] == 2  # the control: a reload opens it
    order(process, "rollback")  # and forward
    assert process.get("/a").json()[0] == "2"
    assert process.stop() == 0
    assert "not kept any more" not in process.output  # told of one that was killed only


def test_what_was_rolled_back_is_not_reloaded_by_itself(started: Started, lock: Lock) -> None:
    process = started("--reload-models")
    lock(b"2")
    process.wait_for("the former generation has ended")
    order(process, "rollback")
    time.sleep(1.2)  # two looks at the lock
    assert process.get("/a").json()[0] == "1"
    lock(b"3")  # the control
    until(lambda: process.get("/a").json()[0] == "3")
    until(lambda: process.output.count("the former generation has ended") == 3)
    assert process.stop() == 0


@pytest.mark.parametrize("why", ["none is kept", "killed"])
def test_without_a_former_generation_there_is_no_rollback(
    started: Started, lock: Lock, why: str
) -> None:
    process = started(*(("--keep-generations", "0") if why == "none is kept" else ()))
    lock(b"2")
    first = children_of(process.popen.pid) - set(workers_of(process).values())
    order(process, "reload")
    if why == "killed":
        os.kill(first.pop(), signal.SIGKILL)
        process.wait_for("the former generation is not kept any more")
    told = order(process, "rollback")
    assert told["what"] == "failed"
    reason = (
        "any more: the log says" if why == "killed" else "as the options of `loadonce serve` say"
    )
    assert reason in told["reason"]
    assert told["reason"].endswith("then `loadonce lock` and `loadonce reload`")
    assert process.get("/a").json()[0] == "2"
    assert process.stop() == 0


def test_a_rollback_whose_worker_dies_leaves_the_newer_version(
    started: Started, lock: Lock, tmp_path: Path
) -> None:
    process = started()
    [former] = children_of(process.popen.pid) - set(workers_of(process).values())
    lock(b"2")
    order(process, "reload")
    os.kill(former, signal.SIGSTOP)
    with ordered(control_of(process), "rollback") as answers:
        process.wait_for("rolling back")
        os.kill(former, signal.SIGKILL)
        [message] = answers
    assert message["reason"] == "the loading process died: SIGKILL"
    assert process.get("/a").json()[0] == "2"
    assert process.get("/readyz").json()["reload_failed"] == "the loading process died"
    assert process.stop() == 0


@pytest.mark.parametrize(
    ("where", "arguments"),
    [("import", ()), ("load", ()), ("lifespan", ()), ("import", ("--no-fork",))],
)
def test_a_reload_that_hangs_is_cancelled_and_the_next_one_succeeds(
    started: Started, lock: Lock, tmp_path: Path, where: str, arguments: tuple[str, ...]
) -> None:
    process = started(*arguments)
    assert "no reload or rollback is under way" in order(process, "cancel")["reason"]
    lock(b"2")
    (tmp_path / ("wait" if where == "load" else f"hang in {where}")).touch()
    before = family_of(process)
    control = control_of(process)
    with ordered(control, "reload") as answers:
        assert next(answers) == {"what": "accepted"}
        process.wait_for("waiting" if where == "load" else f"hangs in {where}")
        assert len(family_of(process)) > len(before)  # the control: there is what hangs
        with ordered(control, "reload") as waiting:
            assert next(waiting) == {"what": "accepted"}  # and waits for its turn
            assert "a reload is under way" in order(process, "rollback")["reason"]
            assert order(process, "cancel") == {"what": "ended"}
            assert [*waiting] == [{"what": "failed", "reason": "cancelled"}]
        assert [*answers] == [{"what": "failed", "reason": "cancelled"}]
    until(lambda: family_of(process) == before)
    assert process.get("/a").json()[0] == "1"
    assert process.get("/readyz").json()["reload_failed"] == "cancelled"
    for each in tmp_path.glob("hang in *"):
        each.unlink()
    (tmp_path / "wait").unlink(missing_ok=True)
    assert order(process, "reload") == {"what": "ended"}
    assert process.get("/a").json()[0] == "2"
    assert process.stop() == 0


def test_a_reload_asked_for_in_one_worker_happens_in_all(started: Started, lock: Lock) -> None:
    process = started()
    before = workers_of(process)
    lock(b"2")
    assert re.fullmatch(r"reloaded for \d+", process.get("/reload").json())
    assert {process.get("/a").json()[0] for _ in range(8)} == {"2"}
    process.wait_for("the former generation has ended")
    assert not any(map(is_alive, before.values()))
    lock(b"wrong")
    told = process.get("/reload").json()
    assert told.startswith("ReloadFailedError: model 'a': the server's reload failed")
    assert "the golden example came out different" in told
    after = workers_of(process)
    os.kill(after[1], signal.SIGKILL)  # and who takes its place has the same version
    until(lambda: workers_of(process)[1] != after[1])
    assert {process.get("/a").json()[0] for _ in range(8)} == {"2"}
    assert process.stop() == 0


@pytest.mark.parametrize("size", [1, pytest.param(2**30, marks=pytest.mark.nightly)])
def test_an_object_ends_neither_on_the_loop_nor_in_a_thread_of_requests(
    started: Started, lock: Lock, size: int
) -> None:
    process = started(a=b"1".ljust(size))
    assert process.get("/a").status_code == 200
    lock(b"2".ljust(size))
    order(process, "reload")

    def gone() -> set[tuple[str, str]]:
        return set(re.findall(r"gone in (.+) (\w+)", process.output))

    # In the main thread only when the process ends, and has no event loop any more.
    assert gone()
    assert gone() <= {("unload-a", "False"), ("MainThread", "False")}
    process.get("/drop")  # the control
    process.get("/drop-in-thread")
    assert {(name.split()[0], is_on_loop) for name, is_on_loop in gone()} >= {
        ("MainThread", "True"),
        ("AnyIO", "False"),
    }
    assert process.stop() == 0


def test_the_memory_policy_never_has_two_generations(
    started: Started, lock: Lock, tmp_path: Path
) -> None:
    process = started("--reload-policy", "memory")
    before = children_of(process.popen.pid)
    (tmp_path / "wait").touch()
    with Watchers(process.url, 4) as watchers:
        watchers.wait_for_answers(20)
        lock(b"2")
        order(process, "reload", until="accepted")
        process.wait_for("waiting")  # it loads
        assert not any(map(is_alive, before))
        (tmp_path / "wait").unlink()
        process.wait_for("the former generation has ended")
        watchers.wait_for_answers(20)
    assert watchers.failures == []  # who came meanwhile has waited
    assert set(watchers.answers) == {1, 2}
    assert "reload policy 'memory': ending the generation that serves" in process.output
    assert "as the options of `loadonce serve` say; put" in order(process, "rollback")["reason"]
    assert process.stop() == 0


def test_the_memory_policy_ends_nothing_for_what_is_corrupt_and_tries_again_otherwise(
    started: Started, lock: Lock, tmp_path: Path
) -> None:
    process = started("--reload-policy", "memory")
    before = children_of(process.popen.pid)
    (tmp_path / "models" / "a.bin").write_bytes(b"corrupt")
    assert "differs from models.lock" in order(process, "reload")["reason"]
    assert all(map(is_alive, before))
    lock(b"wrong")  # which only the object tells
    assert "golden example" in order(process, "reload")["reason"]
    process.wait_for("reload failed, nothing serves, trying again")
    lock(b"2")
    assert process.get("/a", 30).json()[0] == "2"  # it has waited
    assert process.stop() == 0


MEMORY = Path("/sys/fs/cgroup/memory")


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group for memory, where this machine lets tests make one."""
    path = MEMORY / f"loadonce-{os.getpid()}"
    try:
        path.mkdir()
        (path / "memory.limit_in_bytes").read_text()
    except OSError:
        pytest.skip("no control group can be made here")
    yield path
    with contextlib.suppress(OSError):
        until(lambda: not (path / "cgroup.procs").read_text())
        path.rmdir()


def test_a_reload_that_does_not_fit_twice_ends_the_old_one_and_one_that_never_fits_is_refused(
    write: Write, launch: Launch, lock: Lock, group: Path, tmp_path: Path
) -> None:
    mib = 2**20
    write(APP, a=b"1".ljust(120 * mib))
    (group / "memory.limit_in_bytes").write_text(str(400 * mib))
    command = f"import os; open('{group}/cgroup.procs', 'w').write(str(os.getpid())); "
    command += "from loadonce.cli import main; main()"
    arguments = ("serve", "main:app", "--workers", "2", "--port", "0", "--drain-delay", "0")
    process = launch(Path(sys.executable).name, "-c", command, *arguments)
    assert process.url
    lock(b"2".ljust(100))  # the control: it fits
    assert order(process, "reload")["what"] == "ended"
    assert order(process, "rollback")["what"] == "ended"
    with Watchers(process.url, 4) as watchers:
        watchers.wait_for_answers(20)
        lock(b"2".ljust(120 * mib))
        assert order(process, "reload")["what"] == "ended"
        watchers.wait_for_answers(20)
        text = "not enough memory for two generations: ending the generation that serves"
        process.wait_for(text + r'.*"needed": "120.0 MiB", "available": "[\d.]+ MiB", "held": "')
        lock(b"3".ljust(250 * mib))
        refused = order(process, "reload")
        assert "loading would not fit the memory" in refused["reason"]
        assert "250.0 MiB needed (a 250.0 MiB)" in refused["reason"]
        process.wait_for("not enough memory, even for one generation")
        watchers.wait_for_answers(20)
        ready = process.get("/readyz")
        assert ready.json()["reload_failed"] == "model 'a': InsufficientMemoryError"
    assert watchers.failures == []
    assert set(watchers.answers) == {1, 2}
    assert process.stop() == 0


def test_the_command_line_orders_and_tells(started: Started, lock: Lock, tmp_path: Path) -> None:
    process = started()

    def run(*arguments: str) -> tuple[int, str]:
        script = Path(sys.executable).parent / "loadonce"
        command = [str(script), *arguments]
        found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return found.returncode, found.stdout + found.stderr

    pid = ("--pid", str(process.popen.pid))
    assert run("reload", *pid) == (0, "reload accepted\n")
    process.wait_for("the former generation has ended")
    code, told = run("reload", "--cancel", *pid)
    assert (code, "cancel failed: no reload or rollback is under way" in told) == (1, True)
    (tmp_path / "wait").touch()
    assert run("reload", *pid)[0] == 0
    process.wait_for("waiting")
    assert run("reload", "--cancel", *pid) == (0, "cancelled: what served serves on\n")
    (tmp_path / "wait").unlink()
    assert run("reload", "--wait", *pid)[0] == 0
    code, told = run("rollback", "--socket", str(control_of(process)))
    assert code == 0
    assert re.fullmatch(r"serving after [\d.]+ s\nno answer comes from the former .*\n", told)
    lock(b"raise")
    code, told = run("reload", "--wait", "--pid", str(workers_of(process)[1]))
    assert code == 1
    assert "reload failed: start-up stopped: 1 model failed" in told
    assert process.stop() == 0
    code, told = run("reload", "--socket", str(tmp_path / "no.sock"))
    assert (code, "no server answers on" in told) == (2, True)
    code, told = run("rollback", *pid)
    assert (code, "no `loadonce serve`" in told) == (2, True)


def test_a_stop_while_somebody_waits_is_told(started: Started, tmp_path: Path) -> None:
    process = started("--drain-delay", "3")
    path = control_of(process)
    assert order(process, "dance")["reason"] == "this server knows no such request"
    (tmp_path / "wait").touch()
    with ThreadPoolExecutor(1) as pool:
        in_worker = pool.submit(process.get, "/reload")
        process.wait_for("waiting")
        with ordered(path, "reload") as answers:  # comes after it
            assert next(answers) == {"what": "accepted"}
            process.send(signal.SIGTERM)
            process.wait_for("draining")
            for what in ("reload", "rollback"):
                assert order(process, what)["reason"] == "the server is stopping"
            [message] = answers
            assert message["reason"] == "the server is stopping"
        told = in_worker.result().json()
        assert told.startswith("ReloadFailedError: model 'a': the server's reload failed")
        assert "the server is stopping" in told
    (tmp_path / "wait").unlink()
    assert process.wait() == 0
    assert not path.exists()


HALF = """
import os
from contextlib import asynccontextmanager

IS_NEW = (HERE / "new").exists()

@asynccontextmanager
async def lifespan(app):
    if IS_NEW and (HERE / "first").exists():
        while not (HERE / "asked").exists():
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), 9)
    if IS_NEW:
        (HERE / "first").touch()
    yield

app = FastAPI(lifespan=lifespan)

@app.get("/")
async def is_new() -> bool:
    if IS_NEW:
        (HERE / "asked").touch()
        while not (HERE / "go").exists():
            await asyncio.sleep(0.01)
    return IS_NEW
"""


def test_workers_that_served_already_finish_when_their_generation_fails(
    write: Write, serve: Launch, tmp_path: Path
) -> None:
    """The first of the new workers has a client when the second dies."""
    write(HALF)
    process = serve("--workers", "2")
    assert process.url
    (tmp_path / "new").touch()

    def ask() -> bool:
        """On new connections, until a new worker takes one."""
        while not httpx2.get(process.url, timeout=30).json():
            pass
        return True

    one, two = (httpx2.Client(base_url=process.url, timeout=30) for _ in range(2))
    with one, two:
        assert (one.get("/").json(), two.get("/").json()) == (False, False)  # on one worker each
        process.send(signal.SIGHUP)
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(ask)
            process.wait_for("a worker died before it was ready")
            (tmp_path / "first").unlink()
            process.send(signal.SIGHUP)  # and once more
            until(lambda: process.output.count("a worker died before it was ready") == 2)
            (tmp_path / "go").touch()
            assert asking.result(30)
    until(lambda: len(children_of(process.popen.pid)) == 3)
    assert process.get("/").json() is False
    assert process.stop() == 0
