"""Why a server does not do what it is asked for."""

from __future__ import annotations

from .child_processes import ZygoteProcess

BUSY = "a reload is under way: try again when it has ended"
CANCELLABLE = f"{BUSY}, or end it by `loadonce reload --cancel`"
STARTING = "the server has not started yet"
NOT_RELOADED = "no former generation is kept: nothing was reloaded yet"
_INSTEAD = "; put the former artifacts back, then `loadonce lock` and `loadonce reload`"
BY_OPTION = f"no former generation is kept, as the options of `loadonce serve` say{_INSTEAD}"
OWNED = (
    "no former generation is kept beside a model with placement='process', so that no device is "
    f"held twice{_INSTEAD}"
)
SCARCE = f"no former generation is kept: memory is scarce{_INSTEAD}"
LOST = f"no former generation is kept any more: the log says how it ended{_INSTEAD}"
STOPPING = "the server is stopping"
CANCELLED = "cancelled"
NOTHING_COMES = "no reload or rollback is under way beside what serves"
ALONE = "what served has ended for its memory: without what loads now nothing would serve"


def of_cancel(
    current: ZygoteProcess | None, coming: ZygoteProcess | None, *, is_stopping: bool
) -> str:
    """Why what comes is not given up; "" if it can be, for something else serves."""
    if is_stopping:
        return STOPPING
    if current is None:
        return STARTING
    if coming is None:
        return NOTHING_COMES
    return ALONE if current.is_given_up else ""
