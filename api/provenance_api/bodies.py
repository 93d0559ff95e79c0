"""Bodies of requests, which an attacker controls: of bounded size, and whole in bounded time."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

BODY_S = 10.0
"""Seconds until a request must be whole."""


async def read_body(request: Request, most: int, more_s: float = 0.0) -> bytes:
    """The request's body, of at most so many bytes.

    Args:
        more_s: seconds beyond `BODY_S` that a long body may take.

    Raises:
        HTTPException: 413 if it is larger, 408 if it is not whole in time, 400 if its sender left.
    """
    try:
        return await asyncio.wait_for(_read(request, most), BODY_S + more_s)
    except ClientDisconnect as error:  # whoever sent it hears no answer
        raise HTTPException(HTTPStatus.BAD_REQUEST, "request ended before it was whole") from error
    except TimeoutError as error:
        raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, "request is not whole") from error


async def _read(request: Request, most: int) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "request is too large")
    return bytes(body)
