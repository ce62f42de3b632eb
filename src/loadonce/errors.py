"""Every error loadonce raises, as one tree. HTTP status codes live in `loadonce.http`, not here.

LoadOnceError
├── ConfigurationError        declared or called in a way that cannot work
│   └── NotRunningError       used before the lifespan started or after it ended
├── StartupError              the start was stopped; holds every failure known by then
├── ModelError                names the model (and file) it is about
│   ├── ArtifactError         the bytes on disk
│   │   ├── ArtifactNotFoundError      nothing at that path
│   │   ├── ArtifactUnreadableError    not a regular file inside the root, no permission, I/O error
│   │   ├── ArtifactCorruptError       size or sha256 differ from the lock file
│   │   ├── ArtifactNotLockedError     not in the lock file
│   │   ├── LockFileError              the lock file itself is missing, unreadable or malformed
│   │   ├── UntrustedGlobalError       a pickle asks for a global that is not locked
│   │   ├── IncompatibleLibraryError   made by another major or minor version of a library
│   │   └── LockRefusedError           several files may not be locked; holds why for each
│   ├── LoadError             turning verified bytes into an object
│   │   ├── UnknownFormatError         no loader for that suffix or format
│   │   ├── MissingExtraError          the loader's library is not installed
│   │   ├── LoaderFailedError          the loader raised
│   │   ├── LoadTimeoutError           not done within `load_timeout`
│   │   ├── WrongTypeError             the object is not what was declared
│   │   ├── WarmupError                the warm-up call raised
│   │   ├── GoldenMismatchError        the golden example came out different
│   │   ├── InsufficientMemoryError    would not fit the memory limit
│   │   └── ReloadFailedError          the server's new generation does not serve; it tells why
│   └── UnavailableError      a request cannot be served by this model now
│       ├── NotReadyError              still loading, or draining; worth trying again
│       ├── FailedError                failed to load
│       ├── QuarantinedError           this version crashed its process again and again
│       └── QueueFullError             too many calls are waiting
├── DeadlineExceededError     a call took longer than its timeout
├── CallerLeftError           the client left before its call's turn came
├── BatchResultError          a batch function returned the wrong number of results
├── InvalidRowsError          rows do not fit the features of a converted model
└── CallFailedError           a call in a model's own process raised an error of another package
"""

from __future__ import annotations

from collections.abc import Sequence


class LoadOnceError(Exception):
    """Base class of every error raised by loadonce."""


class ConfigurationError(LoadOnceError):
    """Declared or called in a way that cannot work; the message says what to change."""


class NotRunningError(ConfigurationError):
    """A model was used before its registry's lifespan started, or after it ended.

    Args:
        name: the model.
        registry: the class name of its registry.
    """

    def __init__(self, name: str, registry: str) -> None:
        super().__init__(
            f"model '{name}': its registry {registry} is not running. Pass "
            "`lifespan=models.lifespan` to FastAPI, enter `models.running(app)` in your own "
            "lifespan, or use `with models.loaded()` outside FastAPI. In tests use `with "
            "TestClient(app)`."
        )


class ModelError(LoadOnceError):
    """An error about one model.

    Args:
        model: the model's name; empty while it is not known, see `about`.
        problem: what went wrong, in a few words.
        path: the artifact's path, relative to the registry's root, where there is one.
        expected: what was expected, if that helps.
        found: what was found instead, if that helps.
        hint: what to do about it.
    """

    def __init__(
        self,
        model: str,
        problem: str,
        *,
        path: str = "",
        expected: str = "",
        found: str = "",
        hint: str = "",
    ) -> None:
        self.model = model
        self.problem = problem
        self.path = path
        self.expected = expected
        self.found = found
        self.hint = hint
        super().__init__(model, problem)

    def about(self, model: str, path: str = "") -> ModelError:
        """Fill in the model (and path) where the place that raised did not know them."""
        self.model = self.model or model
        self.path = self.path or path
        return self

    def __str__(self) -> str:
        return self.told_of([self.model] if self.model else [])

    def told_of(self, models: Sequence[str]) -> str:
        """The whole message, about one model or about several that failed for this one reason."""
        names = ", ".join(f"'{model}'" for model in models)
        head = f"model{'s' if len(models) > 1 else ''} {names}" if models else self.path
        if models and self.path:
            head += f" ({self.path})"
        lines = [f"{head or 'artifact'}: {self.problem}"]
        lines += [
            f"  {label}: {text}"
            for label, text in (
                ("expected", self.expected),
                ("found", self.found),
                ("to do", self.hint),
            )
            if text
        ]
        return "\n".join(lines)


class ArtifactError(ModelError):
    """The bytes on disk are not what they should be; nothing was deserialised."""


class ArtifactNotFoundError(ArtifactError):
    """Nothing exists at the declared path."""


class ArtifactUnreadableError(ArtifactError):
    """The path is not a readable regular file inside the registry's root."""


class ArtifactCorruptError(ArtifactError):
    """Size or sha256 differ from the lock file."""


class ArtifactNotLockedError(ArtifactError):
    """The lock file has no entry for this artifact."""


class LockFileError(ArtifactError):
    """The lock file is missing, unreadable or malformed."""


class UntrustedGlobalError(ArtifactError):
    """A pickle asks for a global that its lock entry does not list."""


class IncompatibleLibraryError(ArtifactError):
    """The artifact was made by another major or minor version of a library."""


