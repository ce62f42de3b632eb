"""Training the brain-tumour network: cross-validation, calibration, one ONNX file, card facts.

The networks of the five folds are the model: each judges in cross-validation the pictures it
never saw, and the shipped graph averages all five. So the card's numbers cost no second training;
they are those of one network, a cautious estimate for the mean of five.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import StratifiedGroupKFold

from vitalcheck import imaging
from vitalcheck.imaging import Pixels
from vitalcheck.training import brain_tumor_evaluation as evaluation
from vitalcheck.training import brain_tumor_export as exporting
from vitalcheck.training import brain_tumor_shortcuts as shortcuts
from vitalcheck.training.brain_tumor_card import static_facts
from vitalcheck.training.brain_tumor_evaluation import Facts, Floats, Indices
from vitalcheck.training.brain_tumor_network import (
    Ensemble,
    Network,
    Recipe,
    build,
    fit,
    logits_of,
)
from vitalcheck.training.brain_tumor_scans import Scans, read_scans

LABELS = imaging.LABELS
FILE_NAME = "brain_tumor.onnx"
INT8_LOSS = 0.01
"""8 bits are taken when they cost at most this much accuracy and are not slower."""

Report = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much work to do: the whole of it, or a smoke run for tests."""

    recipe: Recipe = field(default_factory=Recipe)
    folds: int = 5
    per_class: int | None = None
    resamples: int = 1000
    calibration_images: int = 96
    timed_runs: int = 60


QUICK = Plan(Recipe(widths=(4, 6, 8, 8), epochs=2, batch_size=8), 2, 12, 20, 8, 3)


@dataclass(frozen=True, slots=True)
class Fold:
    """One network, and the rows it learned from and did not see."""

    network: Network
    train: Indices
    test: Indices


class StoppedError(Exception):
    """Training was given up because another fold failed or the caller was interrupted."""


def train_brain_tumor(
    data: Path, out: Path, *, seed: int = 0, report: Report, quick: bool = False
) -> Facts:
    """Train on `data/mri`, write `out/brain_tumor.onnx` and return the facts for its card.

    `report(stage, fraction)` is called from this thread with fractions that grow from 0 to 1.
    `quick` is a smoke run on 12 pictures of each class; its model is worthless. The same data and
    seed give the same metrics, whatever the number of cores. Raises FileNotFoundError or
    ValueError where the data is not what its manifest says.
    """
    plan = QUICK if quick else Plan()
    with _reproducibly():
        report("reading pictures", 0.0)
        scans = read_scans(data, per_class=plan.per_class)
        folds = cross_validate(scans, plan, seed, report)
        report("checking", 0.9)
        model, facts = conclude(scans, folds, plan, seed)
    report("writing", 0.99)
    _write(out / FILE_NAME, model)
    report("done", 1.0)
    return facts


