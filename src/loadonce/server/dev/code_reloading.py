"""uvicorn's watcher of code, with a holder in the place of a process that loads everything anew."""

from __future__ import annotations

import atexit
import os
import select
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from loadonce.server.options import ServeOptions
from loadonce.server.workers.child_processes import kill
from loadonce.server.workers.zygote import become
from loadonce.system.channel import Channel

if TYPE_CHECKING:
    from uvicorn.supervisors.basereload import BaseReload as ChangeReload
else:
    from uvicorn.supervisors import ChangeReload

_PATIENCE = 5.0  # seconds; the app's process ends itself within three
_LOADING = 600.0  # seconds for a load that is under way, if it will be needed


class HeldProcess:
    """The app's process, started and stopped through a holder."""

    def __init__(self, options: ServeOptions, listener: socket.socket) -> None:
        self._options = options
        self._listener = listener
        self._holder = 0
        self._channel: Channel | None = None
        self._is_loading = False

    def start(self) -> None:
        """Start it, with a new holder where there is none (any more)."""
        if self._channel is None:
            self._channel = self._fork_holder()
        self._channel.send({"what": "start"})

    def terminate(self) -> None:
        """Ask it to end."""
        if self._channel is not None:
            self._channel.send({"what": "stop"})

    def join(self, loading: float = 0.0) -> None:
        """Wait for its end; a load under way gets so many seconds, or is given up."""
        ends = time.monotonic() + _PATIENCE
        while self._channel is not None:
            left = ends - time.monotonic() + (loading if self._is_loading else 0.0)
            received = None
            if select.select([self._channel], [], [], max(0.0, left))[0]:
                received = self._channel.receive()
            if received is None:
                self._give_up(self._channel)
                return
            what = received[0]["what"]
            self._note(what)
            if what == "ended":
                return
            if self._is_loading and not loading:
                self._give_up(self._channel)

    def altered_locks(self) -> list[Path]:
        """The lock files of the app that have been altered, as far as its holder has told by
        now."""
        found: list[Path] = []
        while self._channel is not None and select.select([self._channel], [], [], 0.0)[0]:
            received = self._channel.receive()
            if received is None:  # the next start finds it so
                break
            self._note(received[0]["what"])
            found += map(Path, received[0].get("paths", ()))
        return found

    def end(self) -> None:
        """Let the holder end, too."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
            os.waitpid(self._holder, 0)

    def _note(self, what: str) -> None:
        if what in ("loading", "loaded"):
            self._is_loading = what == "loading"

    def _give_up(self, channel: Channel) -> None:
        kill(self._holder, signal.SIGKILL)  # and with it what it has forked
        os.waitpid(self._holder, 0)
        channel.close()
        self._channel = None

    def _fork_holder(self) -> Channel:
        ours, theirs = Channel.pair()
        server = os.getpid()
        self._holder = os.fork()
        if self._holder == 0:
            ours.close()
            atexit._clear()

            def run() -> int:
                from .holder import Holder

                return Holder(self._options, self._listener, theirs, server).run()

            become(run)
        theirs.close()
        self._is_loading = False
        return ours


class CodeReload(ChangeReload):
    """Restarts the app's process when code changes, or a lock file.

    Args:
        config: what uvicorn's watcher wants to know.
        options: what to serve.
        listener: where.
    """

    def __init__(
        self, config: uvicorn.Config, options: ServeOptions, listener: socket.socket
    ) -> None:
        super().__init__(config, target=_never, sockets=[listener])
        self.held = HeldProcess(options, listener)

    def startup(self) -> None:
        """Take the signals, start the app's process."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.signal_handler)
        self.held.start()

    def should_restart(self) -> list[Path] | None:
        """What has changed, code or lock files."""
        return super().should_restart() or self.held.altered_locks() or None

    def restart(self) -> None:
        """Another process, of the code as it is now."""
        # uvicorn's watcher without watchfiles: it would see the same change at each look.
        getattr(self, "mtimes", {}).clear()
        self.held.terminate()
        self.held.join(_LOADING)
        self.held.start()

    def shutdown(self) -> None:
        """The end."""
        self.held.terminate()
        self.held.join()
        self.held.end()


def _never(_sockets: list[socket.socket] | None) -> None:
    raise AssertionError("unreachable")
