"""Wrong declarations: a type checker must object to every line so marked, and to no other."""

from collections.abc import Iterator

from loadonce import Model, Registry, Source, artifact, resource, table


def text(source: Source) -> str:
    return bytes(source.data).decode()


def number(path: str) -> int:
    return len(path)


def needs_text(words: str) -> Iterator[int]:
    yield len(words)


def needs_number(count: int) -> Iterator[int]:
    yield count


def warm(count: int) -> None:
    assert count


class Models(Registry):
    words: Model[str] = artifact("words.bin", loader=text)
    not_a_loader: Model[int] = artifact("n.bin", loader=number)  # error
    other_warmup: Model[str] = artifact("words.bin", loader=text, warmup=warm)  # error
    not_a_time: Model[str] = artifact("words.bin", loader=text, when="later")  # error
    not_an_option: Model[str] = artifact("words.bin", loader=text, retries=3)  # error
    not_a_table: Model[str] = table("words.parquet", warmup=len)  # error
    length: Model[int] = resource(needs_text, words)
    wrong_need: Model[int] = resource(needs_number, words)  # error
    no_need: Model[int] = resource(needs_text)  # error
    wrong_result: Model[str] = resource(needs_text, words)  # error
    status: Model[str] = artifact("words.bin", loader=text)  # error
