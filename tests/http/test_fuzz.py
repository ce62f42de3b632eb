"""Whatever a client sends, the app does not fail, and nothing of it comes back in an error."""

# No `from __future__ import annotations`: FastAPI has to see the routes' local types.

import json
import struct
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import Body, FastAPI, Query, Request
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from loadonce.http import install

CANARY = "canary 4711"


class Vitals(BaseModel):
    model_config = ConfigDict(extra="forbid")

    glucose: float
    age: int = 40
    name: str = ""
    readings: list[float] = []
    more: dict[str, float] = {}
    free: Any = None


def make_app() -> FastAPI:
    app = FastAPI()
    install(app)

    @app.post("/vitals", response_model=None)
    async def vitals(body: Vitals) -> Any:
        struct.pack("q", body.age)  # as numpy would
        body.name.encode()
        return {"sum": body.glucose + sum(body.readings), "free": body.free, "more": body.more}

    @app.post("/anything", response_model=None)
    async def anything(value: Annotated[Any, Body()]) -> Any:
        return value

    @app.post("/own", response_model=None)
    async def own(request: Request) -> Any:
        return await request.json()

    @app.get("/query", response_model=None)
    async def query(x: float, n: int = 0, s: Annotated[str, Query(max_length=40)] = "") -> Any:
        struct.pack("q", n)
        return {"x": x, "n": n, "s": s}

    return app


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(make_app(), raise_server_exceptions=False) as client:
        yield client


odd_texts = st.sampled_from(
    ["nan", "Infinity", "-inf", "1e999", "\x00", "\ud800", "\udfff\ud800", "9" * 400, CANARY]
)
odd_numbers = st.sampled_from([2**63, -(2**63) - 1, 2**64, 10**30, 10**400, -0.0, 1e-320, 1e308])
texts = st.text(st.characters(exclude_categories=()), max_size=6) | odd_texts
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | odd_numbers,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
forms = st.fixed_dictionaries(
    {"glucose": values},
    optional={
        "age": values,
        "name": values,
        "readings": st.lists(values, max_size=3) | values,
        "more": st.dictionaries(texts, values, max_size=3) | values,
        "free": values,
        CANARY: values,
    },
)
paths = st.sampled_from(["/vitals", "/anything", "/own"])
encodings = st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32-le"])


def check(response: Any) -> None:
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        assert CANARY not in response.text


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(path=paths, value=forms | values, is_ascii=st.booleans(), encoding=encodings)
def test_no_json_makes_the_app_fail(
    client: TestClient, path: str, value: Any, is_ascii: bool, encoding: str
) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii)
    body = text.encode(encoding, "surrogatepass")
    check(client.post(path, content=body, headers={"content-type": "application/json"}))


pieces = st.sampled_from(
    [
        *rb"""{ } [ ] " , : \ \u d800 NaN -Infinity 1e9 99 "glucose" true null""".split(),
        *(b"\x00", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b" "),
    ]
)
kinds = st.sampled_from(
    ["application/json", "application/x+json", "application/json; charset=latin-1"]
)
bodies = st.lists(pieces, max_size=12) | st.lists(st.binary(max_size=8), max_size=4)


@settings(max_examples=200)
@given(path=paths, parts=bodies, kind=kinds)
def test_no_bytes_make_the_app_fail(
    client: TestClient, path: str, parts: list[bytes], kind: str
) -> None:
    check(client.post(path, content=b"".join(parts), headers={"content-type": kind}))


@settings(max_examples=100)
@given(x=values.map(str), n=values.map(str), s=texts)
def test_no_query_makes_the_app_fail(client: TestClient, x: str, n: str, s: str) -> None:
    query = {"x": x, "n": n, "s": s}
    check(client.get("/query", params={k: v.encode("utf-8", "replace") for k, v in query.items()}))


@settings(max_examples=50)
@given(depth=st.integers(1, 5000), opening=st.sampled_from(["[", '{"a":', '[{"a":']))
def test_no_depth_makes_the_app_fail(client: TestClient, depth: int, opening: str) -> None:
    closing = "".join({"[": "]", "{": "}"}[one] for one in reversed(opening) if one in "[{")
    body = opening * depth + "1" + closing * depth
    for path in ("/anything", "/own"):
        check(client.post(path, content=body, headers={"content-type": "application/json"}))


@pytest.mark.parametrize(
    "body", [b"[" * 250_000, b'{"":' * 250_000, b"[" * 500_000 + b"]" * 500_000]
)
@pytest.mark.parametrize("path", ["/vitals", "/anything", "/own"])
def test_a_quarter_million_levels_are_400(client: TestClient, path: str, body: bytes) -> None:
    response = client.post(path, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert len(response.content) < 500


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"1," * 10**6 + b"1]",
        b"[" + b"NaN," * 200_000 + b"1]",
        b"{" + b",".join(b'"k%d":1' % n for n in range(100_000)) + b"}",
        json.dumps({"glucose": 1, "readings": ["x"] * 100_000}).encode(),
    ],
)
def test_large_bodies_are_answered_in_few_words(client: TestClient, body: bytes) -> None:
    response = client.post("/vitals", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert len(response.content) < 10_000
