"""Augmentation: other scans that the same head could have given, drawn from one generator.

It also blurs the traces of scanner and file (sharpness, brightness, margins), which on these
pictures tell the classes apart without showing a tumour.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def augment(images: Tensor, chance: torch.Generator) -> Tensor:
    """Another, equally plausible scan of each head: [n, 1, side, side] -> the same shape.

    Mirrored, slightly turned, scaled and shifted; brightness, contrast, gamma; blur and noise, so
    that the scanner's sharpness tells nothing. Moves twice as strong with patches blotted out and
    mixup cost 2.5 points of cross-validated accuracy.
    """
    moved = _move(images, chance)
    n = len(moved)
    toned = moved.clamp(min=0.0) ** torch.exp(_uniform(n, -0.35, 0.35, chance))
    toned = toned * _uniform(n, 0.8, 1.2, chance) + _uniform(n, -0.08, 0.08, chance)
    blurred = functional.conv2d(toned, _BLUR, padding=1)
    toned = torch.where(_uniform(n, 0.0, 1.0, chance) < 0.3, blurred, toned)
    noise = torch.randn(toned.shape, generator=chance)
    return toned + noise * _uniform(n, 0.0, 0.05, chance)


_TAPS = torch.tensor([0.25, 0.5, 0.25])
_BLUR = (_TAPS[:, None] * _TAPS).view(1, 1, 3, 3)


def _uniform(n: int, low: float, high: float, chance: torch.Generator) -> Tensor:
    return torch.rand(n, 1, 1, 1, generator=chance) * (high - low) + low


def _move(images: Tensor, chance: torch.Generator) -> Tensor:
    n = len(images)
    angle = _uniform(n, -0.14, 0.14, chance).flatten()
    wide = torch.exp(_uniform(n, -0.08, 0.08, chance)).flatten()
    high = wide * torch.exp(_uniform(n, -0.1, 0.1, chance)).flatten()
    mirror = torch.where(torch.rand(n, generator=chance) < 0.5, -1.0, 1.0)
    right, down = (_uniform(n, -0.08, 0.08, chance).flatten() for _ in range(2))
    top = torch.stack([angle.cos() * wide * mirror, -angle.sin() * wide, right], 1)
    bottom = torch.stack([angle.sin() * high * mirror, angle.cos() * high, down], 1)
    grid = functional.affine_grid(
        torch.stack([top, bottom], 1), list(images.shape), align_corners=False
    )
    return functional.grid_sample(images, grid, align_corners=False)
