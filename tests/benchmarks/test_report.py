"""Tables, aims, and their place in the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import publishing, shows, tables
from benchmarks.figures import Figure
from benchmarks.places import PAGE
from benchmarks.state import State, Task


def record(per_second: float, **more: Any) -> dict[str, Any]:
    load = {"per_second": per_second, "p50": 2.0, "p95": 3.0, "p99": 4.0, "failed": 0}
    return {
        "start_seconds": 1.25,
        "loaded_bytes": 100_000_000,
        "rows_compared": 256,
        "largest_difference": 3e-7,
        "loads": {"1": load, "16": load, "64": load},
        "paced": {"per_second": 150, "p50": 1.0, "p95": 2.0, "p99": 3.0},
        **more,
    }


@pytest.fixture
def state(tmp_path: Path) -> State:
    """Three rounds in which the machine drifts and the ratios do not."""
    options = {"rounds": 3, "seconds": 4.0, "concurrency": [1, 16, 64]}
    found = State(tmp_path / "state.json", options, {"cores": 2})
    liveness = {"liveness": {"p50": 1.0, "p99": 12.0}}
    for number, drift in ((1, 1.0), (2, 0.5), (3, 2.0)):
        for workload, contender, base, more in (
            ("pipeline", "fastapi-echo", 4000, {}),
            ("pipeline", "loadonce-converted", 3600, {}),
            ("forest", "loadonce-converted", 3000, {}),
            ("forest", "loadonce-joblib", 1000, liveness),
        ):
            found.add(Task(number, workload, contender), record(base * drift, **more))
    return found


def goal(text: str) -> shows.Goal:
    (found,) = (one for one in shows.goals() if one.text == text)
    return found


def test_a_ratio_is_that_of_each_round(state: State) -> None:
    reached = goal("pipeline, 64 clients: plain route / FastAPI's echo")
    found = reached.measure(state)
    assert found == Figure(0.9, 0.9, 0.9, 3)
    assert reached.verdict(found) == "reach"


def test_a_floor_that_is_missed_is_short(state: State) -> None:
    missed = goal("forest, 64 clients: plain route / FastAPI's echo")
    assert missed.verdict(missed.measure(state)) == "short"
    assert missed.verdict(Figure(2.0, 1.0, 3.0, 3)) == "aim"


@pytest.mark.parametrize(("p99", "verdict"), [(5.0, "aim"), (25.0, "reach"), (25.1, "short")])
def test_of_a_latency_less_is_more(p99: float, verdict: str) -> None:
    livez = goal("`/livez` p99 while the unconverted forest is saturated, 64 clients: one process")
    assert livez.verdict(Figure(p99, p99, p99, 1)) == verdict


def test_what_has_no_rival_is_not_measured(state: State) -> None:
    absent = goal("forest, 64 clients: unconverted, one process / LitServe with batching")
    assert absent.measure(state) is None
    assert absent.verdict(None) == "not measured"


def test_the_tail_is_p99_over_p50(state: State) -> None:
    tail = goal("pipeline, 64 clients: p99 / p50, plain route")
    assert tail.measure(state) == Figure(2.0, 2.0, 2.0, 3)


def test_the_document_has_medians_ranges_and_reasons(state: State) -> None:
    state.skip(Task(1, "pipeline", "ray"), "not installed:\nno wheel")
    text = tables.document(state)
    assert "| fastapi-echo | 4,000 (2,000-8,000) |" in text
    assert "2.00 / 3.00 / 4.00" in text
    assert "1.00 / 12.0" in text  # liveness
    assert "answered 256 rows" in text
    assert "3e-07" in text
    assert "- pipeline/ray: not installed: no wheel" in text
    assert "cnn" not in text


def test_every_table_has_as_many_cells_in_each_line(state: State) -> None:
    lines = [line for line in tables.document(state).splitlines() if line.startswith("|")]
    widths = [line.count("|") for line in lines]
    for line, before, after in zip(lines[1:], widths, widths[1:], strict=False):
        assert before == after or "---" not in line


@pytest.mark.parametrize(
    ("value", "text"), [(0.123, "0.12"), (12.34, "12.3"), (123.4, "123"), (12345.0, "12,345")]
)
def test_three_digits_count(value: float, text: str) -> None:
    assert tables.number(value) == text


def test_publishing_rewrites_its_section_and_nothing_else() -> None:
    page = f"before\n{publishing.BEGIN}\nold\n{publishing.END}\nafter\n"
    once = publishing.rewrite(page, "new")
    section = f"{publishing.PICTURE}\n\nnew"
    assert once == f"before\n{publishing.BEGIN}\n\n{section}\n\n{publishing.END}\nafter\n"
    assert publishing.rewrite(once, "new") == once


def test_a_page_without_the_section_is_refused() -> None:
    with pytest.raises(publishing.NoSectionError):
        publishing.rewrite(f"{publishing.BEGIN} and no end", "new")


def test_the_documentation_has_the_section() -> None:
    assert "new" in publishing.rewrite(PAGE.read_text(), "new")
