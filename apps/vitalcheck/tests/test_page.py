"""The page's files come with strict headers; the probes and the schema are there."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from vitalcheck.app import create_app
from vitalcheck.page import POLICY
from vitalcheck.settings import Settings


@pytest.mark.parametrize("path", ["/", "/docs", "/static/index.html"])
def test_pages_cannot_be_scripted_framed_or_sniffed(client: TestClient, path: str) -> None:
    reply = client.get(path)
    assert reply.status_code == 200
    assert reply.headers["Content-Type"].startswith("text/html")
    policy = reply.headers["Content-Security-Policy"]
    assert policy == POLICY
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Referrer-Policy"] == "no-referrer"
    assert reply.headers["X-Frame-Options"] == "DENY"


def test_pages_are_not_sent_twice(client: TestClient) -> None:
    tag = client.get("/").headers["ETag"]
    again = client.get("/", headers={"If-None-Match": tag})
    assert again.status_code == 304
    assert again.headers["Content-Security-Policy"] == POLICY


@pytest.mark.parametrize(
    "path",
    ["/static/../settings.py", "/static/%2e%2e/settings.py", "/static/..%2fsettings.py",
     "/static//etc/passwd", "/static/", "/static/nothing.js", "/static/%00", "/static/é"],
)  # fmt: skip
def test_nothing_outside_the_folder_is_served(client: TestClient, path: str) -> None:
    reply = client.get(path)
    assert reply.status_code in (400, 404)
    assert reply.json()["request_id"]


def test_pages_cannot_be_posted_to(client: TestClient) -> None:
    for path in ("/", "/docs", "/static/index.html"):
        assert client.post(path).status_code == 405


@pytest.mark.parametrize("path", ["/livez", "/startupz", "/readyz"])
def test_the_probes_answer(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 200


def test_the_schema_documents_both_ways_to_send_a_picture(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    content = schema["paths"]["/api/v1/imaging/brain-tumor"]["post"]["requestBody"]["content"]
    assert set(content) == {"application/json", "multipart/form-data"}


def test_the_schema_documents_errors_as_problems(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    assert "HTTPValidationError" not in schema["components"]["schemas"]
    operations = [
        operation
        for path, methods in schema["paths"].items()
        for operation in methods.values()
        if path.startswith("/api/")
    ]
    assert len(operations) == 12
    for operation in operations:
        assert operation["summary"]
        assert operation["description"]
        for status in ("400", "413", "415", "422", "503"):
            assert list(operation["responses"][status]["content"]) == ["application/problem+json"]


def test_a_missing_folder_is_an_error_when_the_app_is_made(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="does not exist"):
        create_app(Settings(static_dir=tmp_path / "nowhere"))


def test_the_schema_states_the_api_s_version() -> None:
    assert create_app(Settings(api_version="7.5")).version == "7.5"
