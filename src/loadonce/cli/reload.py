"""`loadonce reload` and `loadonce rollback`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_Pid = Annotated[
    int | None,
    typer.Option("--pid", help="Which server: its process, or one of its workers."),
]
_Socket = Annotated[Path | None, typer.Option("--socket", help="Its control socket instead.")]

_FAILED, _NOT_FOUND = 1, 2


def reload(
    pid: _Pid = None,
    socket: _Socket = None,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait", help="Until no answer comes from the former models any more, or it failed."
        ),
    ] = False,
    cancel: Annotated[
        bool,
        typer.Option(
            "--cancel", help="Instead, give up the reload or rollback under way: it may hang."
        ),
    ] = False,
) -> None:
    """Have a running server load its code and its models anew, beside what serves.

    If that fails, or is cancelled, nothing has changed. Ends with 0 when it is done (without
    --wait: begun), 1 if it failed, 2 if no server was found.

    Example:

      loadonce lock models && loadonce reload --wait
    """
    if cancel:
        _order("cancel", pid, socket, "ended")
    else:
        _order("reload", pid, socket, "ended" if wait else "accepted")


def rollback(pid: _Pid = None, socket: _Socket = None) -> None:
    """Have a running server serve the models and the code before the last reload again.

    They are still in memory: nothing is loaded. Again, it goes forward. Ends with 0 when it is
    done, 1 if it failed, 2 if no server was found.

    Example:

      loadonce rollback --pid 4711
    """
    _order("rollback", pid, socket, "ended")


def _order(what: str, pid: int | None, socket: Path | None, until: str) -> None:
    from loadonce.errors import LoadOnceError
    from loadonce.server.workers.ordering import ordered

    from .app import print_error

    try:
        with ordered(socket or _control_of(pid), what) as answers:
            while True:
                message = next(answers)
                if message["what"] == "failed":
                    print_error(f"{what} failed: {message['reason']}")
                    raise typer.Exit(_FAILED)
                typer.echo(_told(what, message))
                if message["what"] == until:
                    return
    except LoadOnceError as error:
        print_error(str(error))
        raise typer.Exit(_NOT_FOUND) from error


def _told(what: str, message: dict[str, object]) -> str:
    if message["what"] == "accepted":
        return f"{what} accepted"
    if message["what"] == "serves":
        return f"serving after {message['seconds']} s"
    if what == "cancel":
        return "cancelled: what served serves on"
    return "no answer comes from the former generation any more"


def _control_of(pid: int | None) -> Path:
    from loadonce.errors import ConfigurationError
    from loadonce.server.board.running import find_info

    info, _board = find_info(pid)
    if not info.control:
        raise ConfigurationError(
            f"server {info.pid} has no control socket (--no-fork): see its log"
        )
    return Path(info.control)
