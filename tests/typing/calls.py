"""What handles and models give back has the type of the function that was called. Never run."""

from collections.abc import AsyncGenerator, Iterator
from typing import assert_type

from loadonce import Handle, Model, Registry, Source, artifact


def text(source: Source) -> str:
    return bytes(source.data).decode()


class Models(Registry):
    words: Model[str] = artifact("words.bin", loader=text)


models = Models()


def count(words: str, letter: str, *, start: int = 0) -> int:
    return words.count(letter, start)


async def count_async(words: str, letter: str) -> int:
    return words.count(letter)


def has(words: str, items: list[str]) -> list[bool]:
    return [item in words for item in items]


async def has_async(words: str, items: list[str]) -> list[bool]:
    return [item in words for item in items]


def letters(words: str, *, upper: bool = False) -> Iterator[str]:
    yield from words


async def letters_async(words: str) -> AsyncGenerator[str, None]:
    yield words


async def of_a_handle(handle: Handle[str]) -> None:
    assert_type(handle.value, str)
    assert_type(handle.version, str)
    assert_type(await handle.run(len), int)
    assert_type(await handle.run(count, "a"), int)
    assert_type(await handle.run(count, letter="a", start=1), int)
    assert_type(await handle.run(count_async, "a"), int)
    assert_type(handle.run_sync(count, "a"), int)
    assert_type(await handle.batch(has, "a"), bool)
    assert_type(await handle.batch_many(has, ["a", "b"]), list[bool])
    assert_type(await handle.batch(has_async, "a"), bool)
    assert_type(await handle.batch_many(has, ["a"], return_exceptions=True), list[bool | Exception])
    async for letter in handle.stream(letters, upper=True):
        assert_type(letter, str)
    async for letter in handle.stream(letters_async):
        assert_type(letter, str)


async def outside_fastapi() -> None:
    async with models.loaded() as running, running.words.lease() as handle:
        assert_type(running, Models)
        assert_type(handle, Handle[str])


def in_a_script() -> None:
    with models.loaded() as running:
        assert_type(running, Models)
        assert_type(running.words.run(count, "a"), int)
