"""Pictures come as base64 in JSON or as a file part; everything else is refused, none is stored."""

import base64
import io
import json
import tempfile
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from vitalcheck.imaging import LABELS, MAX_BYTES

PATH = "/api/v1/imaging/brain-tumor"


def post_file(
    client: TestClient, content: bytes, name: str = "image", **kind: Any
) -> httpx2.Response:
    return client.post(PATH, files={name: ("scan.png", content, "image/png")}, **kind)


def post_base64(client: TestClient, content: bytes) -> httpx2.Response:
    return client.post(PATH, json={"image_base64": base64.b64encode(content).decode()})


def rules(reply: httpx2.Response) -> list[str]:
    problem = reply.json()
    assert reply.status_code == problem["status"] == 422
    assert problem["request_id"]
    return [error["rule"] for error in problem["errors"]]


def test_both_ways_give_the_same_reading(client: TestClient, picture: bytes) -> None:
    first, second = post_file(client, picture), post_base64(client, picture)
    assert first.status_code == second.status_code == 200
    data = first.json()["data"]
    assert data == second.json()["data"]
    assert set(data) == {"label", "tumor_detected", "confidence", "probabilities"}
    assert set(data["probabilities"]) == set(LABELS)
    assert sum(data["probabilities"].values()) == pytest.approx(1)
    assert data["confidence"] == max(data["probabilities"].values())
    assert data["tumor_detected"] == (data["label"] != "no_tumor")


def test_jpeg_is_read_too(client: TestClient) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (300, 200), "grey").save(buffer, "JPEG")
    assert post_file(client, buffer.getvalue()).status_code == 200


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (32, 32)).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "empty"),
        (b"%PDF-1.7", "not_png_or_jpeg"),
        (encoded("GIF"), "not_png_or_jpeg"),
        (encoded("PNG")[:45], "truncated"),
        (b"x" * (MAX_BYTES + 1), "too_many_bytes"),
    ],
    ids=["empty", "pdf", "gif", "cut", "large"],
)
def test_what_is_no_picture_is_refused_with_a_code(
    client: TestClient, content: bytes, rule: str
) -> None:
    assert rules(post_file(client, content)) == [rule]


def test_too_many_pixels_are_refused_before_they_are_decoded(client: TestClient) -> None:
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "PNG")
    assert rules(post_file(client, buffer.getvalue())) == ["too_many_pixels"]


def test_the_largest_picture_fits_in_base64(client: TestClient) -> None:
    assert rules(post_base64(client, b"x" * MAX_BYTES)) == ["not_png_or_jpeg"]


def test_larger_bodies_are_not_read(client: TestClient) -> None:
    reply = client.post(PATH, json={"image_base64": "A" * (MAX_BYTES * 4 // 3 + 2**17)})
    assert reply.status_code == 413


@pytest.mark.parametrize("text", ["not base64", "abc", "AAAA\n", "data:image/png;base64,AAAA", "é"])
def test_text_that_is_no_base64_is_refused(client: TestClient, text: str) -> None:
    assert rules(client.post(PATH, json={"image_base64": text})) == ["not_base64"]


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ({}, "missing"),
        ({"image_base64": ""}, "string_too_short"),
        ({"image_base64": 5}, "string_type"),
        ({"image_base64": None}, "string_type"),
        ({"image_base64": "AAAA", "more": 1}, "extra_forbidden"),
        ([], "model_type"),
    ],
)
def test_other_json_is_refused_like_any_body(client: TestClient, body: Any, rule: str) -> None:
    reply = client.post(PATH, json=body)
    assert rules(reply) == [rule]
    assert "AAAA" not in reply.text


def test_a_part_of_another_name_is_refused(client: TestClient, picture: bytes) -> None:
    assert rules(post_file(client, picture, "picture")) == ["missing"]


def test_a_part_that_is_no_file_is_refused(client: TestClient) -> None:
    body = '--b\r\nContent-Disposition: form-data; name="image"\r\n\r\nAAAA\r\n--b--\r\n'
    reply = client.post(
        PATH, content=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert rules(reply) == ["file_type"]
    assert "AAAA" not in reply.text


def test_two_files_are_refused(client: TestClient, picture: bytes) -> None:
    files = [("image", ("a.png", picture)), ("image", ("b.png", picture))]
    assert client.post(PATH, files=files).status_code == 400


def test_a_second_field_is_refused(client: TestClient, picture: bytes) -> None:
    assert rules(post_file(client, picture, data={"name": "Jane Doe"})) == ["missing"]


@pytest.mark.parametrize(
    "kind",
    ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=x"],
)
@pytest.mark.parametrize(
    "body", ["", "--x", "--x\r\n\r\n", "--x\r\nContent-Disposition: form-data"]
)
def test_broken_multipart_is_refused(client: TestClient, kind: str, body: str) -> None:
    reply = client.post(PATH, content=body, headers={"Content-Type": kind})
    assert reply.status_code in (400, 422)
    assert reply.json()["request_id"]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    parts=st.lists(st.binary(max_size=60), max_size=5), boundary=st.sampled_from(["b", "--", "é"])
)
def test_no_multipart_body_breaks_the_route(
    client: TestClient, parts: list[bytes], boundary: str
) -> None:
    line = f"--{boundary}\r\nContent-Disposition: form-data; name=image; filename=x\r\n".encode()
    kind = f"multipart/form-data; boundary={boundary}".encode()
    headers = [(b"Content-Type", kind)]
    reply = client.post(PATH, content=line.join(parts), headers=headers)
    assert reply.status_code < 500
    json.loads(reply.text)


def test_uploads_never_touch_the_disk(
    client: TestClient, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_file(*_args: object, **_options: object) -> None:
        raise AssertionError("an upload was written to a temporary file")

    monkeypatch.setattr(tempfile, "TemporaryFile", no_file)
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", no_file)
    padded = picture + b"\0" * (MAX_BYTES - len(picture))
    assert post_file(client, padded).status_code == 200
