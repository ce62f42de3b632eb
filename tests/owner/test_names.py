"""Functions cross by their names, so they must have one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from loadonce.errors import ConfigurationError
from loadonce.owner.names import find, name_of


class Thing:
    def method(self) -> None: ...
    @staticmethod
    def static() -> None: ...


def function(value: object) -> object:
    return value


@pytest.mark.parametrize("found", [function, Thing, Thing.method, Thing.static, len])
def test_what_a_module_has_is_found_by_its_name(found: Any) -> None:
    assert find(*name_of(found)) is found


def _inner() -> Callable[[], None]:
    def inner() -> None: ...

    return inner


_REFUSED = [lambda value: value, _inner(), Thing().method, partial(function, 1), object(), "text"]


@pytest.mark.parametrize("found", _REFUSED, ids=lambda found: type(found).__name__)
def test_anything_else_is_refused_and_the_message_says_what_to_do(found: Any) -> None:
    with pytest.raises(ConfigurationError, match="use a function of a module, not a lambda"):
        name_of(found)


def test_a_module_is_imported_where_it_is_not_yet() -> None:
    with pytest.raises(ConfigurationError, match="there is no 'x' in module"):
        find("no.such", "x")
    assert callable(find("wave", "open"))
