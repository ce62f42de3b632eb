"""Does the network look at the tumour, or at the file? And what does a simple method reach?

On these pictures the file's size alone tells tumour from none in most cases, so the card states
what is left of the accuracy when size, sharpness, compression and borders are made equal, and
how far each of them leads on its own.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from importlib.util import find_spec

import numpy as np
from PIL import Image

from vitalcheck.imaging import LABELS, SIDE, Pixels
from vitalcheck.training.brain_tumor_evaluation import (
    Facts,
    Floats,
    Indices,
    accuracy,
    tumor_accuracy,
)
from vitalcheck.training.brain_tumor_scans import Scans

STATED_BASELINE = 0.76
_COMMON_SIZE = (512, 512)


def altered(scans: Scans) -> dict[str, Pixels]:
    """The same pictures with one possible shortcut taken away, or nothing else left."""
    return {
        "same_file_size": scans.again(_at_150_pixels),
        "same_compression": scans.again(_as_poor_jpeg),
        "half_resolution": _half_resolution(scans.images),
        "borders_masked": scans.images * _ellipse(0.44),
        "only_borders_left": scans.images * (1.0 - _ellipse(0.40)),
    }


def shortcut_facts(scans: Scans, served: Floats, others: Mapping[str, Floats]) -> Facts:
    """`served` and each of `others` are cross-validated probabilities [n, 4]."""
    common = np.array([size == _COMMON_SIZE for size in scans.sizes])
    tumor = scans.labels != LABELS.index("no_tumor")
    facts: Facts = {
        name: _both(scans.labels, shares)
        for name, shares in {"as_served": served, **others}.items()
    }
    facts["picture_size_alone"] = {
        "tumor_or_none_accuracy": round(float((common == tumor).mean()), 4),
        "meaning": "the rule '512x512 means tumour', which the network cannot use",
    }
    facts["only_512x512_files"] = _subset(scans.labels, served, common)
    facts["only_other_sizes"] = _subset(scans.labels, served, ~common)
    return facts


def hog_svm(scans: Scans, folds: list[tuple[Indices, Indices]]) -> Facts:
    """Histograms of oriented gradients and an RBF support vector machine on the same folds.

    Without scikit-image: the figure measured before, and it says so.
    """
    if find_spec("skimage") is None:
        return {"method": "HOG + SVM", "accuracy": STATED_BASELINE, "measured": False}
    return {"method": "HOG + SVM", "accuracy": round(_hog_svm(scans, folds), 4), "measured": True}


def _hog_svm(scans: Scans, folds: list[tuple[Indices, Indices]]) -> float:
    from skimage.feature import hog
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    rows = np.stack(
        [hog(image, pixels_per_cell=(16, 16), cells_per_block=(2, 2)) for (image,) in scans.images]
    )
    right = 0
    for train, test in folds:
        machine = make_pipeline(StandardScaler(), SVC(C=1.0))
        machine.fit(rows[train], scans.labels[train])
        right += int((machine.predict(rows[test]) == scans.labels[test]).sum())
    return right / len(scans)


def _both(labels: Indices, shares: Floats) -> Facts:
    return {
        "accuracy": round(accuracy(labels, shares), 4),
        "tumor_or_none_accuracy": round(tumor_accuracy(labels, shares), 4),
    }


def _subset(
    labels: Indices, shares: Floats, rows: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> Facts:
    if not rows.any():
        return {"images": 0}
    return {"images": int(rows.sum()), **_both(labels[rows], shares[rows])}


def _at_150_pixels(image: Image.Image) -> Image.Image:
    share = 150 / max(image.size)
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _as_poor_jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.convert("L").save(file, "JPEG", quality=40)
    return Image.open(file).convert("L")


def _half_resolution(images: Pixels) -> Pixels:
    half = images.reshape(len(images), 1, SIDE // 2, 2, SIDE // 2, 2).mean((3, 5))
    again: Pixels = half.repeat(2, axis=2).repeat(2, axis=3)
    return again


def _ellipse(radius: float) -> Pixels:
    """1 within `radius` (as a share of the side) of the centre, 0 outside: [SIDE, SIDE]."""
    place = (np.arange(SIDE) + 0.5) / SIDE - 0.5
    inside: Pixels = (place[:, None] ** 2 + place**2 <= radius**2).astype(np.float32)
    return inside
