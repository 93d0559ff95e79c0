"""Answers of the explorer: JSON or a page, with an ETag, and 304 for whoever has it already."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import Depends, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from provenance.encoding import MAX_INTEGER
from provenance_api.explorer.cursors import LIMIT, MOST
from provenance_api.negotiation import prefers_html
from provenance_api.schemas import ProblemModel

FOREVER = "public, max-age=31536000, immutable"
Format = Annotated[
    Literal["json", "html"] | None,
    Query(description="Overrides the Accept header.", alias="format"),
]
RunIdText = Annotated[str, Path(description="0x and 64 hex digits", max_length=80)]
Number = Annotated[int, Path(ge=0, le=MAX_INTEGER)]
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
_PROBLEM: dict[str, Any] = {"model": ProblemModel, "content": {"application/problem+json": {}}}


@dataclass(frozen=True)
class Window:
    """Which rows of a list a client asks for; its values are attacker-controlled."""

    after: Annotated[
        str | None, Query(description="Cursor: the key of the last row you have.", max_length=200)
    ] = None
    limit: Annotated[int, Query(ge=1, le=MOST, description="Rows of a page.")] = LIMIT


Rows = Annotated[Window, Depends()]


def responses(model: type[BaseModel], found: str) -> dict[int | str, dict[str, Any]]:
    """What a route answers, for OpenAPI."""
    page = {"model": model, "description": found, "content": {"text/html": {}}}
    return {200: page, **problems()}


def problems() -> dict[int | str, dict[str, Any]]:
    """What every route of the explorer may answer in place of what was asked for."""
    return {
        304: {"description": "You have it already (If-None-Match)."},
        400: _PROBLEM | {"description": "A malformed id, number, type or cursor."},
        404: _PROBLEM | {"description": "There is no such thing here."},
        500: _PROBLEM | {"description": "The service's database and its evidence disagree."},
        503: _PROBLEM
        | {"description": "The database does not answer, or the chain, which alone knows."},
    }


def wants_html(request: Request, format_: str | None) -> bool:
    """Whether to answer with a page."""
    return format_ == "html" if format_ else prefers_html(request.headers.get("accept"))


def reply(
    request: Request,
    format_: str | None,
    value: BaseModel,
    page: Callable[[], str],
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    """A value as JSON or as the page that shows it. Both may change, so clients ask again."""
    if wants_html(request, format_):
        body, media = page().encode(), "text/html; charset=utf-8"
    else:
        body, media = value.model_dump_json().encode(), "application/json"
    return tagged(request, body, media, {"Vary": "Accept", "Cache-Control": "no-cache"}, status)


def tagged(
    request: Request,
    body: bytes,
    media: str,
    headers: dict[str, str],
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    """A body with the ETag of its bytes; 304 without it if the client names that (RFC 9110)."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = headers | {"ETag": etag}
    named = request.headers.get("if-none-match", "")[:4096]
    given = {each.strip().removeprefix("W/") for each in named.split(",")}
    if status is HTTPStatus.OK and given & {etag, "*"}:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(body, status, headers, media)


def service_url(request: Request) -> str:
    """Where this service is, as the client calls it; commands name it.

    A Host header that is no host is somebody's attempt to write into a page: it is left out.
    """
    host = request.headers.get("host", "")
    known = _HOST.fullmatch(host) is not None
    return f"{request.url.scheme}://{host if known else '127.0.0.1:8000'}"
