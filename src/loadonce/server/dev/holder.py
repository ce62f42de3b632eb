"""The holder: a process that has the models loaded, and forks the one that serves the app.

It has imported libraries and nothing of the app, so that each process it forks imports the app as
it is now. For the development server: code changes, models stay.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from loadonce.errors import LoadOnceError
from loadonce.lifecycle.object_cache import (
    NOT_LOCKED,
    LoadRequest,
    NotCacheableError,
    ObjectCache,
    request_of,
)
from loadonce.lifecycle.slot import Slot
from loadonce.observe.events import Events, log_fields
from loadonce.observe.progress import loading_bars
from loadonce.server.app.ending import EXIT_STOPPED
from loadonce.server.app.importing import set_environment
from loadonce.server.app.preparing import prepare
from loadonce.server.board.journal import known_registries
from loadonce.server.options import ServeOptions
from loadonce.server.serving import serve
from loadonce.server.workers.child_processes import kill
from loadonce.server.workers.locks import Entries, altered, entries, lock_files
from loadonce.server.workers.worker import reseed
from loadonce.server.workers.zygote import become
from loadonce.system.channel import Channel, Message
from loadonce.system.linux import die_with
from loadonce.system.one_thread import OneThread
from loadonce.system.watching import Watch

from .own_code import is_own
from .refusing import Refusal
from .written import WrittenArtifacts

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_LOOK = 0.5  # seconds between two looks at the lock files
_EXPECTED = ("a resource", NOT_LOCKED)


class _WantsModelsError(BaseException):
    """The app declares models that the holder should load; like KeyboardInterrupt, no Exception."""


class Holder:
    """Runs in a process of its own until its channel is closed.

    Args:
        options: of the server.
        listener: the socket each app's process accepts from, one after the other.
        channel: to the development server, which asks to "start" and to "stop".
        server: the process it belongs to.
    """

    def __init__(
        self, options: ServeOptions, listener: socket.socket, channel: Channel, server: int
    ) -> None:
        self._options = options
        self._listener = listener
        self._channel = channel
        self._server = server
        self._watch = Watch(lambda _signal: None, self._reap)  # the server passes on what counts
        self._environment = OneThread()
        self._cache = ObjectCache()
        self._requests: list[LoadRequest] = []
        self._locks: Entries = {}  # as they were when the app's process read them
        self._written = WrittenArtifacts()
        self._refusal = Refusal(self._watch, listener)
        self._child = 0
        self._is_wanted = False
        self._is_over = False

    def run(self) -> int:
        """Start and stop the app's process as asked."""
        die_with(self._server)
        self._environment.set()
        set_environment()
        prepare(self._options, _nobody)
        with self._watch.signals():
            self._watch.listen(self._channel, self._hear, self._end)
            self._look_at_locks()
            while not self._is_over:
                self._watch.turn()
        return EXIT_STOPPED

    # -- what the server asks ------------------------------------------------------------------

    def _hear(self, message: Message) -> None:
        self._is_wanted = message["what"] == "start"
        if self._is_wanted:
            self._fork()
        elif self._child:
            kill(self._child, signal.SIGTERM)
        else:
            self._channel.send({"what": "ended"})

    def _end(self) -> None:
        self._is_over = True

    # -- the app's process ---------------------------------------------------------------------

    def _fork(self) -> None:
        if not self._is_wanted:  # any more
            return
        gc.freeze()
        self._refusal.end()
        ours, theirs = Channel.pair()
        holder, child = os.getpid(), os.fork()
        if child == 0:
            self._watch.forget()
            self._channel.close()
            ours.close()
            become(lambda: self._serve(theirs, holder))
        theirs.close()
        self._child, self._hears = child, ours
        self._requests = []
        self._watch.listen(ours, self._note, _nothing)

    def _note(self, message: Message) -> None:
        if "locks" in message:
            self._locks = entries(message["locks"])
            self._written.forget()
        else:
            self._requests.append(LoadRequest(**message))

    def _reap(self, pid: int, _status: int) -> None:
        if pid != self._child:
            return
        self._watch.drain(self._hears, self._note, _nothing)
        self._watch.hang_up(self._hears)
        self._child = 0
        if not self._is_wanted:
            self._channel.send({"what": "ended"})
        elif self._requests:
            self._load()
            self._watch.after(0.0, self._fork)
        else:
            self._refusal.begin()

    def _look_at_locks(self) -> None:
        """Tell the server of those that have been altered. What the app's process has locked on
        first use is no news, unless it does not run."""
        now = entries(self._locks)
        if not self._refusal.is_on:
            self._written.look(now)
        if found := altered(self._locks, now, is_wider=self._refusal.is_on):
            self._locks = {}
            self._channel.send({"what": "altered", "paths": found})
        self._watch.after(_LOOK, self._look_at_locks)

    def _load(self) -> None:
        self._channel.send({"what": "loading"})
        events = Events()
        with loading_bars(events):
            asyncio.run(self._cache.load(self._requests, events))
        kept = [request.name for request in self._requests if request.key in self._cache.objects]
        if kept:
            fields: dict[str, object] = {"models": ", ".join(kept)}
            log_fields(logging.INFO, "kept loaded while code changes", fields)
        self._channel.send({"what": "loaded"})

    # -- in the app's process ------------------------------------------------------------------

    def _serve(self, channel: Channel, holder: int) -> int:
        die_with(holder)
        self._environment.put_back()
        reseed()
        os.environ["LOADONCE_DEVELOPMENT"] = "1"
        # Python takes compiled code for current if size and second are: two quick changes are not.
        sys.dont_write_bytecode = True
        gc.enable()
        try:
            return serve(self._options, self._listener, on_import=lambda: self._adopt(channel))
        except _WantsModelsError:
            return EXIT_STOPPED

    def _adopt(self, channel: Channel) -> None:
        """The app is imported: let its models adopt what is loaded, or ask for it to be loaded."""
        channel.send({"locks": lock_files(known_registries())})
        requests: dict[Slot[Any], LoadRequest] = {}
        reasons: dict[str, list[str]] = defaultdict(list)
        for registry in known_registries():
            for model in registry:
                try:
                    requests[model.slot] = request_of(model.slot, registry.root, is_own)
                except NotCacheableError as error:
                    reasons[str(error)].append(model.name)
                except LoadOnceError:
                    continue  # its load will tell
        if self._cache.lacks(requests.values()):
            for request in requests.values():
                channel.send(asdict(request))
            raise _WantsModelsError
        for slot, request in requests.items():
            self._cache.hand_over(slot, request)
        for reason, names in reasons.items():
            if reason not in _EXPECTED:
                fields: dict[str, object] = {"models": ", ".join(names), "reason": reason}
                log_fields(logging.INFO, "loaded anew when code changes", fields)


async def _nobody(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """An app that is never served, only looked at."""


def _nothing() -> None:
    """Another event tells."""
