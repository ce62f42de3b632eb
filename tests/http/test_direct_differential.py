"""A direct route answers as FastAPI's own route does: the same app twice, thousands of requests."""

# No `from __future__ import annotations`: FastAPI has to see the routes' local types.

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from fastapi import (
    APIRouter,
    Body,
    Cookie,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Path,
    Query,
    Request,
    Response,
)
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator, model_validator
from starlette.types import Message

from loadonce.http import DirectRoute, install
from loadonce.http.direct import direct_routes


class Colour(Enum):
    RED = "red"
    ONE = 1


class Inner(BaseModel):
    model_config = ConfigDict(extra="allow")

    x: float = 0.5
    more: dict[str, int] = {}


class Row(BaseModel):
    """Every kind of field that a model is often given."""

    number: float
    count: int = 3
    name: str = Field("", max_length=20, alias="Name")
    flag: bool = False
    maybe: float | None = None
    either: int | str = 0
    choice: Literal["a", "b", 1] = "a"
    colour: Colour = Colour.RED
    day: date | None = None
    moment: datetime | None = None
    exact: Decimal | None = None
    key: UUID | None = None
    blob: bytes = b""
    values: list[float] = []
    pair: tuple[int, str] | None = None
    names: set[str] = set()
    table: dict[int, float] = {}
    inner: Inner = Inner()
    rows: list[Inner] = Field([], max_length=3)
    free: Any = None


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    number: float
    count: int = 0
    day: date | None = None
    blob: bytes | None = None
    inner: Inner | None = None
    items: set[int] | None = None


class Checked(BaseModel):
    low: float = Field(ge=-10, validation_alias=AliasChoices("low", "LOW"))
    high: float = Field(10.0, le=1e300, alias="High")

    @field_validator("high", mode="before")
    @classmethod
    def half(cls, value: Any) -> Any:
        return value / 2 if isinstance(value, float) else value

    @model_validator(mode="after")
    def ordered(self) -> "Checked":
        if self.low > self.high:
            raise ValueError(f"{self.low} is above {self.high}")
        if self.low == 4.0:
            raise KeyError("a mistake in a validator")
        return self


class Filter(BaseModel):
    model_config = ConfigDict(extra="forbid")

    level: int = 1
    t: list[int] = []


class Answer(BaseModel):
    seen: str
    number: float = 0.0
    extra: str | None = Field(default=None, serialization_alias="Extra")


def person(x_token: Annotated[str | None, Header()] = None, level: int = 1) -> str:
    if x_token == "stranger":
        raise HTTPException(401, "who are you?", headers={"WWW-Authenticate": "Token"})
    return f"{x_token} {level}"


async def twice(who: Annotated[str, Depends(person)], factor: float = 2.0) -> str:
    return f"{who} {factor}"


def _body_routes(router: APIRouter) -> None:
    @router.post("/row")
    async def row(row: Row) -> Answer:
        return Answer(seen=repr(row) + str(row.model_fields_set), number=row.number)

    @router.post("/row-sync", status_code=201, response_model_exclude_unset=True)
    def row_sync(row: Row) -> Answer:
        return Answer(seen=repr(row))

    @router.put("/strict", response_model_by_alias=False)
    async def strict(row: Strict) -> Answer:
        return Answer(seen=repr(row), extra="e")

    @router.post("/checked", response_model_exclude_none=True)
    async def checked(row: Checked) -> Answer:
        return Answer(seen=repr(row))

    @router.post("/numbers")
    async def numbers(values: list[float]) -> list[float]:
        return values

    @router.post("/anything", response_model=None)
    async def anything(value: Annotated[Any, Body()]) -> Any:
        return {"value": repr(value)}

    @router.post("/bytes", response_model=None)
    async def as_bytes(value: Annotated[bytes, Body()]) -> Any:
        return PlainTextResponse(repr(value), 202, headers={"X-Kind": "bytes"})

    @router.post("/maybe")
    async def maybe(row: Inner | None = None) -> str:
        return repr(row)

    @router.post("/embedded")
    async def embedded(row: Annotated[Inner, Body(embed=True)]) -> str:
        return repr(row)

    @router.post("/wrong", response_model=Answer)
    async def wrong(value: Annotated[dict[str, Any], Body()]) -> Any:
        return value  # the answer is right or wrong as the request has it

    @router.post("/wrong-sync", response_model=Answer, response_class=JSONResponse)
    def wrong_sync(value: Annotated[dict[str, Any], Body()]) -> Any:
        return value


