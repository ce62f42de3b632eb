"""loadonce: machine-learning models behind FastAPI, loaded once, verified, typed and shared."""

from __future__ import annotations

from .observe.collection import paused

with paused():  # imports make many objects, and next to no garbage
    from .artifacts import Golden, Source
    from .errors import (
        ArtifactError,
        ConfigurationError,
        DeadlineExceededError,
        FailedError,
        LoadError,
        LoadOnceError,
        ModelError,
        NotReadyError,
        NotRunningError,
        QueueFullError,
        StartupError,
        UnavailableError,
    )
    from .lifecycle.declare import artifact, resource, table
    from .lifecycle.handle import Handle
    from .lifecycle.model import Model, ModelStatus
    from .lifecycle.protocols import Classifier, Regressor
    from .lifecycle.registry import Registry, registries
    from .lifecycle.version import State
    from .loaders import lock_directory
    from .observe.events import ModelEvent

__version__ = "0.1.0"

__all__ = [
    "ArtifactError",
    "Classifier",
    "ConfigurationError",
    "DeadlineExceededError",
    "FailedError",
    "Golden",
    "Handle",
    "LoadError",
    "LoadOnceError",
    "Model",
    "ModelError",
    "ModelEvent",
    "ModelStatus",
    "NotReadyError",
    "NotRunningError",
    "QueueFullError",
    "Registry",
    "Regressor",
    "Source",
    "StartupError",
    "State",
    "UnavailableError",
    "artifact",
    "lock_directory",
    "registries",
    "resource",
    "table",
]
