"""A database pool, an HTTP client, and something made from both, beside a model. In this directory:

python make_model.py && loadonce lock models && loadonce serve app:app

Needs httpx2. Facts come from the server that FACTS_URL names; without one /facts answers 502.
"""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx2
from fastapi import Depends, FastAPI

from loadonce import Classifier, Handle, Model, Registry, artifact, resource
from loadonce.http import Problem, install


class Pool:
    """A few SQLite connections, lent to one request each."""

    def __init__(self, connections: list[sqlite3.Connection]) -> None:
        self._free: asyncio.Queue[sqlite3.Connection] = asyncio.Queue()
        for connection in connections:
            self._free.put_nowait(connection)

    async def execute(self, sql: str, *values: str) -> list[tuple[str, ...]]:
        connection = await self._free.get()
        work = asyncio.ensure_future(asyncio.to_thread(self._execute, connection, sql, values))
        # A client that leaves does not free the connection: the thread still uses it.
        work.add_done_callback(lambda _work: self._free.put_nowait(connection))
        return await asyncio.shield(work)

    @staticmethod
    def _execute(
        connection: sqlite3.Connection, sql: str, values: tuple[str, ...]
    ) -> list[tuple[str, ...]]:
        with connection:
            return connection.execute(sql, values).fetchall()


async def open_pool() -> AsyncIterator[Pool]:
    path = os.environ.get("DATABASE", "predictions.sqlite")
    connections = [sqlite3.connect(path, check_same_thread=False) for _ in range(4)]
    pool = Pool(connections)
    await pool.execute("create table if not exists found (species text)")
    await pool.execute("create table if not exists facts (species text, fact text)")
    yield pool
    for connection in connections:
        connection.close()


@asynccontextmanager
async def open_client() -> AsyncIterator[httpx2.AsyncClient]:
    url = os.environ.get("FACTS_URL", "http://127.0.0.1:9")
    async with httpx2.AsyncClient(base_url=url, timeout=5.0) as client:
        yield client


class Facts:
    """What is known of a species: from the database, else from the web, and then remembered."""

    def __init__(self, pool: Pool, client: httpx2.AsyncClient) -> None:
        self._pool = pool
        self._client = client

    async def about(self, species: str) -> str:
        known = await self._pool.execute("select fact from facts where species = ?", species)
        if known:
            return known[0][0]
        answer = await self._client.get(f"/{species}")
        fact = answer.raise_for_status().text
        await self._pool.execute("insert into facts values (?, ?)", species, fact)
        return fact


async def open_facts(pool: Pool, client: httpx2.AsyncClient) -> AsyncIterator[Facts]:
    yield Facts(pool, client)  # opened after both, closed before both


class Models(Registry):
    iris: Model[Classifier] = artifact("iris.joblib")
    pool: Model[Pool] = resource(open_pool)
    client: Model[httpx2.AsyncClient] = resource(open_client)
    facts: Model[Facts] = resource(open_facts, pool, client)


models = Models(root="models")
app = FastAPI(lifespan=models.lifespan)
install(app, models)


def species(classifier: Classifier, petals: list[tuple[float, float]]) -> list[str]:
    return [str(name) for name in classifier.predict([list(petal) for petal in petals])]


async def remember(pool: Pool, name: str) -> None:
    await pool.execute("insert into found values (?)", name)


async def count(pool: Pool) -> dict[str, int]:
    rows = await pool.execute("select species, count(*) from found group by species")
    return {name: int(number) for name, number in rows}


async def look_up(facts: Facts, name: str) -> str:
    return await facts.about(name)


@app.post("/species")
async def find(
    petal_length: float,
    petal_width: float,
    model: Annotated[Handle[Classifier], Depends(models.iris)],
    pool: Annotated[Handle[Pool], Depends(models.pool)],
) -> str:
    found = await model.batch(species, (petal_length, petal_width))
    await pool.run(remember, found)  # a coroutine function runs on the event loop
    return found


@app.get("/counts")
async def counts(pool: Annotated[Handle[Pool], Depends(models.pool)]) -> dict[str, int]:
    return await pool.run(count)


@app.get("/facts/{name}")
async def fact(name: str, facts: Annotated[Handle[Facts], Depends(models.facts)]) -> str:
    try:
        return await facts.run(look_up, name)
    except httpx2.HTTPError:
        raise Problem(502, detail="The server of facts did not answer.") from None
