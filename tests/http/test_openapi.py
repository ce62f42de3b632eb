"""The OpenAPI document describes the errors that clients get."""

# No `from __future__ import annotations`: FastAPI has to see the routes' local types.

from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel, TypeAdapter

from loadonce.http import install

PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}


class Mistake(BaseModel):
    why: str


def make_app() -> FastAPI:
    app = FastAPI()
    install(app)

    @app.get("/plain")
    async def plain() -> int:
        return 1

    @app.get("/number/{x}")
    async def number(x: int) -> int:
        return x

    @app.get("/own/{x}", responses={422: {"model": Mistake}, "default": {"model": Mistake}})
    async def own(x: int) -> int:
        return x

    return app


def schema_of(app: FastAPI) -> dict[str, Any]:
    found: dict[str, Any] = TestClient(app).get("/openapi.json").json()
    return found


def test_errors_are_problem_documents() -> None:
    schema = schema_of(make_app())
    number = schema["paths"]["/number/{x}"]["get"]["responses"]
    assert number["422"]["content"] == number["default"]["content"] == PROBLEM
    plain = schema["paths"]["/plain"]["get"]["responses"]
    assert set(plain) == {"200", "default"}
    assert "ProblemDetails" in schema["components"]["schemas"]
    assert "HTTPValidationError" not in schema["components"]["schemas"]


def test_what_the_app_declares_is_kept() -> None:
    responses = schema_of(make_app())["paths"]["/own/{x}"]["get"]["responses"]
    for status in ("422", "default"):
        assert list(responses[status]["content"]) == ["application/json"]


def test_schemas_that_are_still_used_stay() -> None:
    app = make_app()

    @app.get("/kept", responses={400: {"$ref": "#/components/schemas/HTTPValidationError"}})
    async def kept(x: int) -> int:
        return x

    schemas = schema_of(app)["components"]["schemas"]
    assert {"HTTPValidationError", "ValidationError"} <= set(schemas)


def test_routes_added_later_are_described_too() -> None:
    app = make_app()
    schema_of(app)
    router = APIRouter()

    @router.get("/late")
    async def late(x: int) -> int:
        return x

    app.include_router(router)
    responses = schema_of(app)["paths"]["/late"]["get"]["responses"]
    assert responses["422"]["content"] == PROBLEM
    assert app.openapi() is app.openapi()


def test_what_a_client_gets_fits_the_description() -> None:
    document = TestClient(make_app()).get("/number/x").json()
    properties = schema_of(make_app())["components"]["schemas"]["ProblemDetails"]["properties"]
    assert set(document) <= set(properties)
    TypeAdapter(dict[str, str | int | list[dict[str, Any]]]).validate_python(document)


def test_a_document_of_the_apps_own_making_is_amended() -> None:
    app = FastAPI()
    own: dict[str, Any] = {
        "paths": {"/x": {"parameters": [], "summary": "X", "get": {"responses": {}}, "put": {}}}
    }
    app.openapi = lambda: own  # type: ignore[method-assign]
    install(app)
    assert app.openapi()["paths"]["/x"]["get"]["responses"]["default"]["content"] == PROBLEM
