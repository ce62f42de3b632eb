"""Wrong calls: a type checker must object to every line so marked, and to no other."""

from loadonce import Handle


def count(words: str, letter: str) -> int:
    return words.count(letter)


def double(number: int) -> int:
    return 2 * number


def has(words: str, items: list[str]) -> list[bool]:
    return [item in words for item in items]


def one_at_a_time(words: str, item: str) -> bool:
    return item in words


async def calls(handle: Handle[str]) -> None:
    await handle.run(count, "a")
    await handle.run(double)  # error
    await handle.run(count)  # error
    await handle.run(count, 1)  # error
    handle.run_sync(count, "a", 2)  # error
    await handle.batch(has, "a")
    await handle.batch(has, 1)  # error
    await handle.batch(double, 1)  # error
    await handle.batch(one_at_a_time, "a")  # error
    await handle.batch_many(has, [1, 2])  # error
    wrong: str = await handle.batch(has, "a")  # error
    assert wrong
    handle.value = "other"  # error
