"""Refusing: while an app does not run, its clients are told so at once."""

from __future__ import annotations

import contextlib
import json
import socket

from loadonce.system.watching import Watch

_PATIENCE = 0.5  # seconds for a client that says nothing
_CHUNK = 65_536
_MOST_CHUNKS = 64  # of a body that nobody reads

_BODY = json.dumps(
    {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "The app does not run: the terminal of `loadonce dev` says why.",
    }
).encode()
_ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
    b"Cache-Control: no-store\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
) % (len(_BODY), _BODY)


class Refusal:
    """Answers 503 to whoever connects, from `begin` to `end`.

    Args:
        watch: of the process that answers.
        listener: the app's.
    """

    def __init__(self, watch: Watch, listener: socket.socket) -> None:
        self.is_on = False
        self._watch = watch
        self._listener = listener

    def begin(self) -> None:
        """From now on."""
        if not self.is_on:
            self.is_on = True
            self._watch.look(self._listener, self._refuse)

    def end(self) -> None:
        """Somebody else accepts."""
        if self.is_on:
            self.is_on = False
            self._watch.look_away(self._listener)

    def _refuse(self) -> None:
        with contextlib.suppress(OSError):  # the client has left
            connection, _address = self._listener.accept()
            with connection:
                connection.settimeout(_PATIENCE)
                connection.recv(_CHUNK)
                connection.sendall(_ANSWER)
                connection.shutdown(socket.SHUT_WR)
                for _ in range(_MOST_CHUNKS):  # else closing would take the answer back
                    if not connection.recv(_CHUNK):
                        break
