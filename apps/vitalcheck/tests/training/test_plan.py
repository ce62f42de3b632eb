"""The whole run on made-up data: files, cards, lock; the same seed gives the same models."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import joblib
import numpy as np
import pytest

from loadonce import lock_directory
from loadonce.artifacts import LockFile
from vitalcheck.features import FEATURES
from vitalcheck.training import estimators, plan
from vitalcheck.training.conversion import NotConvertedError
from vitalcheck.training.data import READERS

pytestmark = pytest.mark.timeout(120)  # everything is trained, by whatever else is running

SHIPPED = Path(__file__).parents[2] / "src" / "vitalcheck" / "artifacts"
TABULAR = tuple(name for name in plan.JOBS if name != "brain_tumor")
ALLOWED = ("sklearn.", "numpy.", "scipy.", "joblib.", "builtins.slice")


@pytest.fixture(scope="module")
def trained(made_up: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("artifacts")
    told: dict[str, list[float]] = {}

    def follow(name: str, stage: str, fraction: float) -> None:
        told.setdefault(name, []).append(fraction)

    cards = plan.train_all(
        made_up, out, names=TABULAR, quick=True, is_converted=False, progress=follow
    )
    assert list(told) == list(TABULAR)
    assert all(seen == sorted(seen) and seen[-1] == 1 for seen in told.values())
    return out, cards


def test_every_artifact_gets_a_card_and_a_lock_entry(trained: tuple[Path, dict[str, Any]]) -> None:
    """Each file is locked; pipelines with their reference row as golden example."""
    out, cards = trained
    lock = LockFile.read(out)
    for name in TABULAR:
        card = json.loads((out / "cards" / f"{name}.json").read_text())
        assert card == json.loads(json.dumps(cards[name]))
        assert (out / "cards" / f"{name}.md").read_text().startswith("# ")
        for file in plan.JOBS[name].files:
            entry = lock.entries[file]
            assert (entry.golden is not None) == file.endswith(".joblib")
            assert {"path": file, "bytes": entry.size, "sha256": entry.sha256} in card["files"]
    assert lock_directory(out, write=False).is_unchanged


def test_the_reference_row_has_the_stated_baseline(trained: tuple[Path, dict[str, Any]]) -> None:
    """A card's reference is a complete, allowed row; its baseline is the model's answer to it."""
    out, cards = trained
    for name in READERS:
        card, table = cards[name], FEATURES[name]
        assert list(card["reference"]) == list(table.names)
        codes = table.encode([card["reference"]])
        assert not np.isnan(codes).any()
        model = joblib.load(out / plan.JOBS[name].files[0])
        is_risk = hasattr(model, "predict_proba")
        answer = model.predict_proba(codes)[0, 1] if is_risk else model.predict(codes)[0]
        assert answer == pytest.approx(card["baseline"])


def test_the_same_seed_gives_the_same_models(
    trained: tuple[Path, dict[str, Any]], made_up: Path, tmp_path: Path
) -> None:
    """A second run makes the same bytes and the same metrics; another seed other metrics."""
    out, cards = trained
    names = ("diabetes", "stroke", "life_expectancy", "insurance")
    again = plan.train_all(made_up, tmp_path, names=names, quick=True, is_converted=False)
    for name in names:
        assert again[name]["metrics"] == cards[name]["metrics"]
        for file in plan.JOBS[name].files:
            assert (tmp_path / file).read_bytes() == (out / file).read_bytes()
    other = plan.train_all(
        made_up, tmp_path, names=["diabetes"], seed=1, quick=True, is_converted=False
    )
    assert other["diabetes"]["metrics"] != cards["diabetes"]["metrics"]


@pytest.mark.parametrize("where", ["trained", "shipped"])
def test_pipelines_hold_nothing_of_ours(where: str, trained: tuple[Path, dict[str, Any]]) -> None:
    """The lock's globals are those of scikit-learn, numpy, scipy, joblib, and slice."""
    lock = LockFile.read(trained[0] if where == "trained" else SHIPPED)
    for name in READERS:
        for file in plan.JOBS[name].files:
            found = lock.entries[file].globals
            assert found
            assert all(item.startswith(ALLOWED) for item in found), found


def test_heart_and_cost_cards_tell_what_their_cautions_ask(
    trained: tuple[Path, dict[str, Any]],
) -> None:
    """Heart: sites never seen, and without missingness; spending: coverage and the zeros."""
    _, cards = trained
    assert set(cards["heart"]["metrics_other_site"]) == {
        "cleveland",
        "hungarian",
        "switzerland",
        "va",
    }
    assert 0.8 < cards["insurance"]["conformal"]["measured_coverage"] <= 1
    assert cards["insurance"]["share_spending_nothing"] > 0
    assert cards["life_expectancy"]["conformal"]["half_width_years"] > 0
    assert "metrics_survey_weighted" in cards["stroke"]