def _other_routes(router: APIRouter) -> None:
    @router.get("/things/{number}/{kind:path}")
    async def thing(
        number: Annotated[int, Path(gt=-5)],
        kind: Annotated[str, Path(max_length=9)],
        tag: Annotated[list[int], Query(alias="t")] = [],  # noqa: B006
        q: float | None = None,
        session: Annotated[str, Cookie()] = "none",
    ) -> str:
        return repr((number, kind, tag, q, session))

    @router.post("/both/{number:int}")
    async def both(
        number: int,
        row: Inner,
        who: Annotated[str, Depends(twice)],
        again: Annotated[str, Depends(person)],
        q: Annotated[str, Query(min_length=2)] = "default",
    ) -> str:
        return repr((number, row, who, again, q))

    @router.api_route("/many", methods=["GET", "POST", "DELETE"], status_code=204)
    async def many(who: Annotated[str, Depends(person)]) -> None:
        return None

    @router.get("/filter")
    async def filtered(
        wanted: Annotated[Filter, Query()], x_token: Annotated[list[str] | None, Header()] = None
    ) -> str:
        return repr((wanted, x_token))

    @router.get("/defaults")
    async def defaults(
        q: Annotated[list[str] | str, Query(default_factory=list)],
        level: Annotated[int, Query(validate_default=True)] = "7",  # type: ignore[assignment]
        factor: Colour = Colour.RED,
        t: Annotated[int | None, Query(validation_alias=AliasChoices("T", "t"))] = None,
        x_token: Annotated[str, Header(convert_underscores=False)] = "none",
    ) -> str:
        return repr((q, level, factor, t, x_token))

    @router.head("/row")
    async def head() -> None:
        return None


def make_app(route_class: type[APIRoute], guarded: bool) -> FastAPI:
    app = FastAPI()
    app.router.route_class = route_class
    if guarded:
        install(app, probes=False)
    _body_routes(app.router)
    _other_routes(app.router)
    part = APIRouter(route_class=route_class, dependencies=[Depends(twice)])
    _body_routes(part)
    app.include_router(part, prefix="/in/{place}")
    inner = FastAPI(strict_content_type=False)
    inner.router.route_class = route_class
    _body_routes(inner.router)
    app.mount("/sub", inner)
    return app


@dataclass
class Sent:
    """One request, as an ASGI server would hand it over."""

    path: str
    method: str = "POST"
    query: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=lambda: [b""])
    is_broken: bool = False


@dataclass
class Outcome:
    """What came of it: messages, and what was raised to the server."""

    messages: list[Message]
    raised: str


async def outcome_of(app: FastAPI, sent: Sent) -> Outcome:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": sent.method,
        "scheme": "http",
        "path": sent.path,
        "raw_path": sent.path.encode(),
        "query_string": sent.query,
        "root_path": "",
        "headers": sent.headers,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    last = len(sent.chunks) - 1
    waiting: list[Message] = [
        {"type": "http.request", "body": chunk, "more_body": sent.is_broken or place < last}
        for place, chunk in enumerate(sent.chunks)
    ]
    messages: list[Message] = []
    raised = ""

    async def receive() -> Message:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        messages.append(message)

    try:
        await app(scope, receive, send)
    except Exception as error:
        raised = f"{type(error).__name__}: {error}"
    return Outcome(messages, raised)


# Requests ----------------------------------------------------------------------------------------

ODD = [
    "nan",
    "Infinity",
    "1e999",
    "\x00",
    "\ud800",
    "9" * 400,
    "2024-02-30",
    "2024-02-29",
    "é\u2028",
]
ODD += ["12.50", "1_000", " 7 ", "red", "true", "P1D", "2024-01-02T03:04:05Z", "a", "b"]
ODD += ["9f2b0a52-9d0c-4d5a-8f43-0b7d2a4e6a11", ""]
numbers = st.sampled_from([0, 1, -0.0, 2.0, 2.5, 4.0, 2**53 + 1, 2**63, 10**25, 10**310, 1e308, -7])
texts = st.text(st.characters(exclude_categories=()), max_size=5) | st.sampled_from(ODD)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | numbers
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "number": st.floats() | numbers,
    "count": st.integers() | numbers | texts,
    "Name": texts,
    "name": texts,
    "flag": st.booleans() | numbers | texts,
    "maybe": st.none() | numbers,
    "either": scalars,
    "choice": st.sampled_from(["a", "b", 1, 1.0, True, "1"]),
    "colour": st.sampled_from(["red", 1, 1.0, True, "1"]),
    "day": texts | numbers,
    "moment": texts | numbers,
    "exact": texts | numbers | st.floats(),
    "key": texts,
    "blob": texts,
    "values": st.lists(st.floats() | numbers | texts, max_size=4),
    "pair": st.tuples(numbers, texts).map(list),
    "names": st.lists(texts, max_size=3),
    "table": st.dictionaries(st.sampled_from(["1", "2", "x", " 3", "4.0"]), numbers, max_size=3),
    "inner": st.dictionaries(st.sampled_from(["x", "more", "z"]), scalars, max_size=3),
    "rows": st.lists(st.dictionaries(st.just("x"), numbers, max_size=1), max_size=4),
    "free": anything,
    "low": numbers,
    "LOW": numbers,
    "high": numbers,
    "High": numbers | st.floats(),
    "x": numbers,
    "more": st.dictionaries(texts, st.integers(), max_size=2),
    "items": st.lists(st.integers(), max_size=3),
    "row": st.just({"x": 1}),
    "seen": texts,
    "extra": texts,
}


