"""The brain-tumour network and how one copy of it is trained (PyTorch, CPU).

A small residual network (He et al. 2016) for 480 pictures: about 0.2 million weights, augmentation,
label smoothing, AdamW with a cosine schedule, and an average of the weights along the way. One copy
trains on one thread with random numbers of its own, so the result does not depend on how many
copies train at the same time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from vitalcheck.imaging import LABELS
from vitalcheck.training.brain_tumor_augment import augment


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is built and trained; the defaults are those of the shipped artifact."""

    widths: tuple[int, ...] = (16, 32, 64, 96)
    epochs: int = 70
    batch_size: int = 32
    learning_rate: float = 4e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.05
    dropout: float = 0.2
    averaging: float = 0.99


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut; `stride` 2 halves height and width."""

    def __init__(self, wide_in: int, wide_out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(wide_in, wide_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(wide_out),
            nn.ReLU(),
            nn.Conv2d(wide_out, wide_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(wide_out),
        )
        self.shortcut = nn.Sequential()
        if stride == 2:
            self.shortcut.append(nn.AvgPool2d(2))
        if wide_in != wide_out:
            self.shortcut.append(nn.Conv2d(wide_in, wide_out, 1, bias=False))
            self.shortcut.append(nn.BatchNorm2d(wide_out))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x) + self.shortcut(x))


class Network(nn.Module):
    """Pictures [n, 1, side, side] in 0..1 -> logits [n, 4]. `side` is a multiple of 16."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        first = widths[0]
        self.features = nn.Sequential(
            nn.Conv2d(1, first, 3, 2, 1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
            Block(first, first, 1),
            *(Block(a, b, 2) for a, b in pairwise(widths)),
        )
        self.head = nn.Linear(2 * widths[-1], len(LABELS))

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.head(self.pooled(image))
        return logits

    def pooled(self, image: Tensor) -> Tensor:
        """Mean and maximum of each feature map: the maximum keeps a small tumour from being
        averaged away."""
        maps = self.features((image - 0.3) * 3.0)
        mean = functional.adaptive_avg_pool2d(maps, 1)
        largest = functional.adaptive_max_pool2d(maps, 1)
        return torch.cat([mean, largest], 1).flatten(1)


class Ensemble(nn.Module):
    """Several networks as one: the mean of their probabilities for the picture and its mirror
    image, all at one temperature."""

    def __init__(self, networks: list[Network], temperature: float) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.temperature = temperature

    def forward(self, image: Tensor) -> Tensor:
        views = torch.cat([image, image.flip(3)])
        logits = torch.stack([network(views) for network in self.networks])
        shares = torch.softmax(logits / self.temperature, 2).mean(0)
        return shares.view(2, -1, len(LABELS)).mean(0)


def build(recipe: Recipe, seed: int) -> Network:
    """A fresh network; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network(recipe.widths).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def fit(
    network: Network,
    images: Tensor,
    labels: Tensor,
    recipe: Recipe,
    seed: int,
    tick: Callable[[], None],
) -> Network:
    """Train `network` in place and return the average of its weights; `tick` after each epoch.

    `images` is [n, 1, side, side], `labels` [n] with the indices of `LABELS`.
    """
    chance = torch.Generator().manual_seed(seed)
    average = deepcopy(network)
    optimizer = _optimizer(network, recipe)
    size = min(recipe.batch_size, len(images))
    steps, step = len(images) // size * recipe.epochs, 0
    for _ in range(recipe.epochs):
        network.train()
        for rows in _batches(len(images), size, chance):
            _set_rate(optimizer, recipe.learning_rate * schedule(step / steps))
            inputs, targets = augment(images[rows], chance), soften(labels[rows], recipe)
            optimizer.zero_grad()
            _loss(network, inputs, targets, recipe.dropout, chance).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1
            _follow(average, network, min(recipe.averaging, step / (step + 10)))
        tick()
    return average.eval()


def schedule(progress: float) -> float:
    """Learning rate as a share of its peak: a tenth of the way up, then half a cosine down."""
    if progress < 0.1:
        return progress / 0.1 + 1e-3
    return 0.5 * (1.0 + math.cos(math.pi * (progress - 0.1) / 0.9))


def soften(labels: Tensor, recipe: Recipe) -> Tensor:
    """Class indices [n] -> smoothed targets [n, 4]."""
    sharp = functional.one_hot(labels, len(LABELS)).float()
    return sharp * (1.0 - recipe.label_smoothing) + recipe.label_smoothing / len(LABELS)


@torch.inference_mode()
def logits_of(network: nn.Module, images: Tensor) -> Tensor:
    """What `network` (in eval mode) answers for each picture: [n, 4]."""
    return torch.cat([network(part) for part in torch.split(images, 64)])


def _batches(n: int, size: int, chance: torch.Generator) -> Iterator[Tensor]:
    order = torch.randperm(n, generator=chance)
    return iter(torch.split(order[: n // size * size], size))


def _loss(
    network: Network, images: Tensor, targets: Tensor, dropout: float, chance: torch.Generator
) -> Tensor:
    pooled = network.pooled(images.contiguous(memory_format=torch.channels_last))
    kept = torch.rand(pooled.shape, generator=chance) >= dropout
    logits = network.head(pooled * kept / (1.0 - dropout))
    return -(targets * torch.log_softmax(logits, 1)).sum(1).mean()


def _optimizer(network: Network, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW that decays filters, but neither biases nor batch-norm factors."""
    filters = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": filters, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


@torch.no_grad()
def _follow(average: Network, network: Network, keep: float) -> None:
    pairs = zip(average.state_dict().values(), network.state_dict().values(), strict=True)
    for mean, now in pairs:
        if mean.is_floating_point():
            mean.lerp_(now, 1.0 - keep)
        else:
            mean.copy_(now)
