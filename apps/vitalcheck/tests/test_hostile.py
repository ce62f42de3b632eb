"""What must be refused is refused with the right status, as a problem, and never repeated."""

import json
import logging
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vitalcheck.features import FEATURES, Feature, FeatureSet
from vitalcheck.schemas import METRICS

Bodies = dict[str, Any]
PATHS = {
    "/api/v1/risk/diabetes": FEATURES["diabetes"],
    "/api/v1/risk/heart": FEATURES["heart"],
    "/api/v1/risk/stroke": FEATURES["stroke"],
    "/api/v1/risk/breast-cancer": FEATURES["breast_cancer"],
    "/api/v1/sleep/assessment": FEATURES["sleep"],
    "/api/v1/longevity/life-expectancy": FEATURES["life_expectancy"],
    "/api/v1/insurance/cost": FEATURES["insurance"],
    "/api/v1/fitness/percentiles": FEATURES["fitbit_percentiles"],
}
POSTED = [*PATHS, "/api/v1/risk/comprehensive", "/api/v1/imaging/brain-tumor"]
CANARY = "canary-7f3a9"


def check_problem(reply: httpx2.Response, *status: int) -> dict[str, Any]:
    assert reply.status_code in status, reply.text
    assert reply.headers["Content-Type"].startswith("application/problem+json")
    assert reply.headers["Cache-Control"] == "no-store"
    problem: dict[str, Any] = reply.json()
    assert problem["status"] == reply.status_code
    assert problem["title"]
    assert problem["request_id"] == reply.headers["X-Request-ID"]
    return problem


def post_text(client: TestClient, path: str, text: str | bytes) -> httpx2.Response:
    return client.post(path, content=text, headers={"Content-Type": "application/json"})


def with_literal(body: Bodies, name: str, literal: str) -> str:
    """The body with a raw JSON literal in the place of one value."""
    return json.dumps({**body, name: "@@"}).replace('"@@"', literal)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "literal",
    ["NaN", "Infinity", "-Infinity", "1e400", '"nan"', '"12"', "true", r'"\ud800"', "[]", "{}",
     "9223372036854775808", "1" * 4000],
    ids=lambda literal: literal[:16],
)  # fmt: skip
def test_nothing_but_a_number_in_range_is_a_number(
    client: TestClient, bodies: Bodies, path: str, literal: str
) -> None:
    table = PATHS[path]
    name = next(item.name for item in table.features if item.kind in ("number", "integer"))
    text = with_literal(bodies[path], name, literal)
    problem = check_problem(post_text(client, path, text), 400, 422)
    assert "traceback" not in json.dumps(problem).lower()


@pytest.mark.parametrize("path", PATHS)
def test_a_number_of_5000_digits_is_refused(client: TestClient, bodies: Bodies, path: str) -> None:
    name = next(item.name for item in PATHS[path].features if item.kind == "number")
    check_problem(post_text(client, path, with_literal(bodies[path], name, "9" * 5000)), 400, 422)


@pytest.mark.parametrize("path", POSTED)
@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "1", '"text"', "{", "\ufeff{}", "{}x", '{"a": 1,}', "\x00", "[" * 100_000,
     '{"a":' * 50_000],
    ids=lambda text: repr(text[:8]),
)  # fmt: skip
def test_what_is_no_body_is_refused(client: TestClient, path: str, text: str) -> None:
    check_problem(post_text(client, path, text), 400, 422)


@pytest.mark.parametrize("path", POSTED)
def test_bytes_that_are_no_utf8_are_refused(client: TestClient, path: str) -> None:
    check_problem(post_text(client, path, b'{"a": "\xff\xfe"}'), 400, 422)
    check_problem(post_text(client, path, '{"sex": "male"}'.encode("utf-16")), 400, 422)


@pytest.mark.parametrize("path", [path for path in POSTED if "imaging" not in path])
def test_no_body_at_all_is_a_422(client: TestClient, path: str) -> None:
    check_problem(client.post(path), 422)


@pytest.mark.parametrize("path", POSTED)
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "json", ""]
)
def test_another_content_type_is_a_415(
    client: TestClient, bodies: Bodies, path: str, kind: str
) -> None:
    content = json.dumps(bodies[path])
    check_problem(client.post(path, content=content, headers={"Content-Type": kind}), 415)


