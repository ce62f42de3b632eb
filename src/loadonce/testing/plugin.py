"""The pytest plugin of loadonce: fixtures for tests of apps that use it.

pytest loads it in every run, so it imports nothing until a fixture is used.

- `loadonce_overrides`: `loadonce_overrides(models, diabetes=stub)` holds until the test ends.
- `loadonce_clock`: a `FakeClock`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from loadonce.lifecycle.registry import Registry

    from .clock import FakeClock


class Override(Protocol):
    """What the fixture `loadonce_overrides` gives."""

    def __call__(self, registry: Registry, /, **stubs: object) -> None: ...


@pytest.fixture
def loadonce_overrides() -> Iterator[Override]:
    """Put stubs in place of a registry's models until the test ends; see `overrides`.

    Use it before the app starts, and the artifacts are never opened.
    """
    from .overriding import overrides

    with ExitStack() as stack:

        def override(registry: Registry, /, **stubs: object) -> None:
            stack.enter_context(overrides(registry, **stubs))

        yield override


@pytest.fixture
def loadonce_clock() -> FakeClock:
    """A `FakeClock`: an event loop made by it jumps over every wait."""
    from .clock import FakeClock

    return FakeClock()
