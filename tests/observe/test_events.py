"""Events reach every listener; one line in the log and one bar on a terminal for each model."""

from __future__ import annotations

import io
import logging

import pytest

from loadonce.observe.events import Events, ModelEvent, log_event
from loadonce.observe.progress import loading_bars
from loadonce.observe.statistics import CallStatistics


def test_every_listener_is_told_until_it_leaves() -> None:
    events = Events()
    heard: list[ModelEvent] = []
    leave = events.subscribe(heard.append)
    events.publish(ModelEvent("a", "loading"))
    leave()
    events.publish(ModelEvent("a", "ready"))
    assert [event.what for event in heard] == ["loading"]


def test_a_listener_that_raises_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    events = Events()
    heard: list[ModelEvent] = []

    def fail(_event: ModelEvent) -> None:
        raise ValueError("no")

    events.subscribe(fail)
    events.subscribe(heard.append)
    events.publish(ModelEvent("a", "loading"))
    assert len(heard) == 1
    assert "listener" in caplog.text


def test_one_structured_line_for_each_model(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "loadonce")
    ready = ModelEvent("a", "ready", "v1", "abc", 10, 20, 0.12345)
    for event in (
        ModelEvent("a", "loading"),
        ready,
        ModelEvent("b", "failed", error="why\n  to do: this"),
        ModelEvent("c", "cancelled"),
        ModelEvent("a", "unloaded", version="v1"),
    ):
        log_event(event)
    assert [record.getMessage() for record in caplog.records] == [
        "model ready: model=a version=v1 sha256=abc bytes=10 seconds=0.123 memory_added=20",
        "model failed: model=b reason=why; to do: this",
        "load cancelled: model=c",
        "model unloaded: model=a version=v1",
    ]
    assert caplog.records[0].__dict__["loadonce"]["memory_added"] == 20


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_for_each_model() -> None:
    events, terminal = Events(), Terminal()
    with loading_bars(events, terminal):
        for what in ("declared", "verifying", "loading", "warming"):
            events.publish(ModelEvent("diabetes", what))
        events.publish(ModelEvent("diabetes", "ready", bytes_on_disk=2_500_000))
        events.publish(ModelEvent("pool", "ready"))
        events.publish(ModelEvent("heart", "failed"))
        events.publish(ModelEvent("heart", "unloaded"))
    shown = terminal.getvalue()
    assert "diabetes" in shown
    assert "ready (2.4 MiB)" in shown
    assert "failed" in shown


def test_elsewhere_nothing_is_drawn() -> None:
    events, stream = Events(), io.StringIO()
    with loading_bars(events, stream):
        events.publish(ModelEvent("diabetes", "loading"))
    assert stream.getvalue() == ""


def test_statistics_count_and_estimate() -> None:
    statistics = CallStatistics()
    statistics.started(2, 0.75, is_batch=True)
    assert statistics.snapshot({}).in_flight == 2
    statistics.finished(2, 4.0, errors=0)
    statistics.started(1, 0.0, is_batch=False)
    statistics.finished(1, 4.0, errors=1)
    found = statistics.snapshot({"f": {1: "inline"}})
    assert (found.calls, found.errors, found.in_flight, found.waiting) == (3, 1, 0, 0)
    assert (found.queue_seconds, found.compute_seconds) == (0.75, 8.0)
    assert found.batch_sizes == {2: 1}
    assert found.placements == {"f": {1: "inline"}}
    statistics.single_batches = 3
    assert statistics.snapshot({}).batch_sizes == {1: 3, 2: 1}
    assert statistics.queue_estimate(10, 2) == pytest.approx(20)
    assert statistics.queue_estimate(0, 1) == 1
