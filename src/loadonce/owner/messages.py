"""What the two sides of a connection say to each other: a message is a list that begins so."""

from __future__ import annotations

from typing import Final

# To the owner, each with the number of the call.
RUN: Final = "run"  # function, arguments, keyword arguments
BATCH: Final = "batch"  # function, [item], {}
MANY: Final = "many"  # function, [items], {"return_exceptions": ...}
RELOAD: Final = "reload"  # and tell the others
CANCEL: Final = "cancel"

# From the owner, the first three with the number of the call.
RESULT: Final = "result"
RESULTS: Final = "results"  # for each item whether it is a result, and the result or the error
ERROR: Final = "error"
HELLO: Final = "hello"  # what the owner has loaded
FAILED: Final = "failed"  # why it has not
NEWER: Final = "newer"  # it has a newer version; this connection keeps the one it began with
COUNTED: Final = "counted"  # what it has counted since it last told anyone
