"""`artifact`, `table` and `resource`: how the models of a registry are declared."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import PurePath
from typing import Any, Generic, TypedDict, TypeVar, Unpack, overload

from loadonce.artifacts import Golden, Source
from loadonce.errors import ConfigurationError
from loadonce.inference import Placement
from loadonce.loaders import Fork

from .declaration import ArtifactOrigin, Declaration, ModelPlacement, ResourceOrigin, Root, When
from .model import Model

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

Opened = (
    AbstractAsyncContextManager[T]
    | AbstractContextManager[T]
    | AsyncIterator[T]
    | Iterator[T]
    | Awaitable[AbstractAsyncContextManager[T]]
)

ArtifactPath = str | os.PathLike[str]


def _plain_path(path: ArtifactPath) -> str:
    return path if isinstance(path, str) else PurePath(path).as_posix()


def _plain_paths(path: ArtifactPath | Mapping[str, ArtifactPath]) -> str | Mapping[str, str]:
    if isinstance(path, Mapping):
        return {name: _plain_path(each) for name, each in path.items()}
    return _plain_path(path)


def artifact(
    path: ArtifactPath | Mapping[str, str] | Mapping[str, os.PathLike[str]],
    *,
    loader: str | Callable[[Source], T | Awaitable[T]] | None = None,
    options: Mapping[str, object] | None = None,
    root: Root | None = None,
    required: bool = True,
    when: When = "startup",
    warmup: Callable[[T], object] | None = None,
    golden: Golden | Callable[[T], bool] | None = None,
    close: Callable[[T], object] | None = None,
    placement: ModelPlacement = "auto",
    threads: int = 1,
    thread_safe: bool = True,
    max_batch_size: int = 64,
    max_wait: float = 0.0,
    batch_cost: Callable[[Any], float] | None = None,
    max_queue: int = 1024,
    timeout: float | None = 30.0,
    load_timeout: float | None = 600.0,
    drain_timeout: float = 30.0,
    fork: Fork | None = None,
    kind: str = "",
) -> Model[T]:
    """Declare a model that is loaded from verified bytes.

    Args:
        path: relative to the registry's root, a string or a `Path`. One file; or a directory (all
            locked files below it); or several files by name, which gives a dict of what each holds.
        loader: a format name ("joblib", "onnx", "parquet", ...), or any function, plain or async,
            that gets the verified `Source` and returns the object; None goes by the suffix.
        options: keyword arguments for a built-in loader, e.g. `{"threads": 2}` for ONNX.
        root: another root than the registry's, with a lock file of its own.
        required: its failure stops the start; otherwise the app serves on and this model's routes
            answer 503.
        when: "startup" loads before the app serves; "background" after, retried with back-off;
            "first_use" when the first request asks, however many ask together.
        warmup: a call that must succeed before the model is ready.
        golden: an example whose output is compared, or a function that tells whether all is well.
        close: called with the object after its last lease, before it is let go. A load that was
            given up (timed out, cancelled) cannot be stopped: what it yet returns is dropped.
        placement: where calls run: "thread"; "inline", on the event loop; or "auto", on the loop
            what was measured to take microseconds, in a thread everything else. "process": in a
            process that has the only copy, for all workers of the server.
        threads: how many calls may run at the same time.
        thread_safe: false for objects that must never be called by two threads together; "auto"
            leaves their calls in the thread.
        max_batch_size: the most items a batch function is given at once.
        max_wait: how long an item waits for company, in seconds, although the model is idle.
        batch_cost: what an item costs (rows, pixels, tokens), a finite number of at least 0;
            `max_batch_size` then limits the sum of the costs. An item that costs more than that
            runs alone.
        max_queue: the most calls that may wait, coroutines that run included; one more is refused
            (503).
        timeout: deadline of a call in seconds, waiting included (504); also the longest a request
            waits for a model that loads on first use.
        load_timeout: deadline of a load in seconds; its warm-up and checks have the same again.
        drain_timeout: how long a replaced version waits for its last leases, in seconds, and then
            (at least one) for its closing.
        fork: with several workers, "inherit" loads one object for all of them, before they are
            forked; "after" loads one in each, for objects with threads or connections of their
            own. None: as the built-in loader says; "inherit" for a function of yours that leaves
            no thread running.
        kind: a word for people, e.g. "sklearn pipeline".
    """
    return Model(
        Declaration(
            origin=ArtifactOrigin(
                path=_plain_paths(path), loader=loader, options=options or {}, root=root
            ),
            required=required,
            when=when,
            warmup=warmup,
            golden=golden,
            close=close,
            placement=placement,
            threads=threads,
            thread_safe=thread_safe,
            max_batch_size=max_batch_size,
            max_wait=max_wait,
            batch_cost=batch_cost,
            max_queue=max_queue,
            timeout=timeout,
            load_timeout=load_timeout,
            drain_timeout=drain_timeout,
            fork=fork,
            kind=kind or "artifact",
        )
    )


def table(
    path: ArtifactPath,
    *,
    options: Mapping[str, object] | None = None,
    root: Root | None = None,
    required: bool = True,
    when: When = "startup",
    golden: Callable[[T], bool] | None = None,
    load_timeout: float | None = 600.0,
    drain_timeout: float = 30.0,
    kind: str = "table",
) -> Model[T]:
    """Declare a reference table in a Parquet file: a `pyarrow.Table`, read once.

    Args:
        path: relative to the registry's root.
        options: for the Parquet loader: `{"as_": "pandas"}` for a DataFrame, `{"columns": [...]}`.
        golden: a function that tells whether the table is what it should be (columns, rows, ...).
        root, required, when, load_timeout, drain_timeout, kind: as for `artifact`.
    """
    return Model(
        Declaration(
            origin=ArtifactOrigin(
                path=_plain_path(path), loader="parquet", options=options or {}, root=root
            ),
            required=required,
            when=when,
            golden=golden,
            load_timeout=load_timeout,
            drain_timeout=drain_timeout,
            kind=kind,
        )
    )


class ResourceOptions(TypedDict, Generic[T], total=False):
    """The options of `resource`; each means what it does for `artifact`."""

    required: bool
    when: When
    warmup: Callable[[T], object] | None
    golden: Callable[[T], bool] | None
    placement: Placement
    threads: int
    thread_safe: bool
    max_batch_size: int
    max_wait: float
    batch_cost: Callable[[Any], float] | None
    max_queue: int
    timeout: float | None
    load_timeout: float | None
    drain_timeout: float
    kind: str


@overload
def resource(
    factory: Callable[[], Opened[T]], /, **options: Unpack[ResourceOptions[T]]
) -> Model[T]: ...
@overload
def resource(
    factory: Callable[[A], Opened[T]], a: Model[A], /, **options: Unpack[ResourceOptions[T]]
) -> Model[T]: ...
@overload
def resource(
    factory: Callable[[A, B], Opened[T]],
    a: Model[A],
    b: Model[B],
    /,
    **options: Unpack[ResourceOptions[T]],
) -> Model[T]: ...
@overload
def resource(
    factory: Callable[[A, B, C], Opened[T]],
    a: Model[A],
    b: Model[B],
    c: Model[C],
    /,
    **options: Unpack[ResourceOptions[T]],
) -> Model[T]: ...
def resource(factory: Callable[..., Any], /, *needs: Model[Any], **options: Any) -> Model[Any]:
    """Declare a resource: a pool, a client, a cache, or anything made from other models.

    Args:
        factory: returns a context manager, asynchronous or not, or is a generator function that
            yields the object once; what follows the `yield` runs at the end. A plain generator
            runs in a thread, everything asynchronous on the event loop, entered and left in one
            task.
        needs: models declared above whose objects the factory gets, loaded before.
        options: as for `artifact`: required, when, warmup, golden, placement, threads,
            thread_safe, max_batch_size, max_wait, batch_cost, max_queue, timeout, load_timeout,
            drain_timeout, kind.
    """
    if not callable(factory):
        raise ConfigurationError(
            f"resource() takes the factory itself, not what it returns: a {type(factory).__name__} "
            "cannot be opened again"
        )
    origin = ResourceOrigin(factory=factory, needs=needs)
    return Model(Declaration(origin=origin, kind=options.pop("kind", "resource"), **options))
