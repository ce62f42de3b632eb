"""What is loaded, kept out of the garbage collector's walks."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

from loadonce.observe.memory import give_back_freed


class Freezer:
    """Freezes (`gc.freeze`) what stays for the life of a registry's run.

    Args:
        is_wanted: else nothing here does anything.
    """

    def __init__(self, *, is_wanted: bool) -> None:
        self._is_wanted = is_wanted
        self._running: asyncio.Future[None] | None = None

    def begin(self) -> None:
        """Before loading: what was imported stays. To walk it would take as long as an import, and
        find next to nothing."""
        if self._is_wanted:
            gc.freeze()

    async def settle(self) -> None:
        """All is loaded: let go the garbage that loading left, its memory too; keep the rest."""
        await self._run(_settle)

    async def renew(self) -> None:
        """Something was unloaded: what was frozen with it may go now."""
        await self._run(_renew)

    def add(self) -> None:
        """Something was loaded after the start."""
        if self._running is not None:
            gc.freeze()

    async def end(self) -> None:
        """Nothing is loaded any more."""
        if self._running is not None:
            await asyncio.wait([self._running])
        if self._is_wanted:
            gc.unfreeze()

    async def _run(self, work: Callable[[], None]) -> None:
        if self._is_wanted:
            self._running = asyncio.get_running_loop().run_in_executor(None, work)
            await asyncio.shield(self._running)


def _settle() -> None:
    gc.collect()
    gc.freeze()
    give_back_freed()


def _renew() -> None:
    gc.unfreeze()
    _settle()
