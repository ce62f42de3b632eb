"""The public MRI pictures: read, verified, prepared, and grouped by likeness."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse.csgraph import connected_components

from vitalcheck import imaging
from vitalcheck.imaging import LABELS, SIDE, Pixels

Indices: TypeAlias = NDArray[np.int64]

MANIFEST = "mri/manifest.csv"
ALIKE = 0.84
_LABEL_OF: Mapping[str, str] = {"notumor": "no_tumor"}


@dataclass(frozen=True, eq=False)
class Scans:
    """Labelled pictures.

    `images` float32 [n, 1, SIDE, SIDE]; `labels` [n], indices of `LABELS`; `groups` [n], the same
    number for pictures that look alike; `sizes` (width, height) of the files.
    """

    files: tuple[Path, ...]
    images: Pixels
    labels: Indices
    groups: Indices
    sizes: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.files)

    def again(self, change: Callable[[Image.Image], Image.Image]) -> Pixels:
        """The same pictures, prepared after `change` was made to each decoded file."""
        return np.stack([imaging.prepare(change(_decode(file))) for file in self.files])


def read_scans(data: Path, *, per_class: int | None = None) -> Scans:
    """The pictures that `data/mri/manifest.csv` lists (the first `per_class` of each class).

    Raises FileNotFoundError, and ValueError for a file whose digest or label is not the manifest's.
    """
    manifest = data / MANIFEST
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["file"])
    rows = _first_of_each(rows, per_class or len(rows))
    files = tuple(manifest.parent / row["file"] for row in rows)
    for path, row in zip(files, rows, strict=True):
        _verify(path, row["sha256"])
    images = np.stack([imaging.prepare(_decode(path)) for path in files])
    return Scans(
        files=files,
        images=images,
        labels=np.array([_index(row["label"]) for row in rows], dtype=np.int64),
        groups=alike(images),
        sizes=tuple((int(row["width"]), int(row["height"])) for row in rows),
    )


def alike(images: Pixels, threshold: float = ALIKE) -> Indices:
    """One group number per picture; pictures, or one and the mirror image of another, whose
    correlation at half resolution exceeds `threshold` share it."""
    half = images.reshape(len(images), SIDE // 2, 2, SIDE // 2, 2).mean((2, 4))
    plain, mirrored = _standardised(half), _standardised(half[:, :, ::-1])
    likeness = np.maximum(plain @ plain.T, plain @ mirrored.T)
    _, groups = connected_components(likeness > threshold, directed=False)
    return np.asarray(groups, dtype=np.int64)


def _standardised(pictures: Pixels) -> Pixels:
    flat = pictures.reshape(len(pictures), -1)
    flat = flat - flat.mean(1, keepdims=True)
    unit: Pixels = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    return unit


def _first_of_each(rows: Sequence[dict[str, str]], count: int) -> list[dict[str, str]]:
    taken: dict[str, int] = {}
    kept = []
    for row in rows:
        taken[row["label"]] = taken.get(row["label"], 0) + 1
        if taken[row["label"]] <= count:
            kept.append(row)
    return kept


def _index(label: str) -> int:
    name = _LABEL_OF.get(label, label)
    if name not in LABELS:
        raise ValueError(f"{MANIFEST}: unknown label {label!r}; expected one of {LABELS}")
    return LABELS.index(name)


def _verify(path: Path, sha256: str) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise ValueError(f"{path}: not the file that {MANIFEST} describes; fetch it again")


def _decode(path: Path) -> Image.Image:
    return imaging.decode(path.read_bytes())
