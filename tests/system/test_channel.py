"""Messages arrive whole, with descriptors, and an end that is gone is noticed."""

from __future__ import annotations

import os

import pytest

from loadonce.system.channel import Channel, close_descriptors


def test_messages_arrive_one_by_one() -> None:
    here, there = Channel.pair()
    assert here.send({"what": "a"})
    assert here.send({"what": "b", "text": "x" * 10_000})
    assert there.receive() == ({"what": "a"}, [])
    received = there.receive()
    assert received is not None
    assert len(received[0]["text"]) == 10_000
    there.set_blocking(False)
    with pytest.raises(BlockingIOError):
        there.receive()
    here.close()
    assert there.receive() is None
    assert there.send({"what": "c"}) is False
    there.close()


def test_elsewhere_than_on_linux_messages_arrive_one_by_one_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    here, there = Channel.pair()
    for text in ("", "x" * 60_000):
        assert here.send({"what": "a", "text": text})
    assert there.receive() == ({"what": "a", "text": ""}, [])
    assert there.receive() == ({"what": "a", "text": "x" * 60_000}, [])
    here.close()
    assert there.send({"what": "b"}) is False
    there.close()


def test_a_message_that_is_too_long_is_a_mistake_of_ours() -> None:
    here, there = Channel.pair()
    with pytest.raises(OSError, match="Message too long"):
        here.send({"text": "x" * 10_000_000})
    here.close()
    there.close()


def test_a_descriptor_is_another_one_for_the_same_file() -> None:
    here, there = Channel.pair()
    read, write = os.pipe()
    here.send({}, write)
    received = there.receive()
    assert received is not None
    [copy] = received[1]
    os.close(write)
    os.write(copy, b"x")
    assert os.read(read, 1) == b"x"
    close_descriptors([copy, copy])  # the second time does no harm
    assert os.read(read, 1) == b""
    os.close(read)
    here.close()
    there.close()


def test_an_end_that_closes_with_messages_unread_is_an_end() -> None:
    here, there = Channel.pair()
    here.send({"what": "never read"})
    there.close()  # resets the connection
    assert here.receive() is None
    here.close()


def test_what_is_no_message_ends_the_talk() -> None:
    for text in (b"{", b"[1]", b"\xff"):
        here, there = Channel.pair()
        os.write(there.fileno(), text)
        assert here.receive() is None
        here.close()
        assert not here.send({"what": "closed"})
        there.close()
