"""Convert the files of a directory: each verified, proved in a process of its own, then written."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from loadonce.artifacts import (
    LOCK_NAME,
    LockEntry,
    LockFile,
    Source,
    check_libraries,
    read_verified,
    replace_file,
    walk_files,
)
from loadonce.errors import (
    ArtifactNotLockedError,
    LoadOnceError,
    MissingExtraError,
    ModelError,
    UnknownFormatError,
)
from loadonce.loaders import lock_file
from loadonce.loaders.onnxfile import MalformedModelError, external_locations

from .report import SUFFIX, Conversion, Difference, Options, Proof, differences_told
from .running import Answer, ChildFailedError, run
from .stored import read_rows

OnStage = Callable[[str, str], None]
"""Called with a file and what is done with it: "loading", "building", "comparing"."""

CONVERTIBLE = (".joblib", ".pkl", ".pickle", ".skops", ".ubj", ".xgb")
_NEEDED = ("onnx", "onnxruntime")


def convertible_files(root: str | os.PathLike[str]) -> tuple[str, ...]:
    """The files below `root` that `convert_directory` takes, by their path from there."""
    return tuple(path for path in walk_files(Path(root)) if path.lower().endswith(CONVERTIBLE))


def convert_directory(
    root: str | os.PathLike[str],
    options: Options | None = None,
    *,
    on_stage: OnStage = lambda path, stage: None,
) -> tuple[Conversion, ...]:
    """Convert every model below `root`; one that is refused does not keep the others from it.

    Raises as `convert_file` does.
    """
    return tuple(
        convert_file(root, path, options, on_stage=on_stage) for path in convertible_files(root)
    )


def convert_file(
    root: str | os.PathLike[str],
    path: str,
    options: Options | None = None,
    *,
    on_stage: OnStage = lambda path, stage: None,
) -> Conversion:
    """Write `NAME.predictor.onnx` beside the model `path` below `root`, once it is proved equal.

    The model is read if `models.lock` in `root` trusts its bytes, and unpickled in a process
    without network. If the graph answers otherwise than the original, or anything else is wrong,
    nothing is written and the `reason` of the result tells why. What was written is added to
    `models.lock`, if there is one, with the golden example of the original.

    Blocks for seconds; call it in a thread.

    Args:
        root: where the models and their lock file lie.
        path: relative to it, with forward slashes.
        options: see `Options`.
        on_stage: called with the path and what is done with it.

    Raises:
        ConfigurationError: the stored rows are not readable.
        MissingExtraError: onnx or onnxruntime is not installed.
    """
    root, options = Path(root), options or Options()
    _require_libraries(path)
    columns = read_rows(options.rows) if options.rows is not None else None
    target = _target(path)
    before = Conversion(source=path)
    try:
        _require_one_source(root, path, target)
        source = _trusted(root, path, options)
    except ModelError as exc:
        return replace(before, reason=str(exc.about("", path)).removeprefix(f"{path}: "))
    try:
        before = replace(before, bytes_before=source.size)
        request = _request(source.entry, options, columns)
        answer = run(
            request,
            source.data,
            timeout=options.timeout,
            on_stage=lambda stage: on_stage(path, stage),
        )
        made, model = _judged(before, answer), answer.model
    except ChildFailedError as exc:
        made, model = replace(before, reason=str(exc)), b""
    finally:
        source.close()
    if made.reason:
        return _with_stale_target(root, target, made)
    return _written(root, target, source.entry, model, made)


def _require_libraries(path: str) -> None:
    for module in _NEEDED:
        if importlib.util.find_spec(module) is None:
            problem = f"converting needs '{module}', which is not installed"
            hint = "pip install 'loadonce[convert]'"
            raise MissingExtraError("", problem, path=path, hint=hint)


def _target(path: str) -> str:
    return path.rpartition(".")[0] + SUFFIX


def _require_one_source(root: Path, path: str, target: str) -> None:
    others = [each for each in convertible_files(root) if each != path and _target(each) == target]
    if others:
        problem = f"{others[0]} would become {target} too; rename one of the two"
        raise ModelError("", problem, path=path)


def _trusted(root: Path, path: str, options: Options) -> Source:
    """The verified bytes. Raises ModelError."""
    lock = LockFile.read(root) if (root / LOCK_NAME).exists() else LockFile()
    if path not in lock.entries and not path.lower().endswith(CONVERTIBLE):
        problem = "no model that can be converted"
        hint = f"name a directory of models, or a file that ends in {', '.join(CONVERTIBLE)}"
        raise UnknownFormatError("", problem, path=path, hint=hint)
    if path not in lock.entries and options.unlocked:
        lock = lock.with_entry(lock_file(root, path, allow=options.allow))
    if not lock.entries:
        hint = f"look at the file, then run `loadonce lock {root}` if you trust it"
        problem = f"no {LOCK_NAME} vouches for it, so it was not opened"
        raise ArtifactNotLockedError("", problem, path=path, hint=hint)
    source = read_verified(root, path, lock)
    try:
        check_libraries(source.entry, allow_other_versions=options.allow_version_mismatch)
    except LoadOnceError:
        source.close()
        raise
    return source


def _request(
    entry: LockEntry, options: Options, columns: Mapping[str, list[object]] | None
) -> dict[str, object]:
    golden = entry.golden.input if entry.golden is not None else None
    is_rows = isinstance(golden, list) and all(isinstance(row, list) for row in golden)
    return {
        "entry": asdict(replace(entry, golden=None)),
        "source": {"path": entry.path.rpartition("/")[2], "sha256": entry.sha256},
        "golden": golden if is_rows else [],
        "rows": columns,
        "feature_names": options.feature_names,
        "text": options.text,
        "tolerance": options.tolerance,
        "seed": options.seed,
        "timeout": options.timeout,
        "memory_bytes": options.memory_bytes,
        "builder": options.builder,
        "app_dir": str(options.app_dir.absolute()) if options.app_dir is not None else None,
    }


def _judged(before: Conversion, answer: Answer) -> Conversion:
    """What the process said, taken as said by one that may lie."""
    try:
        isolation = tuple(map(str, answer.fields["isolation"]))
        reason = str(answer.fields.get("reason", ""))
        proof = _proof(answer.fields["proof"]) if "proof" in answer.fields else None
    except (KeyError, TypeError, ValueError) as exc:
        raise ChildFailedError("its process gave an answer that makes no sense") from exc
    if not reason and proof is not None and not proof.is_equal:
        reason = differences_told(proof.differences, proof.differing)
    elif not reason and (proof is None or not _stands_alone(answer.model)):
        raise ChildFailedError("its process gave an answer that makes no sense")
    return replace(before, isolation=isolation, reason=reason, proof=proof)


def _proof(fields: Mapping[str, Any]) -> Proof:
    differences = tuple(Difference(**each) for each in fields["differences"])
    return Proof(**{**fields, "differences": differences})


def _stands_alone(model: bytes) -> bool:
    """Whether it is an ONNX file that names no other file."""
    try:
        return bool(model) and not external_locations(memoryview(model))
    except MalformedModelError:
        return False


def _with_stale_target(root: Path, target: str, made: Conversion) -> Conversion:
    if not (root / target).exists():
        return made
    return replace(made, reason=f"{made.reason} (an earlier {target} is still there)")


def _written(
    root: Path, target: str, entry: LockEntry, model: bytes, made: Conversion
) -> Conversion:
    try:
        replace_file(root / target, model)
    except OSError as exc:
        return replace(made, reason=f"{target} could not be written: {exc.strerror}")
    is_locked = (root / LOCK_NAME).exists()
    try:
        if is_locked:
            locked = replace(lock_file(root, target), golden=entry.golden)
            LockFile.read(root).with_entry(locked).write(root)
    except ModelError as exc:
        return replace(made, reason=f"{target} is written, but not locked: {exc}")
    return replace(
        made,
        path=target,
        sha256=hashlib.sha256(model).hexdigest(),
        bytes_after=len(model),
        is_locked=is_locked,
    )
