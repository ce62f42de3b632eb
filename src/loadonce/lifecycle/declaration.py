"""What a user declares about a model, as plain frozen data."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from loadonce.artifacts import Golden
from loadonce.errors import ConfigurationError
from loadonce.inference import Placement
from loadonce.loaders import Fork

Root = str | os.PathLike[str] | Callable[[], str | os.PathLike[str]]
When = Literal["startup", "background", "first_use"]
ModelPlacement = Placement | Literal["process"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactOrigin:
    """Comes from verified bytes: a file, a directory, or several named files."""

    path: str | Mapping[str, str]
    root: Root | None = None
    loader: str | Callable[..., Any] | None = None
    options: Mapping[str, object] = field(default_factory=dict)

    @property
    def shown_path(self) -> str:
        """The path(s), for messages."""
        return self.path if isinstance(self.path, str) else ", ".join(self.path.values())


class Named(Protocol):
    """Another model, as far as a declaration knows it."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceOrigin:
    """Comes from a factory of a context manager, given other models' objects."""

    factory: Callable[..., Any]
    needs: tuple[Named, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """Everything declared about one model; `artifact`, `table` and `resource` explain each."""

    origin: ArtifactOrigin | ResourceOrigin
    required: bool = True
    when: When = "startup"
    warmup: Callable[[Any], object] | None = None
    golden: Golden | Callable[[Any], bool] | None = None
    close: Callable[[Any], object] | None = None
    placement: ModelPlacement = "auto"
    threads: int = 1
    thread_safe: bool = True
    max_batch_size: int = 64
    max_wait: float = 0.0
    batch_cost: Callable[[Any], float] | None = None
    max_queue: int = 1024
    timeout: float | None = 30.0
    load_timeout: float | None = 600.0
    drain_timeout: float = 30.0
    fork: Fork | None = None
    kind: str = ""

    def __post_init__(self) -> None:
        for name in ("threads", "max_batch_size", "max_queue"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name}= must be at least 1")
        for name in ("timeout", "load_timeout"):
            seconds = getattr(self, name)
            if seconds is not None and not seconds > 0:
                raise ConfigurationError(f"{name}= is in seconds, above 0; None for no limit")
        for name in ("drain_timeout", "max_wait"):
            if not getattr(self, name) >= 0:
                raise ConfigurationError(f"{name}= is in seconds, 0 or more")
        if not self.thread_safe and self.threads > 1:
            raise ConfigurationError(
                "thread_safe=False and threads= above 1 contradict each other: an object that is "
                "not thread-safe gets one thread"
            )
        if self.when not in ("startup", "background", "first_use"):
            raise ConfigurationError('when= is one of "startup", "background", "first_use"')
        if self.placement not in ("auto", "inline", "thread", "process"):
            raise ConfigurationError('placement= is one of "auto", "inline", "thread", "process"')
        if self.placement == "process" and isinstance(self.origin, ResourceOrigin):
            raise ConfigurationError(
                'placement="process" is for artifacts: a resource belongs to the process that uses '
                "it; open what a model needs in its loader"
            )
        if self.fork not in ("inherit", "after", None):
            raise ConfigurationError('fork= is "inherit" or "after"; None asks the loader')

    @property
    def place(self) -> Placement:
        """Where calls run in the process that has the object; what is not thread-safe does not
        wander between threads."""
        placement = "auto" if self.placement == "process" else self.placement
        return "thread" if placement == "auto" and not self.thread_safe else placement
