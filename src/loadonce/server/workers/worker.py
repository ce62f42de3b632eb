"""A worker: it serves, with models that it was forked with or loads by itself, until it is told to
stop or to leave."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from loadonce.lifecycle.quarantine import quarantine
from loadonce.lifecycle.reporting import models_by_name
from loadonce.server.app.accepting import Share
from loadonce.server.app.ending import EXIT_FAILED, failed, guarded
from loadonce.server.app.hanging import hung_model
from loadonce.server.app.parting import let_move
from loadonce.server.app.process import AppProcess, loaded_models
from loadonce.server.board.board import Board, Row
from loadonce.server.board.journal import Journal, known_registries
from loadonce.server.options import ServeOptions
from loadonce.system.channel import Channel
from loadonce.system.linux import die_with
from loadonce.system.signals import STOP_SIGNALS

from .expecting import expect, tell_late
from .health import tell_where_when_asked
from .supervisor_client import SupervisorClient

if TYPE_CHECKING:
    import uvicorn

    from loadonce.server.app.app_server import AppServer

BEAT = 0.5  # seconds between two signs of life


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What a worker is given.

    Attributes:
        number: 1 for the first of those that serve together; its successor has the same.
        restarts: how many had that number before.
        row, board: where it writes how it is, and sees how the others are.
        channel: to the supervisor.
        supervisor: the process it belongs to.
        quarantined: names and digests of models that must not serve.
        expected: names of models that others serve: it must too, from its start on.
    """

    number: int
    restarts: int
    row: Row
    board: Board
    channel: Channel
    supervisor: int
    quarantined: list[dict[str, str]] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)


def run_worker(
    config: uvicorn.Config, options: ServeOptions, listener: socket.socket, spec: WorkerSpec
) -> int:
    """Serve, forked with the models in this process; returns the exit code."""
    _come_to_life(spec, is_one_of_several=options.workers > 1)
    return serve_as_worker(options, listener, spec, lambda: config, _nothing)


def serve_as_worker(
    options: ServeOptions,
    listener: socket.socket,
    spec: WorkerSpec,
    prepare: Callable[[], uvicorn.Config],
    on_ready: Callable[[], None],
) -> int:
    """Serve; returns the exit code.

    Args:
        options: of the server.
        listener: the socket all workers accept from.
        spec: what this one is given.
        prepare: imports the app, unless it is; returns how uvicorn serves it.
        on_ready: called once requests are accepted.
    """
    channel = spec.channel
    tell_where_when_asked()

    def ready(_url: str) -> None:
        on_ready()
        channel.send({"what": "ready", "models": loaded_models()})

    process = AppProcess(options, ready, interrupts=1)
    supervisor = SupervisorClient(channel)
    share = Share(spec.board, spec.row)

    def beside(server: AppServer) -> None:
        loop = asyncio.get_running_loop()
        channel.set_blocking(False)
        loop.add_reader(channel.fileno(), _obey, process, channel, supervisor)
        connections = server.server_state.connections

        def balance() -> None:
            let_move(connections, share.surplus)

        _beat(loop, spec, options.worker_timeout, balance)

    def run() -> int:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        config = prepare()
        _introduce(spec, supervisor)
        journal = Journal(spec.board, spec.row, worker=spec.number, restarts=spec.restarts)
        return process.run(config, listener, share=share, journal=journal, beside=beside)

    return guarded(options, process.stopping, run, lambda error: channel.send(failed(error)))


def _introduce(spec: WorkerSpec, supervisor: SupervisorClient) -> None:
    """The app is imported: let the supervisor know its models, and each of them how to reach it."""
    models = models_by_name(known_registries())
    for number, (name, model) in enumerate(models.items(), 1):
        model.slot.mark = spec.row.mark(number)
        model.slot.reload_elsewhere = supervisor.reload
        model.slot.on_quarantine = partial(supervisor.tell_quarantined, name)
    spec.channel.send({"what": "started", "pid": os.getpid(), "models": [*models]})
    _isolate(spec.quarantined)
    expect(spec.expected)
    tell_late(spec.channel)


def _come_to_life(spec: WorkerSpec, *, is_one_of_several: bool) -> None:
    """Undo what a copy of the zygote should not have in common with it."""
    die_with(spec.supervisor)
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    reseed()
    gc.enable()
    if is_one_of_several:
        name_worker(spec.number)


def reseed() -> None:
    """Draw other random numbers than the process this one was forked from."""
    random.seed()
    if "numpy.random" in sys.modules:  # else nobody has drawn from it
        import numpy

        numpy.random.seed()  # the global generator is what it is about
    if "torch" in sys.modules:
        import torch

        torch.default_generator.seed()  # a device's has begun in nobody who may fork


def name_worker(number: int) -> None:
    """Let each log line of this process say which worker wrote it."""

    def add(record: logging.LogRecord) -> bool:
        record.worker = number
        return True

    for handler in logging.getLogger().handlers:
        handler.addFilter(add)


def _obey(process: AppProcess, channel: Channel, supervisor: SupervisorClient) -> None:
    """What the supervisor asks for. Its own end nobody survives."""
    received = channel.receive()
    if received is None:
        asyncio.get_running_loop().remove_reader(channel.fileno())
    elif received[0]["what"] == "leave":
        process.stopping.replace()
    elif received[0]["what"] == "quarantine":
        _isolate(received[0]["models"])
    else:
        supervisor.hear(received[0])


def _isolate(models: Iterable[dict[str, str]]) -> None:
    for each in models:
        quarantine(known_registries(), each["model"], each["sha256"])


def _beat(
    loop: asyncio.AbstractEventLoop,
    spec: WorkerSpec,
    patience: float,
    balance: Callable[[], None],
) -> None:
    """The event loop runs; and say so if a model does not."""
    if os.getppid() != spec.supervisor:  # where the system does not kill this process with it
        os._exit(EXIT_FAILED)
    spec.row.beat()
    balance()
    hung = hung_model(known_registries(), patience)
    if hung is not None:
        seconds = round(hung.seconds, 1)
        spec.channel.send({"what": "hung", "model": hung.model, "seconds": seconds})
    loop.call_later(BEAT, _beat, loop, spec, patience, balance)


def _nothing() -> None:
    """The supervisor tells."""
