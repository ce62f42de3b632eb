"""What a spawned worker runs: `main`, in an interpreter of its own, started by its supervisor."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

from loadonce.observe.collection import paused
from loadonce.server.app.configuring import configure_process
from loadonce.server.app.ending import EXIT_STOPPED
from loadonce.server.app.importing import import_app
from loadonce.server.app.process import import_what_serves
from loadonce.server.board.board import Board
from loadonce.server.board.journal import known_registries
from loadonce.system.channel import Channel, Message
from loadonce.system.linux import die_with

from .locks import lock_files, stamps
from .spawning import options_from_json
from .worker import WorkerSpec, name_worker, serve_as_worker
from .zygote import become

if TYPE_CHECKING:
    import uvicorn

    from loadonce.server.app.logs import StartLines
    from loadonce.server.options import ServeOptions


def main(descriptor: int) -> None:
    """Serve as the supervisor says, by the channel at this descriptor; ends the process."""
    os.set_inheritable(descriptor, False)
    channel = Channel(socket.socket(fileno=descriptor))
    become(lambda: _run(channel))


def _run(channel: Channel) -> int:
    received = channel.receive()
    if received is None:  # its supervisor has ended
        return EXIT_STOPPED
    message, _descriptors = received
    die_with(message["supervisor"])
    options = options_from_json(message["options"])
    lines = configure_process(options, is_silent=message["is_silent"])
    name_worker(message["number"])
    os.set_inheritable(message["listener"], False)
    listener = socket.socket(fileno=message["listener"])
    return _serve(options, lines, listener, _spec_of(message, channel))


def _serve(
    options: ServeOptions, lines: StartLines, listener: socket.socket, spec: WorkerSpec
) -> int:
    with ExitStack() as starting:
        starting.enter_context(paused())

        def prepare() -> uvicorn.Config:
            app = import_app(options.target, app_dir=options.app_dir, is_factory=options.is_factory)
            locks = stamps(lock_files(known_registries()))  # before they are read
            spec.channel.send({"what": "locks", "locks": locks})
            return import_what_serves(options, app)

        def ready() -> None:
            starting.close()
            lines.started()

        return serve_as_worker(options, listener, spec, prepare, ready)


def _spec_of(message: Message, channel: Channel) -> WorkerSpec:
    board = Board.inherited(message["board"])
    return WorkerSpec(
        number=message["number"],
        restarts=message["restarts"],
        row=board[message["row"]],
        board=board,
        channel=channel,
        supervisor=message["supervisor"],
        quarantined=message["quarantined"],
        expected=message["expected"],
    )
