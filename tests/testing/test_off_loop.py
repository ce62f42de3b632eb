"""A stub that notices calls on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from loadonce.inference import Engine
from loadonce.observe.statistics import CallStatistics
from loadonce.testing import CalledOnLoopError, OffLoop

pytestmark = pytest.mark.anyio


class Classifier:
    classes = ("no", "yes")

    def __init__(self) -> None:
        self.calls = 0

    def predict(self, rows: list[int]) -> list[int]:
        """Predict."""
        self.calls += 1
        return rows

    async def fetch(self) -> int:
        return 1

    async def stream(self) -> Any:
        yield 1

    def __call__(self, x: int) -> int:
        return x

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> int:
        return index

    def __iter__(self) -> Iterator[int]:
        return iter([1, 2])

    def __eq__(self, other: object) -> bool:
        return other == 7

    def __hash__(self) -> int:
        return 7


CALLS = [
    lambda model: model.predict([1]),
    lambda model: model(1),
    lambda model: model[0],
    list,
]


@pytest.mark.parametrize("call", CALLS)
async def test_a_call_on_the_loop_fails_and_says_what_to_do(call: Any) -> None:
    model = OffLoop(Classifier())
    with pytest.raises(CalledOnLoopError, match=r"Classifier\..* on the event loop; use `await"):
        call(model)
    assert model.calls == 0


@pytest.mark.parametrize("call", CALLS)
async def test_a_call_in_a_thread_answers(call: Any) -> None:
    assert await asyncio.to_thread(call, OffLoop(Classifier())) == call(Classifier())


def test_without_a_loop_everything_answers() -> None:
    model = OffLoop(Classifier())
    assert model.predict([1]) == [1]
    assert model.predict.__doc__ == "Predict."
    assert (model(2), len(model), model[4], list(model)) == (2, 3, 4, [1, 2])


async def test_what_is_not_slow_is_allowed_on_the_loop() -> None:
    target = Classifier()
    model = OffLoop(target)
    assert model.classes == ("no", "yes")
    assert await model.fetch() == 1
    assert [item async for item in model.stream()] == [1]
    assert model == 7
    assert hash(model) == 7
    assert len(model) == 3
    assert bool(model)
    assert repr(model).startswith("OffLoop(<")
    model.calls = 5
    assert target.calls == 5
    del model.calls
    assert not hasattr(model, "calls")


async def test_what_the_engine_put_on_the_loop_is_where_it_belongs() -> None:
    def predict(model: Classifier, rows: list[int]) -> list[int]:
        return model.predict(rows)

    engine = Engine("m", CallStatistics(), placement="inline")
    model = OffLoop(Classifier())
    assert await engine.batch_many(1, model, predict, [1, 2]) == [1, 2]
    assert engine.batch_now(model, predict, 1) == 1
    assert engine.run_now(predict, model, ([1],), {}) == [1]
    await engine.close()


async def test_it_passes_for_what_it_wraps() -> None:
    assert isinstance(OffLoop(Classifier()), Classifier)
    assert not isinstance(OffLoop(Classifier()), Mapping)
    with pytest.raises(AttributeError):
        OffLoop(object()).missing  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        len(OffLoop(object()))  # type: ignore[arg-type]


async def test_the_parts_of_a_model_of_parts_are_watched() -> None:
    models = OffLoop({"mean": Classifier(), "q95": Classifier()})
    assert list(models) == ["mean", "q95"]
    with pytest.raises(CalledOnLoopError):
        models["mean"].predict([1])


async def test_plain_functions_are_watched() -> None:
    with pytest.raises(CalledOnLoopError, match=r"function\.__call__"):
        OffLoop(lambda: 1)()
