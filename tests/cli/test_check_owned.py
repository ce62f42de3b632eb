"""Handlers whose models live in processes of their own ask for what crosses."""

from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI

from loadonce import Handle, Model, Registry, Source, artifact, lock_directory
from loadonce.cli.check import check_app
from loadonce.cli.findings import Finding
from loadonce.http import install


def text(source: Source) -> str:
    return bytes(source.data).decode()


def words(value: str, items: list[str]) -> list[str]:
    return [value + item for item in items]


def word(value: str, more: str = "") -> str:
    return value + more


class Models(Registry):
    away: Model[str] = artifact("a.bin", loader=text, placement="process")
    here: Model[str] = artifact("a.bin", loader=text)


@pytest.fixture
def models(tmp_path: Path) -> Models:
    (tmp_path / "a.bin").write_bytes(b"a")
    lock_directory(tmp_path)
    return Models(root=tmp_path)


@pytest.fixture
def app(models: Models) -> FastAPI:
    app = FastAPI(lifespan=models.lifespan)
    install(app, models)
    return app


def errors(app: FastAPI, models: Models) -> list[Finding]:
    return [one for one in check_app(app, [models]) if one.level == "error"]


def test_what_crosses_is_in_order(app: FastAPI, models: Models) -> None:
    @app.get("/a")
    async def a(model: Annotated[Handle[str], Depends(models.away)]) -> list[str]:
        print(model.name, model.version)
        return [await model.run(word, more="b"), await model.batch(words, "c"), word("d")]

    assert errors(app, models) == []


def test_the_object_and_streams_do_not_cross(app: FastAPI, models: Models) -> None:
    @app.get("/a")
    async def a(
        model: Annotated[Handle[str], Depends(models.away)],
        other: Annotated[Handle[str], Depends(models.here)],
    ) -> str:
        async for part in model.stream(word):
            print(part, other.value)
        return model.value

    found = errors(app, models)
    assert [one.subject for one in found] == ["GET /a", "GET /a"]
    assert sorted(one.text for one in found) == [
        "'away' lives in a process of its own, which `stream` cannot reach",
        "'away' lives in a process of its own, which `value` cannot reach",
    ]


def test_lambdas_and_inner_functions_do_not_cross(app: FastAPI, models: Models) -> None:
    @app.get("/a")
    async def a(
        model: Annotated[Handle[str], Depends(models.away)],
        other: Annotated[Handle[str], Depends(models.here)],
    ) -> Any:
        def inner(value: str) -> str:
            return value

        await other.run(inner)
        await model.run(inner)
        return await model.run(lambda value: value)

    found = errors(app, models)
    assert [one.text for one in found] == [
        "'away' lives in a process of its own, which a lambda or an inner function cannot reach"
    ] * 2


def test_a_handler_without_source_is_no_obstacle(app: FastAPI, models: Models) -> None:
    space: dict[str, Any] = {"Handle": Handle, "Depends": Depends, "models": models}
    exec("def a(model: Handle[str] = Depends(models.away)): model.value", space)
    app.get("/a")(space["a"])
    assert errors(app, models) == []