@st.composite
def objects(draw: st.DrawFn) -> Any:
    """An object that is about right for some route, with a flaw now and then."""
    names = draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=5, unique=True))
    names += draw(st.sampled_from([["number"], ["number"], ["low"], ["x"], ["seen"], []]))
    found = {name: draw(FIELDS[name]) for name in names}
    if found and draw(st.integers(0, 9)) == 0:
        found[draw(st.sampled_from(sorted(found)))] = draw(anything)
    return found


def _twice_over(value: Any) -> str:
    """The object's text with its keys there twice."""
    once = json.dumps(value)
    return once[:-1] + ", " + once[1:] if isinstance(value, dict) and value else once


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    kind = draw(st.integers(0, 19))
    if kind == 0:
        return b""
    if kind == 1:
        return draw(st.binary(max_size=12))
    value = draw(objects() if kind < 17 else anything)
    text = _twice_over(value) if kind == 2 else json.dumps(value, ensure_ascii=draw(st.booleans()))
    data = text.encode(
        draw(st.sampled_from(["utf-8"] * 8 + ["utf-8-sig", "utf-16"])), "surrogatepass"
    )
    if kind < 6:  # a byte lost, changed or too many, anywhere
        place = draw(st.integers(0, len(data)))
        data = data[:place] + draw(st.binary(max_size=1)) + data[place + draw(st.integers(0, 1)) :]
    return data


TYPES = [b"application/json"] * 12 + [
    b"application/json; charset=utf-8",
    b"Application/JSON",
    b"application/problem+json",
    b"application/geo+json;x=" + b"y" * 80,
    b"text/plain",
    b"application/jsonx",
    b"json",
    b"",
]
PATHS = ["/row", "/row", "/row", "/row-sync", "/strict", "/checked", "/numbers", "/anything"]
PATHS += ["/bytes", "/maybe", "/embedded", "/wrong", "/wrong-sync", "/both/7", "/many", "/nowhere"]
PATHS += ["/row\n", "/both/{number:int}", "/row/", "/xrow"]
PLACES = ["", "", "", "/in/7", "/sub"]
QUERIES = [b"", b"", b"level=2", b"q=1.5&t=1&t=2&t=x", b"t=3&t=4&q=", b"factor=nan", b"q=%FF%00"]
QUERIES += [b"factor=red&T=4&q=a", b"level=3&t=1&t=2", b"T=x&t=1", b"t=&level="]
QUERIES += [b"q=abc&q=d", b"level=" + b"9" * 30, b"&&=&q", b"level=2&factor=1e5"]
OTHER = [(b"x-token", b"friend"), (b"x-token", b"stranger"), (b"cookie", b"session=abc; level=9")]
OTHER += [(b"content-encoding", b"gzip"), (b"x-token", b"\xff"), (b"cookie", b"session=\xe9")]


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    if draw(st.integers(0, 5)) == 0:
        if draw(st.integers(0, 2)) == 0:
            return Sent(
                draw(st.sampled_from(["/filter", "/defaults"])),
                "GET",
                draw(st.sampled_from(QUERIES)),
                draw(st.lists(st.sampled_from(OTHER), max_size=2)),
            )
        number = draw(st.sampled_from(["1", "-3", "-9", "1.0", "x", "%20", "9" * 25, "０"]))
        kind = draw(st.sampled_from(["a", "a/b", "long" * 4, "", "é"]))
        path, method = f"/things/{number}/{kind}", draw(st.sampled_from(["GET", "GET", "PUT"]))
    else:
        path = draw(st.sampled_from(PLACES)) + draw(st.sampled_from(PATHS))
        usual = "PUT" if path.endswith("strict") else "POST"
        method = draw(st.sampled_from([usual] * 9 + ["GET", "HEAD", "OPTIONS", "DELETE"]))
    body = draw(bodies())
    cut = draw(st.integers(0, len(body))) if draw(st.integers(0, 4)) == 0 else len(body)
    headers = [(b"host", b"test"), (b"content-length", b"%d" % len(body))]
    if draw(st.integers(0, 14)):
        headers.append((b"content-type", draw(st.sampled_from(TYPES))))
    headers += draw(st.lists(st.sampled_from(OTHER), max_size=2))
    return Sent(
        path,
        method,
        draw(st.sampled_from(QUERIES)),
        headers,
        [body] if cut == len(body) else [body[:cut], body[cut:], b""],
        is_broken=draw(st.integers(0, 39)) == 0,
    )


