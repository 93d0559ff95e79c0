"""`POST /add-checkpoint`: a witness's cosignature (c2sp.org/tlog-witness). Its errors are texts."""

from __future__ import annotations

import logging
import threading
from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from provenance.errors import (
    AuthError,
    ConfigError,
    InputError,
    NotFound,
    ProvenanceError,
    UnavailableError,
    VerificationError,
)
from provenance.log.witness.request import MAX_REQUEST_BYTES, PATH, SIZE_TYPE
from provenance.witness.memory import Stale
from provenance.witness.service import Witness
from provenance_api.bodies import read_body

log = logging.getLogger("provenance_api")

AT_A_TIME = 16
"""Requests that may ask the chain or wait for it. Beyond them the answer is 503."""
STATUS: dict[type[ProvenanceError], HTTPStatus] = {
    ConfigError: HTTPStatus.INTERNAL_SERVER_ERROR,
    InputError: HTTPStatus.BAD_REQUEST,
    AuthError: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    VerificationError: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    ProvenanceError: HTTPStatus.INTERNAL_SERVER_ERROR,
}


def witness_routes(witness: Witness) -> APIRouter:
    """The route of one witness."""
    router, turns = APIRouter(tags=["witness"]), threading.BoundedSemaphore(AT_A_TIME)

    @router.post(f"/{PATH}", operation_id="addCheckpoint", response_class=PlainTextResponse)
    async def add_checkpoint(request: Request) -> Response:
        """Cosign a head that extends the one that was cosigned last."""
        try:
            body = await read_body(request, MAX_REQUEST_BYTES)
        except HTTPException as error:
            return _text(HTTPStatus(error.status_code), error.detail)
        if not turns.acquire(blocking=False):
            return _text(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests, ask again later")
        try:
            return PlainTextResponse(await run_in_threadpool(witness.add_checkpoint, body))
        except Stale as stale:
            size = f"{stale.size}\n".encode()
            return Response(size, HTTPStatus.CONFLICT, {"Content-Type": SIZE_TYPE})
        except ProvenanceError as error:
            return refusal(error)
        finally:
            turns.release()

    return router


def refusal(error: ProvenanceError) -> Response:
    """An error as C2SP has it: a status and a line. Of one of ours nothing private is told."""
    status = next(STATUS[c] for c in type(error).__mro__ if c in STATUS)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s: %s", PATH, error)
        return _text(status, error.what)
    return _text(status, str(error))


def _text(status: HTTPStatus, line: str) -> Response:
    return PlainTextResponse(f"{line}\n", status)
