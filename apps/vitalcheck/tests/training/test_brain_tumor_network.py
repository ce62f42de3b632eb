"""The network, its training and its augmentation, on small tensors."""

from __future__ import annotations

import pytest
import torch

from vitalcheck.training.brain_tumor_augment import augment
from vitalcheck.training.brain_tumor_network import (
    Ensemble,
    Recipe,
    build,
    fit,
    logits_of,
    schedule,
    soften,
)

SMALL = Recipe(widths=(4, 6, 8), epochs=2, batch_size=4)


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(n: int = 6) -> torch.Tensor:
    return torch.rand(n, 1, 32, 32, generator=chance())


def test_a_seed_makes_one_network_and_leaves_the_global_state_alone() -> None:
    before = torch.random.get_rng_state()
    first, again, other = (build(SMALL, seed).eval() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first(pictures()), again(pictures()))
    assert not torch.equal(first(pictures()), other(pictures()))


def test_an_ensemble_answers_probabilities_and_treats_mirror_images_alike() -> None:
    """Rows sum to one; a picture and its mirror image get the same answer."""
    ensemble = Ensemble([build(SMALL, k) for k in range(2)], 1.5).eval()
    with torch.inference_mode():
        plain, mirrored = ensemble(pictures()), ensemble(pictures().flip(3))
    assert plain.shape == (6, 4)
    torch.testing.assert_close(plain.sum(1), torch.ones(6))
    torch.testing.assert_close(plain, mirrored)


def test_fit_returns_the_average_in_eval_mode_and_tells_each_epoch() -> None:
    """Fewer pictures than a batch is no error."""
    ticks: list[int] = []
    network = build(SMALL, 0)
    start = build(SMALL, 0).eval()
    mean = fit(network, pictures(3), torch.tensor([0, 1, 3]), SMALL, 7, lambda: ticks.append(1))
    assert len(ticks) == SMALL.epochs
    assert not mean.training
    assert not torch.equal(logits_of(mean, pictures()), logits_of(start, pictures()))


def test_training_repeats_exactly() -> None:
    labels = torch.arange(6) % 4
    runs = [fit(build(SMALL, 0), pictures(), labels, SMALL, 7, lambda: None) for _ in range(2)]
    assert torch.equal(logits_of(runs[0], pictures()), logits_of(runs[1], pictures()))


def test_the_schedule_rises_for_a_tenth_and_ends_near_zero() -> None:
    assert schedule(0.0) < 0.01
    assert schedule(0.05) == pytest.approx(0.501)
    assert schedule(0.1) == pytest.approx(1.0)
    assert schedule(0.55) == pytest.approx(0.5)
    assert schedule(1.0) == pytest.approx(0.0)


def test_softened_targets_still_sum_to_one() -> None:
    targets = soften(torch.tensor([2]), Recipe(label_smoothing=0.1))
    torch.testing.assert_close(targets, torch.tensor([[0.025, 0.025, 0.925, 0.025]]))


def test_augmentation_changes_every_picture_but_not_its_shape_or_source() -> None:
    """The same generator gives the same pictures; the originals stay untouched."""
    images = pictures()
    kept = images.clone()
    changed = augment(images, chance(3))
    assert changed.shape == images.shape
    assert torch.isfinite(changed).all()
    assert torch.equal(images, kept)
    assert torch.equal(changed, augment(images, chance(3)))
    assert all((changed[k] - images[k]).abs().max() > 0.01 for k in range(len(images)))


def test_augmented_heads_stay_in_the_picture() -> None:
    """A head that fills the middle keeps at least half of its brightness inside the frame."""
    images = torch.zeros(200, 1, 32, 32)
    images[:, :, 8:24, 8:24] = 0.6
    share = augment(images, chance(1)).sum((1, 2, 3)) / images.sum((1, 2, 3))
    assert share.median() > 0.6
