"""Native libraries get one thread where a fork follows, and the operator's choice afterwards."""

from __future__ import annotations

import os

import pytest

from loadonce.system.one_thread import OneThread


def test_what_the_operator_has_chosen_counts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    before = dict(os.environ)
    environment = OneThread()
    environment.set()
    assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "1"
    environment.put_back()
    assert dict(os.environ) == {**before, "TOKENIZERS_PARALLELISM": "false"}