@pytest.mark.parametrize("kind", ["Application/JSON; charset=utf-8", "application/vnd.x+json"])
def test_json_may_have_parameters_and_relatives(
    client: TestClient, bodies: Bodies, kind: str
) -> None:
    path = "/api/v1/risk/diabetes"
    reply = client.post(path, content=json.dumps(bodies[path]), headers={"Content-Type": kind})
    assert reply.status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_a_refusal_names_field_and_rule_but_repeats_nothing(
    client: TestClient, bodies: Bodies, path: str
) -> None:
    item = next(item for item in PATHS[path].features if item.kind == "number")
    reply = client.post(path, json={**bodies[path], item.name: CANARY})
    problem = check_problem(reply, 422)
    assert item.name in json.dumps(problem["errors"])
    assert CANARY not in reply.text + str(reply.headers)


@pytest.mark.parametrize("path", POSTED)
def test_canaries_come_back_from_nowhere(
    client: TestClient, bodies: Bodies, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    hostile: list[Any] = [
        {**bodies[path], "unheard_of": CANARY},
        {"name": CANARY},
        [CANARY],
        CANARY,
        {**bodies[path], **dict.fromkeys(bodies[path], CANARY)},
        {**bodies[path], **{name: {"name": CANARY} for name in bodies[path]}},
    ]
    with caplog.at_level(logging.DEBUG):
        for body in hostile:
            reply = client.post(path, params={"q": CANARY}, json=body)
            check_problem(reply, 422)
            assert CANARY not in reply.text + str(reply.headers)
        client.post(path, content=CANARY, headers={"Content-Type": "application/json"})
        client.post(path, content=CANARY, headers={"Content-Type": CANARY})
    ours = [r for r in caplog.records if not r.name.startswith(("httpx", "httpcore"))]
    assert not [record for record in ours if CANARY in record.getMessage()]


def test_bodies_over_a_mebibyte_are_refused(client: TestClient, bodies: Bodies) -> None:
    path = "/api/v1/risk/diabetes"
    padded = json.dumps(bodies[path]) + " " * 2**20
    problem = check_problem(post_text(client, path, padded), 413)
    assert "1,048,576 bytes" in problem["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/risk/diabetes", 405),
        ("DELETE", "/api/v1/models", 405),
        ("GET", "/api/v1/risk/unheard-of", 404),
        ("POST", "/api/v1/", 404),
        ("POST", "/api/v2/risk/diabetes", 404),
    ],
)
def test_unknown_paths_and_methods_are_problems(
    client: TestClient, method: str, path: str, status: int
) -> None:
    check_problem(client.request(method, path), status)


def value_of(item: Feature) -> st.SearchStrategy[Any]:
    low = -1e308 if item.low is None else item.low
    high = 1e308 if item.high is None else item.high
    if item.kind == "integer":
        values: st.SearchStrategy[Any] = st.integers(int(low), int(high))
    elif item.kind == "number":
        values = st.floats(low, high, allow_nan=False)
    elif item.kind == "boolean":
        values = st.booleans()
    else:
        values = st.sampled_from(item.levels)
    return st.none() | values if item.optional else values


def valid(table: FeatureSet) -> st.SearchStrategy[dict[str, Any]]:
    needed = {item.name: value_of(item) for item in table.features if not item.optional}
    may_be = {item.name: value_of(item) for item in table.features if item.optional}
    return st.fixed_dictionaries(needed, optional=may_be)


def check_valid(client: TestClient, path: str, body: dict[str, Any]) -> None:
    reply = client.post(path, json=body)
    if "fitness" in path and all(body.get(metric) is None for metric in METRICS):
        assert reply.status_code == 422
    else:
        assert reply.status_code == 200, (body, reply.text)
        json.loads(reply.text, parse_constant=pytest.fail)


relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("path", PATHS)
@settings(relaxed, max_examples=25)
@given(data=st.data())
def test_every_valid_body_is_answered(client: TestClient, path: str, data: st.DataObject) -> None:
    check_valid(client, path, data.draw(valid(PATHS[path])))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("path", POSTED)
@settings(relaxed, max_examples=25)
@given(data=st.data())
def test_no_json_breaks_a_route(
    client: TestClient, bodies: Bodies, path: str, data: st.DataObject
) -> None:
    body = data.draw(anything)
    if data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(bodies[path])) | st.text(max_size=20))
        body = {**bodies[path], name: body}
    text = json.dumps(body, ensure_ascii=data.draw(st.booleans()))
    reply = post_text(client, path, text.encode("utf-8", "surrogatepass"))
    assert reply.status_code < 500, reply.text
    json.loads(reply.text, parse_constant=pytest.fail)
