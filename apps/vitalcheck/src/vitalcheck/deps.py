"""What the routes share: who asks, how long a model took, and the envelope around an answer."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, Protocol, TypeVar

from fastapi import Depends, Query, Request

from loadonce import Handle

from .answers import DISCLAIMER, Envelope, ModelUsed
from .cards import Cards
from .models import models

T = TypeVar("T")
R = TypeVar("R")


class Named(Protocol):
    """What the envelope tells of a model: every `Handle` has it."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def sha256(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Timed(Generic[R]):
    """A result and the milliseconds it took."""

    result: R
    ms: float


async def timed(work: Awaitable[R]) -> Timed[R]:
    """Await `work` and take the time."""
    started = time.perf_counter()
    result = await work
    return Timed(result, (time.perf_counter() - started) * 1e3)


class Reply:
    """Puts answers into the envelope of the present request."""

    def __init__(self, request: Request) -> None:
        self._request_id: str = request.state.request_id

    def __call__(self, data: T, model: Named | Sequence[Named], ms: float = 0.0) -> Envelope[T]:
        """The envelope; `model` is one model, or a sequence where several were used."""
        used = [_used(each) for each in model] if isinstance(model, Sequence) else _used(model)
        return Envelope[T](
            data=data,
            model=used,
            inference_ms=ms,
            request_id=self._request_id,
            disclaimer=DISCLAIMER,
        )


def _used(model: Named) -> ModelUsed:
    return ModelUsed(name=model.name, version=model.version, sha256=model.sha256)


async def reply_of(request: Request) -> Reply:
    """What puts the answer to this request into its envelope; a coroutine, for FastAPI would make
    a `Reply` itself in a thread."""
    return Reply(request)


Replying = Annotated[Reply, Depends(reply_of)]
CardsHandle = Annotated[Handle[Cards], Depends(models.cards)]
Explain = Annotated[
    bool,
    Query(description="false leaves out baseline, contributors and the advice on these: faster."),
]
