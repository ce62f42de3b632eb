"""Reading the pictures: only what the manifest describes, grouped by likeness."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitalcheck.imaging import SIDE
from vitalcheck.training import brain_tumor_shortcuts as shortcuts
from vitalcheck.training.brain_tumor_scans import Scans, alike, read_scans


def manifest(root: Path, label: str = "notumor", digest: str = "") -> Path:
    """A data directory with one drawn picture."""
    folder = root / "mri"
    folder.mkdir()
    grey = np.zeros((90, 60), np.uint8)
    grey[20:70, 15:45] = np.arange(30, dtype=np.uint8) * 5 + 80
    Image.fromarray(grey).save(folder / "one.png")
    found = hashlib.sha256((folder / "one.png").read_bytes()).hexdigest()
    row = f"one.png,{label},60,90,1,{digest or found}"
    (folder / "manifest.csv").write_text(f"file,label,width,height,bytes,sha256\n{row}\n")
    return root


def test_a_picture_is_read_as_serving_would_read_it(tmp_path: Path) -> None:
    scans = read_scans(manifest(tmp_path))
    assert len(scans) == 1
    assert scans.images.shape == (1, 1, SIDE, SIDE)
    assert scans.labels.tolist() == [3]
    assert scans.sizes == ((60, 90),)


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not the file"):
        read_scans(manifest(tmp_path, digest="0" * 64))


def test_an_unknown_label_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown label 'cat'"):
        read_scans(manifest(tmp_path, label="cat"))


def test_missing_data_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_scans(tmp_path)


def test_copies_and_mirror_images_are_alike_and_others_are_not() -> None:
    chance = np.random.default_rng(0)
    one, other = chance.random((2, 1, SIDE // 4, SIDE // 4)).repeat(4, 2).repeat(4, 3)
    images = np.stack([one, other, one[:, :, ::-1], 0.5 * one + 0.2]).astype(np.float32)
    groups = alike(images)
    assert groups[0] == groups[2] == groups[3] != groups[1]


def test_shortcut_checks_change_only_what_they_name(tmp_path: Path) -> None:
    """Masked borders are black, the middle stays; what only borders keep is the rest."""
    scans = read_scans(manifest(tmp_path))
    others = shortcuts.altered(scans)
    middle = slice(SIDE // 2 - 10, SIDE // 2 + 10)
    assert {images.shape for images in others.values()} == {scans.images.shape}
    assert not others["borders_masked"][..., 0].any()
    assert not others["only_borders_left"][..., middle, middle].any()
    kept = others["borders_masked"][..., middle, middle]
    np.testing.assert_array_equal(kept, scans.images[..., middle, middle])
    assert np.abs(others["same_file_size"] - scans.images).mean() < 0.05


def test_shortcut_facts_tell_sizes_apart(tmp_path: Path) -> None:
    """Accuracy within and outside the commonest size; no pictures, no accuracy."""
    scans = read_scans(manifest(tmp_path))
    sure = np.array([[0.0, 0.0, 0.0, 1.0]])
    facts = shortcuts.shortcut_facts(scans, sure, {"same": sure})
    assert facts["only_512x512_files"] == {"images": 0}
    assert facts["only_other_sizes"] == {
        "images": 1,
        "accuracy": 1.0,
        "tumor_or_none_accuracy": 1.0,
    }
    assert facts["same"] == facts["as_served"]


def test_without_scikit_image_the_stated_baseline_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortcuts, "find_spec", lambda name: None)
    scans: Scans = read_scans(manifest(tmp_path))
    assert shortcuts.hog_svm(scans, []) == {
        "method": "HOG + SVM",
        "accuracy": 0.76,
        "measured": False,
    }
