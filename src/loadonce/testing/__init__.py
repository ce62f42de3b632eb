"""Helpers for tests of apps that use loadonce.

- `overrides(models, diabetes=stub)`: several stubs at once; no artifact is opened.
- `OffLoop(stub)`: fails the test when the model is called on the event loop.
- `running_client(app)`: an asynchronous client of the app, its lifespan running.
- `FakeClock`: an event loop whose hours pass at once: back-off, timeouts, drains.

With pytest they are fixtures too: `loadonce_overrides`, `loadonce_clock`.
"""

from __future__ import annotations

from .client import running_client
from .clock import FakeClock
from .off_loop import CalledOnLoopError, OffLoop
from .overriding import overrides

__all__ = ["CalledOnLoopError", "FakeClock", "OffLoop", "overrides", "running_client"]