def cross_validate(scans: Scans, plan: Plan, seed: int, report: Report) -> list[Fold]:
    """One network per fold, as many at a time as there are cores; alike pictures stay together."""
    splitter = StratifiedGroupKFold(plan.folds, shuffle=True, random_state=seed)
    splits = list(splitter.split(scans.labels, scans.labels, scans.groups))
    networks = [build(plan.recipe, seed * 1000 + k) for k in range(plan.folds)]
    images, labels = torch.from_numpy(scans.images), torch.from_numpy(scans.labels)
    events: queue.SimpleQueue[bool] = queue.SimpleQueue()
    stop = threading.Event()

    def tick() -> None:
        if stop.is_set():
            raise StoppedError
        events.put(False)

    def train(k: int) -> Fold:
        rows, unseen = splits[k]
        try:
            mean = fit(networks[k], images[rows], labels[rows], plan.recipe, seed * 1000 + k, tick)
            return Fold(mean, rows, unseen)
        except BaseException:
            stop.set()
            raise
        finally:
            events.put(True)

    with ThreadPoolExecutor(
        min(plan.folds, os.cpu_count() or 1), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        try:
            running = [pool.submit(train, k) for k in range(plan.folds)]
            _follow(events, plan, report)
        except BaseException:
            stop.set()
            raise
    return _results(running)


def conclude(scans: Scans, folds: list[Fold], plan: Plan, seed: int) -> tuple[bytes, Facts]:
    """The calibrated graph, in 8 bits if that is as good, and everything measured on the way."""
    raw = unseen_logits(folds, scans.images)
    temperature = evaluation.fit_temperature(raw, scans.labels)
    shares = _cross_tempered(raw, scans.labels, folds)
    ensemble = Ensemble([fold.network for fold in folds], temperature)
    exact = exporting.export(ensemble)
    few = _spread(scans.images, plan.calibration_images)
    small = exporting.quantize(exact, few)
    small_shares = _unseen_int8(scans, folds, plan, temperature)
    choice = quantisation_facts(
        scans.labels,
        {"float32": shares, "int8": small_shares},
        {"float32": exact, "int8": small},
        plan.timed_runs,
    )
    choice["largest_difference_to_torch"] = exporting.largest_difference(
        exact, ensemble, torch.from_numpy(few)
    )
    eight = choice["chosen"] == "int8"
    others = {
        name: evaluation.temper(unseen_logits(folds, images), temperature)
        for name, images in shortcuts.altered(scans).items()
    }
    facts = _facts(scans, plan, seed, small_shares if eight else shares)
    plain = evaluation.calibration(scans.labels, evaluation.temper(raw, 1.0))
    facts["calibration"] = {
        "method": "one temperature, fitted on the cross-validated logits of the other folds",
        "temperature": round(temperature, 3),
        "ece_without_temperature": plain["ece"],
        **evaluation.calibration(scans.labels, shares),
    }
    facts["baseline"] = shortcuts.hog_svm(scans, [(f.train, f.test) for f in folds])
    facts["shortcut_checks"] = shortcuts.shortcut_facts(scans, shares, others)
    facts["quantisation"] = choice
    return (small if eight else exact), facts


def unseen_logits(folds: list[Fold], images: Pixels) -> Floats:
    """Each picture's logits, and its mirror image's, by the network that never saw it:
    [n, 2, 4]."""
    answers = np.empty((len(images), 2, len(LABELS)))
    for fold in folds:
        unseen = torch.from_numpy(images[fold.test])
        for view, pictures in enumerate((unseen, unseen.flip(3))):
            answers[fold.test, view] = logits_of(fold.network, pictures).numpy()
    return answers


def quantisation_facts(
    labels: Indices, shares: Mapping[str, Floats], models: Mapping[str, bytes], runs: int
) -> Facts:
    """The decision between float32 and int8, and its numbers."""
    right = {name: evaluation.accuracy(labels, p) for name, p in shares.items()}
    speed = {name: exporting.latency_ms(model, runs) for name, model in models.items()}
    good = right["int8"] >= right["float32"] - INT8_LOSS and speed["int8"] <= speed["float32"]
    return {
        "chosen": "int8" if good else "float32",
        "rule": f"int8 if it loses at most {INT8_LOSS:.0%} accuracy and is not slower",
        "accuracy": {name: round(value, 4) for name, value in right.items()},
        "milliseconds_one_thread": {name: round(value, 2) for name, value in speed.items()},
        "bytes": {name: len(model) for name, model in models.items()},
    }


def _facts(scans: Scans, plan: Plan, seed: int, shares: Floats) -> Facts:
    return {
        **static_facts(),
        "rows": {
            "all": len(scans),
            **{label: int((scans.labels == k).sum()) for k, label in enumerate(LABELS)},
        },
        "validation": {
            "method": f"{plan.folds}-fold, stratified, alike pictures in one fold",
            "groups": len(np.unique(scans.groups)),
            "intervals": f"95 %, {plan.resamples} bootstrap samples of groups",
        },
        "training": {
            "seed": seed,
            "networks": plan.folds,
            **asdict(plan.recipe),
            "widths": list(plan.recipe.widths),
        },
        "metrics": evaluation.metrics(
            scans.labels, shares, scans.groups, seed=seed, resamples=plan.resamples
        ),
        "confusion_matrix": evaluation.confusion(scans.labels, shares),
    }


def _cross_tempered(raw: Floats, labels: Indices, folds: list[Fold]) -> Floats:
    """Probabilities [n, 4]; each fold's temperature comes from the other folds' pictures."""
    shares = np.empty((len(raw), len(LABELS)))
    for fold in folds:
        others = np.setdiff1d(np.arange(len(raw)), fold.test)
        temperature = evaluation.fit_temperature(raw[others], labels[others])
        shares[fold.test] = evaluation.temper(raw[fold.test], temperature)
    return shares


def _unseen_int8(scans: Scans, folds: list[Fold], plan: Plan, temperature: float) -> Floats:
    """Probabilities [n, 4] by the 8-bit form of the network that never saw the picture."""
    shares = np.empty((len(scans), len(LABELS)))
    for fold in folds:
        exact = exporting.export(Ensemble([fold.network], temperature))
        few = _spread(scans.images[fold.train], plan.calibration_images)
        shares[fold.test] = exporting.run(exporting.quantize(exact, few), scans.images[fold.test])
    return shares


def _spread(images: Pixels, count: int) -> Pixels:
    """`count` pictures, evenly over the manifest, so that every class is among them."""
    rows = np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)
    chosen: Pixels = images[rows]
    return chosen


def _follow(events: queue.SimpleQueue[bool], plan: Plan, report: Report) -> None:
    epochs, finished = 0, 0
    while finished < plan.folds:
        if events.get():
            finished += 1
        else:
            epochs += 1
            report("training", 0.05 + 0.85 * epochs / (plan.folds * plan.recipe.epochs))


def _results(running: list[Future[Fold]]) -> list[Fold]:
    """All folds; the failure that stopped the others, if one did."""
    failures = [error for error in (future.exception() for future in running) if error]
    causes = [error for error in failures if not isinstance(error, StoppedError)]
    if causes:
        raise causes[0]
    return [future.result() for future in running]


@contextmanager
def _reproducibly() -> Iterator[None]:
    """One thread per operation and deterministic algorithms, for as long as this lasts."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(strict)
        torch.set_num_threads(threads)


def _write(path: Path, model: bytes) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(model)
    part.replace(path)
