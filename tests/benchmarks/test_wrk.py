"""What wrk is given, and what is read from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import wrk

OUTPUT = """Running 1s test @ http://127.0.0.1:8000
  1 threads and 16 connections
Requests/sec:   2500.00
BENCH {"requests":5010,"microseconds":2000000,"p50":6100,"p95":9000,"p99":12345,\
"longest":20000,"statuses":10,"timeouts":2,"broken":1}
"""


def test_the_report_is_read_and_failures_are_not_counted_as_answers() -> None:
    assert wrk.parse(OUTPUT) == wrk.Load(
        per_second=2500.0, p50=6.1, p95=9.0, p99=12.345, longest=20.0, failed=13
    )


def test_no_report_is_an_error_that_shows_what_there_is() -> None:
    with pytest.raises(wrk.LoadError, match="unable to connect"):
        wrk.parse("unable to connect to 127.0.0.1:1")


def test_nothing_answered_is_no_division_by_zero() -> None:
    empty = OUTPUT.replace("5010", "0").replace("2000000", "0").replace(':10,"t', ':0,"t')
    assert wrk.parse(empty).per_second == 0.0


def test_each_body_is_one_line(tmp_path: Path) -> None:
    bodies = wrk.write_bodies(tmp_path, [{"text": "two\nlines"}, {"text": "b"}])
    assert len(bodies.read_text().splitlines()) == 2
    arguments = wrk.command(8001, "/predict", bodies, 16, 2.0)
    assert arguments[:4] == ["wrk", "-t1", "-c16", "-d2s"]
    assert arguments[-4:] == ["http://127.0.0.1:8001", "--", str(bodies), "/predict"]


def test_a_missing_wrk_says_which_package_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(wrk.LoadError, match="package `wrk`"):
        wrk.check_installed()