# Comparison --------------------------------------------------------------------------------------


@dataclass
class Pair:
    """The same app on FastAPI's routes and on others, and what their answers had in common."""

    plain: FastAPI
    other: FastAPI
    statuses: Counter[int] = field(default_factory=Counter)

    async def differences(self, sent: Sent) -> list[str]:
        expected = await outcome_of(self.plain, sent)
        actual = await outcome_of(self.other, sent)
        self.statuses.update(message["status"] for message in expected.messages[:1])
        if actual == expected or _without_chance(actual) == _without_chance(expected):
            return []
        return [f"{sent}\nFastAPI: {expected}\ndirect:  {actual}"]


def _without_chance(outcome: Outcome) -> tuple[list[Any], str]:
    """A failure's id is another each time."""
    told: list[Any] = []
    for message in outcome.messages:
        body = message.get("body", b"")
        if b"urn:request:" in body:
            document = json.loads(body)
            told.append({**document, "instance": "?"})
        else:
            told.append(message)
    return told, outcome.raised


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


PHASES = tuple(Phase)
Compare = Callable[[Pair, list[Sent]], list[str]]


@pytest.fixture(scope="module")
def compare(runner: asyncio.Runner) -> Compare:
    async def all_of(pair: Pair, sents: list[Sent]) -> list[str]:
        return [text for sent in sents for text in await pair.differences(sent)]

    return lambda pair, sents: runner.run(all_of(pair, sents))


def run(
    pair: Pair, compare: Compare, *, examples: int, part: int = 0, phases: Sequence[Phase] = PHASES
) -> None:
    """Compare `examples` x 10 generated requests; other ones for each part."""

    @seed(part)
    @given(st.lists(requests(), min_size=10, max_size=10))
    @settings(
        max_examples=examples,
        phases=phases,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    def check(sents: list[Sent]) -> None:
        assert compare(pair, sents) == []

    check()


@pytest.mark.parametrize("part", [1, 2, 3])
@pytest.mark.parametrize("guarded", [False, True])
def test_generated_requests_are_answered_alike(guarded: bool, part: int, compare: Compare) -> None:
    pair = Pair(make_app(APIRoute, guarded), make_app(DirectRoute, guarded))
    run(pair, compare, examples=50, part=part)
    assert pair.statuses.keys() >= {200, 401, 404, 405, 422}
    assert pair.statuses[200] > 30  # of 500


class Lax(DirectRoute):
    """Wrong: takes any content type for JSON."""

    def __init__(self, path: str, endpoint: Any, **settings: Any) -> None:
        super().__init__(path, endpoint, **{**settings, "strict_content_type": False})


class Terse(APIRoute):
    """Wrong: loses the text of a float's sign."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def terse(request: Request) -> Response:
            response = await handler(request)
            response.body = bytes(response.body).replace(b"-0.0", b" 0.0")
            return response

        return terse


@pytest.mark.parametrize("wrong", [Lax, Terse])
def test_a_route_that_answers_otherwise_is_noticed(wrong: type[APIRoute], compare: Compare) -> None:
    """The control of the comparison."""
    pair = Pair(make_app(APIRoute, True), make_app(wrong, True))
    with pytest.raises(AssertionError):
        run(pair, compare, examples=150, phases=[Phase.generate])


def test_the_routes_compared_are_direct_where_they_can_be() -> None:
    found = dict(direct_routes(make_app(DirectRoute, True)))
    assert {name for name, reason in found.items() if reason} == {
        "POST /embedded",
        "POST /in/{place}/embedded",
        "POST /sub/embedded",
    }
    assert len(found) > 30


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("guarded", [False, True])
def test_many_more_requests_are_answered_alike(guarded: bool, compare: Compare) -> None:
    run(Pair(make_app(APIRoute, guarded), make_app(DirectRoute, guarded)), compare, examples=5000)
