"""Training the brain-tumour network end to end, on drawn heads and on a slice of the real ones."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vitalcheck import imaging
from vitalcheck.imaging import LABELS, SIDE
from vitalcheck.training import brain_tumor, brain_tumor_export
from vitalcheck.training.brain_tumor import QUICK, Plan, cross_validate, train_brain_tumor
from vitalcheck.training.brain_tumor_network import Ensemble, Recipe, build
from vitalcheck.training.brain_tumor_scans import read_scans

REPOSITORY = Path(__file__).parents[4]
REAL = Path(os.environ.get("HEALTH_DATA_DIR", REPOSITORY.parent / "shared" / "data"))
ARTIFACT = Path(imaging.__file__).parent / "artifacts" / "brain_tumor.onnx"

needs_real_data = pytest.mark.skipif(
    not (REAL / "mri" / "manifest.csv").is_file(), reason="HEALTH_DATA_DIR has no mri/manifest.csv"
)
needs_artifact = pytest.mark.skipif(not ARTIFACT.is_file(), reason="no trained artifact here")


def draw(kind: int, chance: np.random.Generator, side: int = 160) -> Image.Image:
    """A cloudy bright disc; the spot's place tells its class, and the fourth has none."""
    y, x = (np.mgrid[0:side, 0:side] / side - 0.5).astype(np.float32)
    clouds = Image.fromarray(chance.normal(60, 35, (7, 7)).astype(np.float32))
    inside = (x / 0.4) ** 2 + (y / 0.45) ** 2 < 1
    grey = 20.0 + inside * np.asarray(clouds.resize((side, side), Image.Resampling.BICUBIC))
    place = [(-0.2, 0.0), (0.2, -0.2), (0.0, 0.2), None][kind]
    if place is not None:
        grey += 110.0 * ((x - place[0]) ** 2 + (y - place[1]) ** 2 < 0.1**2)
    noise = chance.normal(0, 8, grey.shape)
    return Image.fromarray(np.clip(grey + noise, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory of 4 x 13 drawn pictures, laid out like the real one."""
    root, chance = tmp_path_factory.mktemp("data"), np.random.default_rng(5)
    rows = []
    for kind, label in enumerate(("glioma", "meningioma", "pituitary", "notumor")):
        for n in range(13):
            path = root / "mri" / label / f"{n:02}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            side = 512 if kind == 0 and n < 2 else 160
            draw(kind, chance, side).save(path)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            rows.append([f"{label}/{path.name}", label, side, side, path.stat().st_size, digest])
    with (root / "mri" / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "label", "width", "height", "bytes", "sha256"], *rows])
    return root


def silent(stage: str, fraction: float) -> None:
    """Nobody watches."""


def test_a_smoke_run_writes_a_servable_graph_and_a_full_card(data: Path, tmp_path: Path) -> None:
    """The file answers in service, the facts are plain JSON, progress only ever grows."""
    seen: list[tuple[str, float]] = []
    facts = train_brain_tumor(
        data, tmp_path / "new", report=lambda stage, at: seen.append((stage, at)), quick=True
    )
    model = (tmp_path / "new" / "brain_tumor.onnx").read_bytes()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["brain_tumor.onnx"]
    image = imaging.to_input((data / "mri" / "glioma" / "00.jpg").read_bytes())
    readings = imaging.classify(brain_tumor_export.session(model), [image] * 3)
    assert len(readings) == 3
    assert set(readings[0].probabilities) == set(LABELS)
    fractions = [at for _, at in seen]
    assert fractions == sorted(fractions)
    assert seen[0] == ("reading pictures", 0.0)
    assert seen[-1] == ("done", 1.0)
    assert json.loads(json.dumps(facts)) == facts
    assert facts["classes"] == list(brain_tumor.LABELS)
    expected = {
        "rows", "preprocessing", "metrics", "confusion_matrix", "baseline", "calibration",
        "shortcut_checks", "known_limits", "quantisation", "licence",
    }  # fmt: skip
    assert expected <= set(facts)


def test_the_same_seed_gives_the_same_model_on_any_number_of_cores(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metrics do not depend on how many folds train side by side; another seed is another model."""
    facts = []
    for cores, seed in ((1, 3), (2, 3), (2, 4)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        facts.append(train_brain_tumor(data, tmp_path, seed=seed, report=silent, quick=True))
    for name in ("metrics", "confusion_matrix", "calibration", "baseline"):
        assert facts[0][name] == facts[1][name]
    assert facts[1]["calibration"] != facts[2]["calibration"]


def test_global_torch_settings_are_as_before_afterwards(data: Path, tmp_path: Path) -> None:
    """Thread count, determinism and the global random state survive a training run."""
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    train_brain_tumor(data, tmp_path, report=silent, quick=True)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_network_learns_what_can_be_learned(data: Path) -> None:
    """A little more training than the smoke run tells the drawn classes apart."""
    scans = read_scans(data)
    plan = Plan(Recipe(widths=(8, 8, 12, 16), epochs=30, batch_size=8), folds=2)
    folds = cross_validate(scans, plan, 0, silent)
    answers = brain_tumor.unseen_logits(folds, scans.images).mean(1).argmax(1)
    assert (answers == scans.labels).mean() > 0.5


def test_every_picture_is_judged_once_and_alike_ones_stay_together(data: Path) -> None:
    """The test rows of the folds are a partition that cuts no group."""
    scans = read_scans(data, per_class=12)
    folds = cross_validate(scans, QUICK, 0, silent)
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(len(scans)))
    for fold in folds:
        assert not set(scans.groups[fold.train]) & set(scans.groups[fold.test])


def test_an_interrupt_ends_all_folds_and_writes_nothing(data: Path, tmp_path: Path) -> None:
    """Ctrl-C during the training leaves neither threads nor files."""
    threads = threading.active_count()

    def interrupt(stage: str, fraction: float) -> None:
        if stage == "training":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_brain_tumor(data, tmp_path, report=interrupt, quick=True)
    assert threading.active_count() == threads
    assert list(tmp_path.iterdir()) == []
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_failure_of_a_fold_ends_the_others_and_is_told(data: Path) -> None:
    """What the optimiser refuses reaches the caller as it is."""
    scans = read_scans(data, per_class=12)
    plan = Plan(Recipe(widths=(4, 4, 4), learning_rate=-1.0, batch_size=8), folds=2)
    with pytest.raises(ValueError, match="learning rate"):
        cross_validate(scans, plan, 0, silent)


def test_eight_bits_are_taken_only_when_as_good_and_as_fast(data: Path) -> None:
    """One point of accuracy may be lost, more may not."""
    labels = np.arange(4).repeat(50)
    right = np.eye(4)[labels]
    model = brain_tumor_export.export(_tiny_ensemble())
    models = {"float32": model, "int8": model}
    worse = right.copy()
    worse[:10] = [0.0, 1.0, 0.0, 0.0]
    facts = brain_tumor.quantisation_facts(labels, {"float32": right, "int8": worse}, models, 3)
    assert facts["chosen"] == "float32"
    assert facts["accuracy"] == {"float32": 1.0, "int8": 0.95}


@needs_real_data
def test_a_smoke_run_on_the_real_pictures(tmp_path: Path) -> None:
    """The real layout, labels and digests are understood; the small run is quick."""
    facts = train_brain_tumor(REAL, tmp_path, report=silent, quick=True)
    assert facts["rows"] == {"all": 48, **dict.fromkeys(LABELS, 12)}
    assert (tmp_path / "brain_tumor.onnx").stat().st_size < 3_000_000


@needs_artifact
def test_the_shipped_graph_fits_what_serving_expects() -> None:
    """Names, shapes, labels and size of the artifact are those of `vitalcheck.imaging`."""
    network = brain_tumor_export.session(ARTIFACT.read_bytes())
    (entrance,), (answer,) = network.get_inputs(), network.get_outputs()
    assert (entrance.name, entrance.type, entrance.shape[1:]) == (
        "image",
        "tensor(float)",
        [1, SIDE, SIDE],
    )
    assert answer.name == "probabilities"
    kept = network.get_modelmeta().custom_metadata_map
    assert kept == {"labels": ",".join(LABELS), "side": str(SIDE)}
    assert ARTIFACT.stat().st_size <= 3_000_000


@needs_artifact
@needs_real_data
def test_the_shipped_graph_knows_the_pictures_it_learned_from() -> None:
    """Through the serving path, bytes to label: far above chance, else the two paths differ."""
    scans = read_scans(REAL, per_class=25)
    images = [imaging.to_input(path.read_bytes()) for path in scans.files]
    readings = imaging.classify(brain_tumor_export.session(ARTIFACT.read_bytes()), images)
    right = [r.label == LABELS[k] for r, k in zip(readings, scans.labels, strict=True)]
    assert np.mean(right) > 0.9


def _tiny_ensemble() -> Ensemble:
    return Ensemble([build(Recipe(widths=(4, 4, 4)), 0)], 1.0)
