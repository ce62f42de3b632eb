"""Artifacts, their loaders and types: verified as at the start, without loading anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from loadonce.artifacts import LockEntry, LockFile, Source, check_libraries, read_verified
from loadonce.errors import ArtifactNotFoundError, LoadOnceError, ModelError
from loadonce.lifecycle.conformance import missing_from_each, wrong_type
from loadonce.lifecycle.declaration import ArtifactOrigin
from loadonce.lifecycle.loading import find_locked, locked_formats
from loadonce.lifecycle.locking import resolve_root
from loadonce.lifecycle.model import Model
from loadonce.lifecycle.registry import Registry
from loadonce.loaders import globalnames, pickles
from loadonce.loaders.gate import Gate
from loadonce.loaders.policy import untrusted
from loadonce.observe.memory import format_bytes

from .findings import Finding, Level


def check_artifacts(
    registry: Registry, *, allow_version_mismatch: bool = False
) -> Iterator[Finding]:
    """Every model's bytes against the lock, its loader, its libraries' versions."""
    for model in registry:
        yield from _check_model(registry, model, allow_version_mismatch)


def _check_model(
    registry: Registry, model: Model[Any], allow_version_mismatch: bool
) -> Iterator[Finding]:
    origin = model.declaration.origin
    subject = f"{type(registry).__name__}.{model.name}"
    if not isinstance(origin, ArtifactOrigin):
        yield Finding("ok", subject, f"{model.declaration.kind}; nothing on disk to verify")
        return
    fatal: Level = "error" if model.declaration.required else "warning"
    try:
        root = registry.root if origin.root is None else resolve_root(origin.root)
        lock = LockFile.read(root)
        _check_loader(origin, lock)
        source = read_verified(root, origin.path, lock)
    except Exception as error:
        is_left_out = fatal == "warning" and isinstance(error, ArtifactNotFoundError)
        yield _failure("note" if is_left_out else fatal, subject, model, error)
        return
    try:
        yield from _check_source(fatal, subject, model, source, allow_version_mismatch)
    finally:
        source.close()


def _check_loader(origin: ArtifactOrigin, lock: LockFile) -> None:
    """Raises where the declared or locked loader does not exist, lacks its library or an option."""
    if not callable(origin.loader):
        formats = locked_formats(lock.entries.values())
        for path in _paths(origin):
            find_locked(origin, formats, path).check_options(dict(origin.options))


def _check_source(
    fatal: Level, subject: str, model: Model[Any], source: Source, allow_version_mismatch: bool
) -> Iterator[Finding]:
    entries = [part.entry for part in source.files.values()] or [source.entry]
    try:
        warnings = [
            warning
            for entry in entries
            for warning in check_libraries(entry, allow_other_versions=allow_version_mismatch)
        ]
    except ModelError as error:
        yield _failure(fatal, subject, model, error)
        return
    libraries = {name: known for entry in entries for name, known in entry.libraries.items()}
    shown = "".join(f", {name} {known}" for name, known in libraries.items())
    yield Finding(
        "ok", subject, f"version {source.version}, {format_bytes(source.size)} as locked{shown}"
    )
    for warning in warnings:
        yield Finding("warning", subject, warning)
    for entry in entries:
        yield from _check_format(subject, model, entry)
        yield from _check_own_names(fatal, subject, model, entry)
    if not source.files:
        yield from _check_type(fatal, subject, model, source)


def _check_format(subject: str, model: Model[Any], entry: LockEntry) -> Iterator[Finding]:
    origin = model.declaration.origin
    assert isinstance(origin, ArtifactOrigin)
    if callable(origin.loader):
        return
    loader = find_locked(origin, locked_formats([entry]), entry.path)
    if loader.name != entry.format:
        yield Finding(
            "warning",
            subject,
            f"{entry.path} was locked as '{entry.format}', its loader is '{loader.name}'",
            "lock it again with `--format PATH=NAME`",
        )


def _check_own_names(
    fatal: Level, subject: str, model: Model[Any], entry: LockEntry
) -> Iterator[Finding]:
    """Whether what a pickle needs of the app's own code is there: classes move, scripts end."""
    origin = model.declaration.origin
    assert isinstance(origin, ArtifactOrigin)
    if callable(origin.loader) or entry.format != pickles.LOADER.name:
        return
    gate = Gate(entry.path, entry.globals)
    for name in untrusted(entry.globals):
        try:
            gate.resolve(*globalnames.split(name))
        except LoadOnceError as error:
            yield _failure(fatal, subject, model, error)


def _check_type(fatal: Level, subject: str, model: Model[Any], source: Source) -> Iterator[Finding]:
    """Whether what a pickle holds can be what was declared; of other formats only loading tells."""
    origin = model.declaration.origin
    assert isinstance(origin, ArtifactOrigin)
    declared = model.slot.declared_type()
    may_be_anything = not missing_from_each(declared, _Nothing)
    if may_be_anything or callable(origin.loader) or source.entry.format != pickles.LOADER.name:
        return
    kind = pickles.class_of(source)
    if kind is not None and (lack := missing_from_each(declared, kind)):
        yield _failure(fatal, subject, model, wrong_type(model.name, declared, lack))


class _Nothing:
    """No declaration means this."""


def _paths(origin: ArtifactOrigin) -> list[str]:
    return [origin.path] if isinstance(origin.path, str) else list(origin.path.values())


def _failure(level: Level, subject: str, model: Model[Any], error: Exception) -> Finding:
    if isinstance(error, ModelError):
        origin = model.declaration.origin
        path = origin.shown_path if isinstance(origin, ArtifactOrigin) else ""
        error.about(model.name, path)
        facts = [f"{name}: {text}" for name, text in _facts(error).items() if text]
        head = f"{error.path}: {error.problem}" if error.path else error.problem
        return Finding(level, subject, "\n".join([head, *facts]), error.hint)
    text = str(error) if isinstance(error, LoadOnceError) else f"{type(error).__name__}: {error}"
    return Finding(level, subject, text)


def _facts(error: ModelError) -> Mapping[str, str]:
    return {"expected": error.expected, "found": error.found}
