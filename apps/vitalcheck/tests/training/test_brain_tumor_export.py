"""The exported graph: equal to PyTorch, any batch, small, silent, and the same bytes each time."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from vitalcheck.imaging import SIDE
from vitalcheck.training import brain_tumor_export as exporting
from vitalcheck.training.brain_tumor_network import Ensemble, Recipe, build


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    """Two networks whose batch norms have seen pictures."""
    networks = [build(Recipe(widths=(4, 6, 8, 8)), seed) for seed in range(2)]
    for network in networks:
        network.train()(pictures(16))
    return Ensemble(networks, 1.3).eval()


def pictures(n: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def test_the_graph_answers_as_pytorch_does(ensemble: Ensemble) -> None:
    """More pictures than one batch of 64, and a single one."""
    model = exporting.export(ensemble)
    assert exporting.largest_difference(model, ensemble, pictures(70)) < 1e-5
    assert exporting.largest_difference(model, ensemble, pictures(1, 5)) < 1e-5


def test_exporting_twice_gives_the_same_bytes(ensemble: Ensemble) -> None:
    assert exporting.export(ensemble) == exporting.export(ensemble)


def test_the_eight_bit_graph_stays_near_and_says_nothing(
    ensemble: Ensemble, caplog: pytest.LogCaptureFixture
) -> None:
    """Quantisation leaves the log empty, and the logging switch as it was."""
    model, images = exporting.export(ensemble), pictures(12).numpy()
    small = exporting.quantize(model, images[:6])
    assert np.abs(exporting.run(small, images) - exporting.run(model, images)).max() < 0.05
    assert caplog.records == []
    assert logging.root.manager.disable == logging.NOTSET


def test_latency_is_a_time(ensemble: Ensemble) -> None:
    assert 0.0 < exporting.latency_ms(exporting.export(ensemble), 3) < 1000.0