class LockRefusedError(ArtifactError):
    """Several files may not be locked, so none was.

    Args:
        failures: why not, for each of the files.
    """

    def __init__(self, failures: Sequence[ModelError]) -> None:
        self.failures = tuple(failures)
        super().__init__("", f"{len(failures)} files may not be locked")

    def told_of(self, models: Sequence[str]) -> str:
        """The whole message: one after the other."""
        return "\n".join([f"{self.problem}, so nothing was written", *map(str, self.failures)])


class LoadError(ModelError):
    """Verified bytes could not be turned into a ready object."""


class UnknownFormatError(LoadError):
    """No loader is known for this suffix or format name."""


class MissingExtraError(LoadError):
    """The loader's library is not installed."""


class LoaderFailedError(LoadError):
    """The loader raised; the cause is chained."""


class LoadTimeoutError(LoadError):
    """Loading was not done within the declared `load_timeout`."""


class WrongTypeError(LoadError):
    """The loaded object is not of the declared type."""


class WarmupError(LoadError):
    """The declared warm-up call raised."""


class GoldenMismatchError(LoadError):
    """A golden example's output differs from the expected one."""


class InsufficientMemoryError(LoadError):
    """Loading would not fit the memory limit."""


class ReloadFailedError(LoadError):
    """`loadonce serve` could not reload all its workers; `found` tells why. The former models serve
    on."""


class UnavailableError(ModelError):
    """The model cannot serve this request now.

    `retry_after` is in seconds, or None where trying again does not help.
    """

    def __init__(
        self,
        model: str,
        problem: str,
        *,
        retry_after: float | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(model, problem, hint=hint)
        self.retry_after = retry_after


class NotReadyError(UnavailableError):
    """The model is still loading, or already draining."""


class FailedError(UnavailableError):
    """The model failed to load."""


class QuarantinedError(UnavailableError):
    """This version of the model crashed the process that served it again and again.

    Args:
        model: the model's name.
        sha256: the digest of the version.
    """

    def __init__(self, model: str, sha256: str) -> None:
        self.sha256 = sha256
        super().__init__(
            model,
            f"this version ({sha256[:12]}) is in quarantine: it crashed the process that served it",
            hint="lock another version and reload, or repair what crashes and restart the server",
        )


class QueueFullError(UnavailableError):
    """Too many calls are waiting for this model."""


class DeadlineExceededError(LoadOnceError):
    """A call did not finish within its timeout.

    Args:
        model: the model's name.
        timeout: the limit, in seconds.
        where: "queue" or "running": where the time ran out.
    """

    def __init__(self, model: str, timeout: float, where: str) -> None:
        self.model = model
        self.timeout = timeout
        self.where = where
        super().__init__(f"model '{model}': no result within {timeout:g} s (ran out in: {where})")


class CallerLeftError(LoadOnceError):
    """The client left before its call's turn came, so the call does not run.

    Args:
        model: the model's name.
    """

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(f"model '{model}': the client left before its call's turn came")


class BatchResultError(LoadOnceError):
    """A batch function returned another number of results than it was given items."""

    def __init__(self, model: str, function: str, expected: int, found: str) -> None:
        self.model = model
        super().__init__(
            f"model '{model}': batch function '{function}' returned {found} for {expected} "
            "items; it must return one result for each item, in order"
        )


class InvalidRowsError(LoadOnceError, ValueError):
    """Rows do not fit a converted model: the message names rows and features, never a value."""


class CallFailedError(LoadOnceError):
    """A call in a model's own process raised an error of a class that does not cross to this one.

    Args:
        model: the model's name.
        kind: the error's class, "module.name".
        where: the file and line that raised it; "" if unknown.
        text: what it said, which may quote what was submitted: the message leaves it out.
    """

    def __init__(self, model: str, kind: str, where: str, text: str) -> None:
        self.model = model
        self.kind = kind
        self.where = where
        self.text = text
        super().__init__(
            f"model '{model}': the call raised {kind} in the model's own process"
            + (f" ({where})" if where else "")
        )


class StartupError(LoadOnceError):
    """The start was stopped, because required models failed.

    Args:
        failures: every failure known by then, in the order of declaration.
        known_good: names of models that had loaded (and were closed again).
        optional: those of the failures that would not have stopped the start; told last.
    """

    def __init__(
        self,
        failures: Sequence[LoadOnceError],
        known_good: Sequence[str] = (),
        optional: Sequence[LoadOnceError] = (),
    ) -> None:
        self.failures = tuple(failures)
        self.known_good = tuple(known_good)
        self.optional = tuple(optional)
        needed = [failure for failure in self.failures if failure not in self.optional]
        head = f"start-up stopped: {len(needed)} model{'s' if len(needed) != 1 else ''} failed"
        lines = [head, *_told_once(needed)]
        if self.optional:
            lines += ["failed too, but would not have stopped it:", *_told_once(self.optional)]
        super().__init__("\n".join(lines))


def _told_once(failures: Sequence[LoadOnceError]) -> list[str]:
    """The failures' messages; one for all models that failed for the same reason."""
    reasons: dict[str, list[LoadOnceError]] = {}
    for failure in failures:
        reason = failure.told_of([]) if isinstance(failure, ModelError) else str(failure)
        reasons.setdefault(reason, []).append(failure)
    return [
        alike[0].told_of([each.model for each in alike if isinstance(each, ModelError)])
        if isinstance(alike[0], ModelError)
        else reason
        for reason, alike in reasons.items()
    ]
