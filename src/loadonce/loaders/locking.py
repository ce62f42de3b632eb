"""Write down what is trusted: what `loadonce lock DIR` does."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from loadonce.artifacts import (
    LOCK_NAME,
    Golden,
    LockEntry,
    LockFile,
    Source,
    installed_versions,
    measure,
    walk_files,
)
from loadonce.errors import (
    ArtifactNotFoundError,
    ArtifactUnreadableError,
    ConfigurationError,
    LockRefusedError,
    ModelError,
)
from loadonce.loaders import globalnames
from loadonce.loaders.base import Loader, no_globals
from loadonce.loaders.policy import require_trusted
from loadonce.loaders.table import find, find_any

NO_FORMAT = "file"  # of what no loader answers to
_REWRITE = "save the model anew, or take the file out of the root"
_NO_ARTIFACTS = frozenset((".py", ".pyc", ".pyi", ".ipynb", ".md", ".rst", ".toml", ".cfg", ".sh"))
_NO_ARTIFACT_DIRECTORIES = frozenset(("__pycache__", "node_modules", "site-packages"))
# By the package a class comes from. A program's own package is not among them on purpose: its
# models would otherwise be refused at each of its releases.
_DISTRIBUTIONS = {
    "catboost": "catboost",
    "category_encoders": "category-encoders",
    "imblearn": "imbalanced-learn",
    "joblib": "joblib",
    "lightgbm": "lightgbm",
    "numpy": "numpy",
    "pandas": "pandas",
    "pyarrow": "pyarrow",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "xgboost": "xgboost",
}


@dataclass(frozen=True, slots=True)
class LockReport:
    """What `lock_directory` wrote, against what was there before.

    Args:
        lock: the lock file as written.
        added: entries of files that were not locked before.
        changed: old and new entry of files whose entry differs.
        removed: entries of files that are gone.
    """

    lock: LockFile
    added: tuple[LockEntry, ...]
    changed: tuple[tuple[LockEntry, LockEntry], ...]
    removed: tuple[LockEntry, ...]

    @property
    def is_unchanged(self) -> bool:
        return not (self.added or self.changed or self.removed)


def lock_directory(
    root: str | os.PathLike[str],
    *,
    allow: Iterable[str] = (),
    formats: Mapping[str, str] | None = None,
    golden: Mapping[str, Golden] | None = None,
    write: bool = True,
) -> LockReport:
    """Lock every file below `root` and write `models.lock` there, in one step.

    Left out are hidden files, source code and notes (.py, .ipynb, .md, ...), caches and virtual
    environments. Declared versions and golden examples of files that are still there are kept, and
    what was allowed for a file whose bytes are still the same.
    Nothing a file contains is executed.

    Args:
        allow: further globals that pickles may use, as "module.Name".
        formats: a format name by path, for files whose suffix does not tell.
        golden: an example by path, checked after every load.
        write: false to report only what would change.

    Raises:
        LockRefusedError: several files are refused, each for one of the reasons below; a single one
            is raised as it is.
        ArtifactNotFoundError: a format or a golden example for a file that is not there.
        ConfigurationError: what is in `allow` is no name of a class or function.
        UntrustedGlobalError: a pickle uses globals that are neither built in nor allowed.
        ArtifactUnreadableError: a file cannot be read, or is no pickle although its suffix says so.
        UnknownFormatError: `formats` names one that nothing answers to.
        MissingExtraError: a library is needed to look into a file, and not installed.
        LockFileError: the old lock file is malformed, or the new one cannot be written.
    """
    root = Path(root)
    before = LockFile.read(root) if (root / LOCK_NAME).exists() else LockFile()
    allowed = frozenset(allow)
    _require_names(allowed)
    entries = _lock_all(root, allowed, formats or {}, before.entries)
    _require_files("a format", formats or {}, entries)
    _require_files("a golden example", golden or {}, entries)
    for path, example in (golden or {}).items():
        entries[path] = replace(entries[path], golden=example)
    after = LockFile(entries)
    report = _report(before, after)
    if write and not (report.is_unchanged and (root / LOCK_NAME).exists()):
        after.write(root)
    return report


def _require_names(allow: Iterable[str]) -> None:
    for name in allow:
        if not all(globalnames.split(name)):
            raise ConfigurationError(
                f"'{name}' is no MODULE.NAME, such as myproject.features.Ratio"
            )


def _require_files(what: str, given: Iterable[str], entries: Collection[str]) -> None:
    for path in given:
        if path not in entries:
            raise ArtifactNotFoundError("", f"{what} for a file that is not there", path=path)


def _lock_all(
    root: Path,
    allow: Collection[str],
    formats: Mapping[str, str],
    before: Mapping[str, LockEntry],
) -> dict[str, LockEntry]:
    """The entry of every artifact below `root`; all that are refused are told of together."""
    entries: dict[str, LockEntry] = {}
    refused: list[ModelError] = []
    for path in _artifacts_among(walk_files(root)):
        try:
            entries[path] = _lock_one(root, path, allow, formats, before.get(path))
        except ModelError as error:
            refused.append(error.about("", path))
    if len(refused) > 1:
        raise LockRefusedError(refused)
    if refused:
        raise refused[0]
    return entries


def _artifacts_among(paths: Sequence[str]) -> list[str]:
    """Without what lies beside models when the root is a whole project."""
    environments = tuple(path.removesuffix("pyvenv.cfg") for path in paths if _names_venv(path))
    return [
        path
        for path in paths
        if PurePosixPath(path).suffix.lower() not in _NO_ARTIFACTS
        and not _NO_ARTIFACT_DIRECTORIES.intersection(PurePosixPath(path).parts)
        and not path.startswith(environments)
    ]


def _names_venv(path: str) -> bool:
    return path.endswith("/pyvenv.cfg")


def lock_file(
    root: Path, path: str, *, allow: Iterable[str] = (), format: str | None = None
) -> LockEntry:
    """The entry for one file; writes nothing. Raises as `lock_directory` does."""
    formats = {} if format is None else {path: format}
    return _lock_one(root, path, frozenset(allow), formats, None)


def _lock_one(
    root: Path,
    path: str,
    allow: Collection[str],
    formats: Mapping[str, str],
    before: LockEntry | None,
) -> LockEntry:
    loader = _loader(path, formats.get(path), before)
    source = measure(root, path)
    try:
        names = () if loader is None else _find_globals(loader, source)
        require_trusted(path, names, {*allow, *_globals_of_the_same(before, source)})
    finally:
        source.close()
    return replace(
        source.entry,
        format=NO_FORMAT if loader is None else loader.name,
        globals=names,
        libraries={} if loader is None else installed_versions(_libraries(loader, names)),
        version=before.version if before else None,
        golden=before.golden if before else None,
    )


def _globals_of_the_same(before: LockEntry | None, source: Source) -> tuple[str, ...]:
    """What was allowed for these very bytes already: locking them again asks for nothing new."""
    return before.globals if before and before.sha256 == source.sha256 else ()


def _loader(path: str, declared: str | None, before: LockEntry | None) -> Loader | None:
    """As declared now, else by the suffix, else as declared when it was locked before."""
    if declared is not None:
        return find(declared, path)
    return find_any(None, path) or (find_any(before.format, path) if before else None)


def _find_globals(loader: Loader, source: Source) -> tuple[str, ...]:
    if loader.find_globals is not no_globals:
        loader.require_libraries(source.name)
    if loader.find_globals is not no_globals and source.size == 0:
        raise ArtifactUnreadableError("", "the file is empty", path=source.name, hint=_REWRITE)
    try:
        return loader.find_globals(source)
    except Exception as exc:  # a hostile file can make a parser fail in any way
        problem = f"not readable as {loader.name}: {exc}"
        hint = f"{_REWRITE}; if it is of another format, `--format {source.name}=NAME` says which"
        raise ArtifactUnreadableError("", problem, path=source.name, hint=hint) from exc


def _libraries(loader: Loader, names: Iterable[str]) -> Iterator[str]:
    """The loader's own libraries, and those whose classes a pickle uses."""
    yield from loader.libraries
    packages = {name.partition(":")[0].partition(".")[0] for name in names}
    yield from (_DISTRIBUTIONS[package] for package in packages if package in _DISTRIBUTIONS)


def _report(before: LockFile, after: LockFile) -> LockReport:
    old, new = before.entries, after.entries
    return LockReport(
        lock=after,
        added=tuple(new[path] for path in new if path not in old),
        changed=tuple(
            (old[path], new[path]) for path in new if path in old and old[path] != new[path]
        ),
        removed=tuple(old[path] for path in old if path not in new),
    )