def test_values_beyond_training_change_nothing_more(
    trained: tuple[Path, dict[str, Any]],
) -> None:
    """The linear models count a value beyond those seen as the nearest one seen."""
    out, cards = trained
    for name, far in (("diabetes", {"glucose": 400.0}), ("heart", {"resting_bp": 255.0})):
        model = joblib.load(out / f"{name}.joblib")
        (feature,) = far
        codes = FEATURES[name].encode(
            [cards[name]["reference"] | far, cards[name]["reference"] | {feature: 260.0}]
        )
        first, second = model.predict_proba(codes)[:, 1]
        assert first == pytest.approx(second)


def test_what_is_trained_is_converted_and_its_card_says_so(made_up: Path, tmp_path: Path) -> None:
    """Locked too, with the pipeline's golden example; tables are not converted."""
    told: list[str] = []
    cards = plan.train_all(
        made_up,
        tmp_path,
        names=["diabetes", "fitbit_percentiles"],
        quick=True,
        progress=lambda name, stage, fraction: told.append(f"{name}: {stage}"),
    )
    card = cards["diabetes"]
    assert card == json.loads((tmp_path / "cards" / "diabetes.json").read_text())
    assert "served" not in cards["fitbit_percentiles"]
    (served,) = cast("list[dict[str, Any]]", card["served"])
    lock = LockFile.read(tmp_path)
    entry = lock.entries["diabetes.predictor.onnx"]
    assert (served["path"], served["sha256"]) == (entry.path, entry.sha256)
    assert (entry.format, served["format"]) == ("predictor", "predictor")
    assert entry.golden == lock.entries["diabetes.joblib"].golden
    assert served["rows_compared"] > 100
    assert told.index("diabetes: converting") > told.index("diabetes: done")
    assert "fitbit_percentiles: converting" not in told
    assert lock_directory(tmp_path, write=False).is_unchanged


def test_a_pipeline_that_is_not_converted_ends_the_run(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """The error tells the file and the reason; its card and the lock stay as they were."""
    out = shutil.copytree(trained[0], tmp_path / "out")
    before = {path: (out / path).read_bytes() for path in ("models.lock", "cards/heart.json")}
    with (out / "heart.joblib").open("ab") as file:
        file.write(b"more")
    with pytest.raises(NotConvertedError, match=r"heart\.joblib: ") as caught:
        plan.convert_all(out, names=["hospital_analytics", "heart"])
    assert [each.source for each in caught.value.refused] == ["heart.joblib"]
    assert {path: (out / path).read_bytes() for path in before} == before


def test_missing_data_stops_before_anything_is_trained(made_up: Path, tmp_path: Path) -> None:
    """The error names the missing pictures; no file was written, though the rest was there."""
    out = tmp_path / "out"
    with pytest.raises(plan.MissingDataError, match=r"mri.manifest\.csv") as caught:
        plan.train_all(made_up, out)
    assert caught.value.missing == (made_up / "mri" / "manifest.csv",)
    assert not out.exists()


def test_without_torch_the_network_is_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says how to install it, and how to go on without."""
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "mri").mkdir()
    (tmp_path / "mri" / "manifest.csv").touch()
    with pytest.raises(plan.MissingTorchError, match=r"vitalcheck\[training\].*--only"):
        plan.train_all(tmp_path, tmp_path / "out", names=["brain_tumor"])
    assert not (tmp_path / "out").exists()


def test_small_numbers_are_levels_too() -> None:
    """The number of vessels is one-hot from 0 to 3, so that a missing one is no number."""
    pipeline = estimators.heart()
    (_, levels, _) = pipeline.steps[0][1].transformers[2]
    categories = levels.steps[1][1].categories
    assert [0.0, 1.0, 2.0, 3.0] in categories
    assert [0.0, 1.0] in categories


def test_the_network_is_trained_by_its_own_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan hands data, directory, seed and speed on, and keeps the facts."""
    asked: list[object] = []

    def train_brain_tumor(data: Path, out: Path, **options: object) -> dict[str, object]:
        asked.extend([data, out, options["seed"], options["quick"]])
        (out / "brain_tumor.onnx").write_bytes(b"network")
        return {"name": "brain_tumor"}

    module = ModuleType("vitalcheck.training.brain_tumor")
    module.train_brain_tumor = train_brain_tumor  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vitalcheck.training.brain_tumor", module)
    (tmp_path / "mri").mkdir()
    (tmp_path / "mri" / "manifest.csv").touch()
    out = tmp_path / "out"
    cards = plan.train_all(tmp_path, out, names=["brain_tumor"], seed=4, quick=True)
    assert asked == [tmp_path, out, 4, True]
    assert cards["brain_tumor"]["name"] == "brain_tumor"
    assert plan.headline(cards["brain_tumor"]).endswith(" s")
    assert "brain_tumor.onnx" in LockFile.read(out).entries
