"""What a supervisor decides without a zygote; the rest: tests/integration/test_workers.py."""

from __future__ import annotations

import errno
import io
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadonce import Model, Registry, artifact, lock_directory
from loadonce.server.app.logs import StartLines
from loadonce.server.board.journal import Journal
from loadonce.server.options import ServeOptions
from loadonce.server.workers.child_processes import WorkerProcess, ZygoteProcess
from loadonce.server.workers.quarantine import suspects_of
from loadonce.server.workers.supervisor import Supervisor
from loadonce.server.workers.zygote import _Zygote
from loadonce.system.channel import Channel, Message
from loadonce.system.systemd import Notifier


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    lines = StartLines(logging.NullHandler(), has_bars=False)
    options = ServeOptions(target="main:app", workers=2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Supervisor(options, lines, listener, time.monotonic(), Notifier(""))
        with made._watch.signals():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            yield made
            for worker in made._pool.workers:
                worker.channel.close()
        made._board.info.write(b"")  # it is no server that others should find in this process


@pytest.fixture
def child() -> int:
    """A process that waits for a signal."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.write(write, b"x")
        signal.pause()
        os._exit(0)
    assert os.read(read, 1) == b"x"  # no signal comes too early
    os.close(read)
    os.close(write)
    return pid


def asked_for(supervisor: Supervisor) -> tuple[WorkerProcess, Channel]:
    """A worker that the (missing) zygote was asked for, and its end of the channel."""
    ours, theirs = Channel.pair()
    zygote = ZygoteProcess(0, theirs, 0.0, is_alive=False)
    worker = WorkerProcess(1, zygote, supervisor._board[0], ours, 0.0)
    supervisor._pool.workers.append(worker)
    ours.set_blocking(False)
    return worker, theirs


def test_a_terminal_that_closes_stops_it(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere SIGHUP reloads."""
    monkeypatch.setattr(sys, "stdin", _Terminal())
    supervisor._receive(signal.SIGHUP)
    supervisor._generations.start()  # a timer that comes too late
    assert supervisor._exit.code == 0
    assert supervisor._generations.coming is None


@pytest.mark.parametrize("why", ["stop", "leave"])
def test_a_worker_that_is_born_too_late_ends_at_once(
    supervisor: Supervisor, child: int, why: str
) -> None:
    worker, theirs = asked_for(supervisor)
    if why == "stop":
        supervisor._stop(signal.SIGTERM)
    else:
        worker.is_leaving = True
    supervisor._hear_worker(worker, {"what": "started", "pid": child, "models": []})
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == (-signal.SIGTERM if why == "stop" else -signal.SIGKILL)
    theirs.close()


def test_a_worker_that_ended_before_it_was_heard_is_known(supervisor: Supervisor) -> None:
    worker, theirs = asked_for(supervisor)
    supervisor._generations.current = worker.zygote
    theirs.send({"what": "started", "pid": 4_000_000, "models": []})
    supervisor._reap(4_000_000, -signal.SIGSEGV)
    assert supervisor._pool.workers == []
    theirs.close()


class Words(Registry):
    """Its model has a name of its own: registries of other tests may live still."""

    quarantined: Model[str] = artifact(
        "word.txt", loader=lambda source: bytes(source.data).decode()
    )


def test_what_it_tells_of_models_is_not_held_back_once_they_serve(supervisor: Supervisor) -> None:
    """As on a terminal, where progress bars tell of the start."""
    lines = supervisor._context.lines
    lines._is_starting = True
    record = logging.LogRecord("loadonce", logging.ERROR, "", 0, "model hangs", (), None)
    record.loadonce = {"model": "a"}
    assert not lines.filter(record)
    ours, theirs = Channel.pair()
    supervisor._generations.coming = ZygoteProcess(0, ours, 0.0)
    supervisor._generations.take_over(1)
    assert lines.filter(record)
    ours.close()
    theirs.close()


def test_all_workers_hear_of_a_model_in_quarantine(supervisor: Supervisor, tmp_path: Path) -> None:
    (tmp_path / "word.txt").write_text("word")
    lock_directory(tmp_path)
    other, hears = asked_for(supervisor)
    supervisor._generations.current = other.zygote
    hears.set_blocking(False)
    crashed, theirs = asked_for(supervisor)
    crashed.row, crashed.models = supervisor._board[1], ["quarantined"]
    words = Words(root=tmp_path)
    with words.loaded():
        Journal(supervisor._board, crashed.row).publish(0)
        digest = words.quarantined.status().sha256
    crashed.pid = crashed.row.pid
    for _ in range(4):
        crashed.row.mark(1).begin()
        (suspect,) = suspects_of(crashed)
        supervisor._quarantine.judge(time.monotonic(), [suspect])
    with pytest.raises(BlockingIOError):
        hears.receive()
    supervisor._lose_worker(crashed, -signal.SIGSEGV)
    received = hears.receive()
    assert received is not None
    assert received[0]["what"] == "quarantine"
    assert [each["sha256"] for each in received[0]["models"]] == [digest]
    hears.close()
    theirs.close()


def test_what_one_worker_finds_in_quarantine_the_others_hear_of_once(
    supervisor: Supervisor,
) -> None:
    worker, theirs = asked_for(supervisor)
    theirs.set_blocking(False)
    for digest in ("a" * 64, "a" * 64, "b" * 64):
        told = {"what": "quarantined", "model": "owned", "sha256": digest}
        supervisor._hear_worker(worker, told)
    supervisor._hear_worker(worker, told | {"model": "other"})
    for count in (1, 2, 3):
        received = theirs.receive()
        assert received is not None
        assert received[0]["what"] == "quarantine"
        assert len(received[0]["models"]) == count
    with pytest.raises(BlockingIOError):
        theirs.receive()
    assert supervisor._context.quarantine.digests_of("owned") == {"a" * 64, "b" * 64}
    theirs.close()


@pytest.mark.parametrize("why", ["", "stopping", "nobody forks", "leaving"])
def test_a_worker_in_which_a_model_hangs_retires_where_another_can_take_its_place(
    supervisor: Supervisor, why: str
) -> None:
    worker, theirs = asked_for(supervisor)
    worker.pid, worker.ready_at = 4_000_000, 1.0
    worker.zygote.is_alive = why != "nobody forks"
    supervisor._exit.code = 0 if why == "stopping" else None
    if why == "leaving":
        former, other = asked_for(supervisor)
        former.is_leaving = True
        other.close()
    supervisor._hear_worker(worker, {"what": "hung", "model": "a", "seconds": 9.0})
    assert worker.is_retiring is (why == "")
    supervisor._hear_worker(worker, {"what": "hung", "model": "a", "seconds": 9.5})
    theirs.close()


def test_a_worker_that_was_never_forked_is_not_waited_for(supervisor: Supervisor) -> None:
    worker, theirs = asked_for(supervisor)
    supervisor._pool._miss(worker)
    assert supervisor._pool.workers == []
    theirs.close()
    worker, theirs = asked_for(supervisor)
    worker.pid = 4_000_000  # the control: of this one SIGCHLD tells
    supervisor._pool._miss(worker)
    assert supervisor._pool.workers == [worker]
    theirs.close()


def test_what_fails_while_it_stops_spoils_the_exit_code(supervisor: Supervisor) -> None:
    ours, theirs = Channel.pair()
    supervisor._generations.coming = ZygoteProcess(0, ours, 0.0, is_alive=False)
    supervisor._stop(signal.SIGTERM)
    assert supervisor._exit.code == 0
    supervisor._generations.fail(3, "the loading process died")
    assert supervisor._exit.code == 1
    theirs.close()


@pytest.mark.parametrize("serves", [False, True])
def test_who_waits_for_a_reload_is_told_of_a_stop_once(
    supervisor: Supervisor, serves: bool
) -> None:
    generations = supervisor._generations
    told: list[Message] = []
    generations._is_taking_over = serves
    if serves:
        generations._asked = [told.append]  # has had its answer
        generations.reload(told.append)
    else:
        generations.coming = asked_for(supervisor)[0].zygote
        generations._asked = [told.append]
    supervisor._stop(signal.SIGTERM)
    assert told == [{"what": "failed", "reason": "the server is stopping"}]
    generations.reload(told.append)
    assert told[1:] == told[:1]
    if generations.coming is not None:
        generations.coming.channel.close()


def test_a_process_that_does_not_end_is_killed(supervisor: Supervisor, child: int) -> None:
    ours, theirs = Channel.pair()
    zygote = ZygoteProcess(child, ours, 0.0)
    zygote.kill()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    zygote.is_alive = False
    zygote.kill()  # the control: somebody else may have that number now
    ours.close()
    theirs.close()


def test_of_a_generation_that_is_slow_it_is_told_how_to_end_it(
    supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    channels = [Channel.pair() for _ in range(2)]
    coming, current = (ZygoteProcess(0, ours, 0.0) for ours, _theirs in channels)
    generations = supervisor._generations
    generations._tell_slow()
    generations.coming = coming
    generations._tell_slow()  # nothing serves: there is nothing else to do than to wait
    generations.current = current
    coming.began = time.monotonic()  # the one of which this was to be told has come, or failed
    generations._tell_slow()
    assert not caplog.records
    coming.began, coming.loading = 0.0, "a, b"
    generations._tell_slow()
    [record] = caplog.records
    assert record.getMessage() == (
        "the new generation is not ready after 60 s: loading=a, b hint=`loadonce reload --cancel` "
        "gives it up"
    )
    for channel in channels:
        for end in channel:
            end.close()


def test_of_a_rollback_that_is_slow_it_is_told_too(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    later: list[float] = []
    monkeypatch.setattr(supervisor._watch, "after", lambda seconds, _act: later.append(seconds))
    channels = [Channel.pair() for _ in range(2)]
    generations = supervisor._generations
    generations.former, generations.current = (
        ZygoteProcess(0, ours, 0.0) for ours, _theirs in channels
    )
    generations.rollback(lambda _message: None)
    assert generations.coming is not None
    assert later == [60.0]
    for channel in channels:
        for end in channel:
            end.close()


@pytest.mark.parametrize("serves", [False, True])
def test_only_what_can_be_cancelled_is_said_to_be(supervisor: Supervisor, serves: bool) -> None:
    ours, theirs = Channel.pair()
    generations, told = supervisor._generations, list[Message]()
    generations.current = ZygoteProcess(0, ours, 0.0)
    if serves:
        generations._is_taking_over = True
    else:
        generations.coming = asked_for(supervisor)[0].zygote
    generations.rollback(told.append)
    assert ("--cancel" in told[0]["reason"]) is not serves
    if serves:
        generations.cancel(told.append)
        assert told[1]["what"] == "failed"
    else:
        assert generations.coming is not None
        generations.coming.channel.close()
    ours.close()
    theirs.close()


def test_what_cannot_be_cancelled_is_told_why(supervisor: Supervisor) -> None:
    generations = supervisor._generations
    pairs = [Channel.pair() for _ in range(2)]
    current, coming = (ZygoteProcess(0, ours, 0.0) for ours, _theirs in pairs)
    told: list[Message] = []
    generations.coming = coming
    generations.cancel(told.append)
    generations.current, generations.coming = current, None
    generations.cancel(told.append)
    generations.coming, current.is_given_up = coming, True
    generations.cancel(told.append)
    current.is_given_up = False
    supervisor._exit.end(0)
    generations.cancel(told.append)
    assert [each["reason"] for each in told] == [
        "the server has not started yet",
        "no reload or rollback is under way beside what serves",
        "what served has ended for its memory: without what loads now nothing would serve",
        "the server is stopping",
    ]
    assert generations.coming is coming  # none of these ended anything
    for pair in pairs:
        for end in pair:
            end.close()


def test_a_generation_that_was_replaced_meanwhile_is_not_replaced_again(
    supervisor: Supervisor,
) -> None:
    ours, theirs = Channel.pair()
    generations = supervisor._generations
    generations.current = ZygoteProcess(0, ours, 0.0)
    generations._replace()
    assert generations.coming is None
    ours.close()
    theirs.close()


def test_workers_that_were_stopped_together_with_it_get_time_for_a_sign_of_life(
    supervisor: Supervisor,
) -> None:
    """As where a container is paused: their silence says nothing then."""
    worker, theirs = asked_for(supervisor)
    worker.ready_at = time.monotonic() - 100
    supervisor._looked_at = time.monotonic() - 50
    found = []
    for _ in range(2):  # the second is the control: it has had its time
        supervisor._look()
        found.append(worker.is_stuck)
    assert found == [False, True]
    theirs.close()


def test_a_worker_that_cannot_be_forked_is_tried_again_with_pauses(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that has the models lives on, and tells."""

    def refuse() -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    ours, others = Channel.pair()
    zygote = _Zygote(supervisor._context, ours, [])
    asked: list[tuple[bool, set[int]]] = []
    with monkeypatch.context() as patched:
        patched.setattr(os, "fork", refuse)
        for _ in range(2):
            worker, theirs = asked_for(supervisor)
            supervisor._generations.current = worker.zygote
            zygote._fork_worker({}, [os.dup(theirs.fileno())])
            theirs.close()
            supervisor._pool.hear_all(worker)
            asked.append((worker in supervisor._pool.workers, set(supervisor._pool._held)))
    ours.close()
    others.close()
    assert asked == [(False, set()), (False, {1})]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
