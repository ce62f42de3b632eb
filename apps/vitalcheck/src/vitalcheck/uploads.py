"""A picture out of a request: base64 in JSON or a multipart file part; in memory, never on disk."""

from __future__ import annotations

import binascii
from typing import Final

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from loadonce.http import RuleViolation

from .imaging import MAX_BYTES
from .schemas import EncodedImage

_FIELD: Final = "image"


def refusal(rule: str, message: str, *field: str) -> RequestValidationError:
    """A 422 like any other: which field, which rule; never the value."""
    context = {"error": RuleViolation(message)}
    return RequestValidationError([{"type": rule, "loc": ("body", *field), "ctx": context}])


def media_type_of(request: Request) -> str:
    """The request's content type without parameters, in lower case; "" where it states none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def json_only(request: Request) -> None:
    """A dependency: 415 for a body that is not JSON; a body that is absent is left for the 422."""
    media_type = media_type_of(request)
    has_body = media_type or request.headers.get("content-length", "0") != "0"
    if request.method == "POST" and has_body and not _is_json(media_type):
        raise HTTPException(415, "send the body as application/json")


async def picture_of(request: Request) -> bytes:
    """The bytes of the uploaded picture, not yet looked at.

    Raises HTTPException (400, 415) and RequestValidationError (422).
    """
    media_type = media_type_of(request)
    if _is_json(media_type):
        return await run_in_threadpool(_from_json, await request.body())
    if media_type == "multipart/form-data":
        return await _from_form(request)
    raise HTTPException(415, "send application/json or multipart/form-data")


def _is_json(media_type: str) -> bool:
    kind, _, subtype = media_type.partition("/")
    return kind == "application" and (subtype == "json" or subtype.endswith("+json"))


def _from_json(body: bytes) -> bytes:
    try:
        encoded = EncodedImage.model_validate_json(body).image_base64
    except ValidationError as error:
        raise RequestValidationError(
            [
                {**problem, "loc": ("body", *problem["loc"])}
                for problem in error.errors(
                    include_input=False, include_context=False, include_url=False
                )
            ]
        ) from None
    try:
        return binascii.a2b_base64(encoded, strict_mode=True)
    except ValueError:
        raise refusal("not_base64", "the text is not base64", "image_base64") from None


class _InMemory(MultiPartParser):
    # Uploads are health data: they stay in memory and never reach a temporary file.
    spool_max_size = 2 * MAX_BYTES


async def _from_form(request: Request) -> bytes:
    parser = _InMemory(request.headers, request.stream(), max_files=1, max_fields=1)
    try:
        form = await parser.parse()
    except MultiPartException:
        raise HTTPException(400, "the multipart body cannot be read") from None
    try:
        part = form.get(_FIELD)
        if len(form) != 1 or part is None:
            raise refusal("missing", "send exactly one part, a file named image", _FIELD)
        if not isinstance(part, UploadFile):
            raise refusal("file_type", "the part must be a file", _FIELD)
        return await part.read()
    finally:
        await form.close()
