"""The whole training run: the artifacts in the order they are made, their cards, the lock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import joblib
from threadpoolctl import threadpool_limits

from loadonce import Golden, lock_directory
from vitalcheck.features import FEATURES, Row
from vitalcheck.training.artifacts import Facts, Report, Trainer
from vitalcheck.training.cards import build_card, write_card
from vitalcheck.training.conversion import convert
from vitalcheck.training.data import missing_files
from vitalcheck.training.fitbit import train_fitbit
from vitalcheck.training.hospital import train_hospital
from vitalcheck.training.insurance import train_insurance
from vitalcheck.training.life_expectancy import train_life_expectancy
from vitalcheck.training.risk import RECIPES, train_risk


class MissingDataError(Exception):
    """Data files that an artifact needs are not there; nothing was trained.

    Args:
        missing: the absent files.
    """

    def __init__(self, missing: Iterable[Path]) -> None:
        self.missing = tuple(missing)
        names = "\n".join(f"  {path}" for path in self.missing)
        super().__init__(f"missing data, nothing was trained:\n{names}")


class MissingTorchError(Exception):
    """The brain-tumour network is to be trained, and PyTorch is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "brain_tumor needs PyTorch, nothing was trained: pip install 'vitalcheck[training]', "
            "or name the other artifacts with --only"
        )


@dataclass(frozen=True, slots=True)
class Job:
    """One artifact: its files, who makes them, and how long that takes (in about a second)."""

    files: tuple[str, ...]
    train: Trainer
    weight: float = 1.0


def _train_brain_tumor(data: Path, out: Path, *, seed: int, report: Report, quick: bool) -> Facts:
    from vitalcheck.training.brain_tumor import train_brain_tumor

    return train_brain_tumor(data, out, seed=seed, report=report, quick=quick)


JOBS: Mapping[str, Job] = {
    **{name: Job((f"{name}.joblib",), partial(train_risk, name)) for name in RECIPES},
    "life_expectancy": Job(("life_expectancy.joblib",), train_life_expectancy),
    "insurance": Job(
        tuple(f"insurance_{part}.joblib" for part in ("mean", "q05", "q95")), train_insurance
    ),
    "fitbit_percentiles": Job(("fitbit_percentiles.parquet",), train_fitbit, 0.1),
    "hospital_analytics": Job(
        ("hospital_departments.parquet", "hospital_conditions.parquet"), train_hospital, 0.1
    ),
    "brain_tumor": Job(("brain_tumor.onnx",), _train_brain_tumor, 10.0),
}
"""Every artifact by name, in the order of training."""

PIPELINE = ".joblib"
"""The suffix of what is trained by scikit-learn, and converted."""

Progress = Callable[[str, str, float], None]
"""Called with the artifact, its stage and the finished fraction of that artifact."""


def train_all(
    data: Path,
    out: Path,
    *,
    names: Iterable[str] = tuple(JOBS),
    seed: int = 0,
    quick: bool = False,
    is_converted: bool = True,
    progress: Progress = lambda name, stage, fraction: None,
) -> dict[str, Facts]:
    """Train `names` from `data` into `out`: artifacts, `cards/`, `models.lock` over all of it.

    Pipelines are converted to what is served, unless `is_converted` is false; a `quick` run
    measures roughly. The same data and seed give the same predictions and metrics. Returns the
    cards by name.

    Raises:
        MissingDataError: before anything is trained.
        MissingTorchError: likewise.
        NotConvertedError: a pipeline was trained, and could not be converted.
        KeyError: an unknown name.
    """
    jobs = {name: JOBS[name] for name in names}
    _check(data, jobs)
    out.mkdir(parents=True, exist_ok=True)
    cards = {}
    # one thread: repeatable sums, and no spinning where other work shares the cores
    with threadpool_limits(1):
        for name, job in jobs.items():
            started = time.monotonic()
            report = partial(progress, name)
            facts = job.train(data, out, seed=seed, report=report, quick=quick)
            paths = [out / file for file in job.files]
            seconds = time.monotonic() - started
            cards[name] = build_card(name, facts, paths, seed=seed, seconds=seconds)
            write_card(cards[name], out / "cards")
            lock(out, {name: cards[name]})
            if is_converted:
                cards |= convert_all(out, names=[name], progress=progress)
    return cards


def convert_all(
    out: Path,
    *,
    names: Iterable[str] = tuple(JOBS),
    progress: Progress = lambda name, stage, fraction: None,
) -> dict[str, Facts]:
    """Convert the pipelines of `names` that are in `out` and locked there; others are left out.

    Returns the cards of those converted, by name. Raises NotConvertedError, FileNotFoundError.
    """
    cards = {}
    for name in names:
        if pipelines := [file for file in JOBS[name].files if file.endswith(PIPELINE)]:
            progress(name, "converting", 1.0)
            cards[name] = convert(out, name, pipelines)
    return cards


def _check(data: Path, jobs: Mapping[str, Job]) -> None:
    if missing := missing_files(data, tuple(jobs)):
        raise MissingDataError(missing)
    if "brain_tumor" in jobs:
        try:
            import torch  # noqa: F401
        except ImportError as exc:
            raise MissingTorchError from exc


def headline(card: Facts) -> str:
    """A card's first metric and the time it took."""
    seconds = f"{card['training_seconds']} s"
    metrics = cast("dict[str, dict[str, float]]", card.get("metrics", {}))
    for name, found in metrics.items():
        return f"{name} {found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f}), {seconds}"
    return seconds


def lock(out: Path, cards: Mapping[str, Facts]) -> None:
    """Lock everything in `out`; each pipeline gets its reference row as golden example."""
    golden = {
        file: _golden(out / file, name, card)
        for name, card in cards.items()
        for file in JOBS[name].files
        if name in FEATURES and file.endswith(PIPELINE)
    }
    lock_directory(out, golden=golden)


def _golden(path: Path, name: str, card: Facts) -> Golden:
    model = joblib.load(path)
    codes = FEATURES[name].encode([cast("Row", card["reference"])])
    method = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    return Golden(method, codes.tolist(), getattr(model, method)(codes).tolist(), rtol=1e-5)
