"""Processes as /proc shows them; with a /proc of the test's own: tests/server/test_running.py."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from loadonce.observe.processes import children_of, descendants_of, name_of, seconds_of, take_name


@pytest.fixture
def child() -> Iterator[int]:
    """A process with a child and a name."""
    told, tells = os.pipe()
    ends, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        take_name("a name of its ow")
        os.close(end)
        if os.fork() == 0:
            os.write(tells, b"x")
        os.read(ends, 1)
        os._exit(0)
    assert os.read(told, 1) == b"x"
    yield pid
    os.close(end)
    os.waitpid(pid, 0)
    for descriptor in (told, tells, ends):
        os.close(descriptor)


def test_a_process_is_seen_with_its_family_and_its_name(child: int) -> None:
    assert child in children_of(os.getpid())
    (grandchild,) = children_of(child)
    assert {child, grandchild} <= set(descendants_of(os.getpid()))
    assert name_of(child) == name_of(grandchild) == "a name of its o"
    assert name_of(os.getpid()) != name_of(child)
    assert 0 <= seconds_of(child) <= seconds_of(os.getpid())


def test_of_one_that_has_ended_nothing_is_told() -> None:
    assert (children_of(4_000_000), name_of(4_000_000)) == ([], "")
