"""One thread hears messages, signals, ends and times; one event may undo another."""

from __future__ import annotations

import os
import signal

from loadonce.system.channel import Channel
from loadonce.system.watching import Watch


def test_messages_signals_ends_and_times_are_heard_in_one_thread() -> None:
    heard: list[object] = []
    watch = Watch(heard.append, lambda _pid, status: heard.append(status))
    here, there = Channel.pair()
    with watch.signals():
        watch.listen(here, heard.append, lambda: heard.append("gone"))
        watch.after(0.0, lambda: heard.append("due"))
        watch.turn()
        there.send({"what": "hello"})
        watch.turn()
        os.kill(os.getpid(), signal.SIGTERM)
        watch.turn()
        child = os.fork()
        if child == 0:
            os._exit(3)
        while 3 not in heard:
            watch.turn()
        there.close()
        watch.turn()  # an end that is gone is not heard again and again
        watch.hang_up(here)
    assert heard == ["due", {"what": "hello"}, signal.SIGTERM, 3, "gone"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def test_an_event_that_another_has_undone_is_not_heard() -> None:
    heard: list[object] = []
    watch = Watch(heard.append, lambda _pid, _status: None)
    pairs = [Channel.pair(), Channel.pair()]
    ours = [pair[0] for pair in pairs]

    def hear(message: object) -> None:
        heard.append(message)
        for channel in ours:
            watch.hang_up(channel)

    with watch.signals():
        for here, there in pairs:
            there.send({"what": "hello"})
            watch.listen(here, hear, lambda: None)
        watch.turn()
    assert heard == [{"what": "hello"}]
    for _here, there in pairs:
        there.close()
