"""`/push/RUN`: handing a run's evidence to the service, in pieces that can be sent again."""

from __future__ import annotations

import asyncio
import re
from base64 import b64decode
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from provenance.digest import Digest
from provenance.encoding import MAX_INTEGER
from provenance.errors import InputError, NotFound, UnavailableError
from provenance.ids import RunId, to_hex
from provenance.push.copy import MOST_PIECE_BYTES, Received
from provenance.push.files import require_kind
from provenance_api.bodies import read_body
from provenance_api.db import acting_for
from provenance_api.routes.answers import RunIdText
from provenance_api.schemas import ProblemModel
from provenance_api.tenants.gate import authorization_of
from provenance_api.tenants.inbox import Held, Inbox
from provenance_api.tenants.scan import Scan
from provenance_api.tenants.tokens import BadToken, MayNotPush, Tokens

WAIT_S = 20.0
"""Seconds that whoever wants a run read waits for others."""
AT_A_TIME = 2
"""Bodies of a tenant that are in memory at a time; its others wait."""
SLOWEST = 64 << 10
"""Bytes a second at which a body must arrive at least, after the first seconds."""
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")
_PROBLEM: dict[str, Any] = {"model": ProblemModel, "content": {"application/problem+json": {}}}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: _PROBLEM | {"description": "Not evidence of this run: what is wrong with it."},
    401: _PROBLEM | {"description": "No token, or one that opens nothing."},
    403: _PROBLEM | {"description": "A token that may read, and not push."},
    404: _PROBLEM | {"description": "This service takes no pushes, or has nothing of the run yet."},
    409: _PROBLEM
    | {"description": "The piece goes on elsewhere (`received` says where), or the run is busy."},
    408: _PROBLEM | {"description": "The request is not whole in time."},
    413: _PROBLEM | {"description": "The body is too large."},
    503: _PROBLEM | {"description": "The chain or the database does not answer."},
    507: _PROBLEM | {"description": "The tenant's runs take all that they may."},
}
Offset = Annotated[
    int, Header(alias="Upload-Offset", ge=0, le=MAX_INTEGER, description="Of the first byte.")
]
ContentDigest = Annotated[
    str, Header(alias="Content-Digest", max_length=200, description="RFC 9530: sha-256=:..:")
]
FileName = Annotated[str, Path(max_length=200, description="Path below `provenance/`.")]


class Turns:
    """Lets one run be read whole at a time, which takes memory and time; others wait their turn.

    Nobody waits in a thread, which other requests need, and a tenant's requests wait for each other
    first.
    """

    def __init__(self, tenants: Collection[str]) -> None:
        self._each = {tenant: asyncio.Semaphore() for tenant in tenants}
        self._all = asyncio.Semaphore()

    @asynccontextmanager
    async def of(self, tenant: str) -> AsyncIterator[None]:
        """A tenant's turn.

        Raises:
            UnavailableError: it does not come within `WAIT_S`.
        """
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(WAIT_S):
                    await held.enter_async_context(self._each[tenant])
                    await held.enter_async_context(self._all)
            except TimeoutError as error:
                raise UnavailableError(
                    "other runs are being read", hint="ask again in a minute"
                ) from error
            yield


class ReceivedModel(BaseModel):
    """How much of a journal is there."""

    bytes: int = Field(description="Of the file, with its header: where the next piece begins.")
    records: int
    last: str = Field(description="0x and 64 hex digits: SHA-256 of the last frame.")


class PushState(BaseModel):
    """What the service has of a run, by a tenant's pushes."""

    run_id: str
    journal: ReceivedModel
    files: dict[str, str] = Field(description="sha256:.. of each other file, by its name.")


class PushCheck(BaseModel):
    """How what was pushed agrees with itself and with the chain."""

    run_id: str
    records: int
    heads: int
    anchored: int = Field(description="Records under the run's newest final head on chain.")
    faults: list[str]


def push_routes(
    inbox: Inbox | None, tokens: Tokens, scan: Scan, served: Collection[str]
) -> APIRouter:
    """The routes of pushing.

    Args:
        inbox: None for a service that takes no pushes.
        served: tenants whose pushes are taken.
    """
    router = APIRouter(tags=["push"])
    bodies = {tenant: asyncio.Semaphore(AT_A_TIME) for tenant in served}
    turns = Turns(served)

    async def sender(request: Request) -> tuple[Inbox, str]:
        opened = await run_in_threadpool(tokens.opened, authorization_of(request))
        if opened.tenant not in served:
            raise BadToken
        if not opened.may_push:
            raise MayNotPush
        if inbox is None:
            raise NotFound(
                "this service takes no pushes",
                hint="whoever runs it gives `provenance serve` an --inbox",
            )
        return inbox, opened.tenant

    async def body_of(request: Request, most: int) -> bytes:
        return await read_body(request, most, most / SLOWEST)

    @router.get(
        "/push/{run_id}",
        operation_id="getPushState",
        summary="What the service has of a run that you push",
        response_model=PushState,
        responses=_PROBLEMS,
    )
    async def get_push_state(request: Request, run_id: RunIdText) -> Response:
        box, tenant = await sender(request)
        run = RunId.parse(run_id)
        async with turns.of(tenant):
            held = await run_in_threadpool(box.held, tenant, run)
        return JSONResponse(_state(run, held))

    @router.patch(
        "/push/{run_id}/journal",
        operation_id="pushJournal",
        summary="Add a piece to a run's journal",
        response_model=ReceivedModel,
        responses=_PROBLEMS,
        openapi_extra=_body("Whole frames of the journal; from offset 0 also its header."),
    )
    async def push_journal(request: Request, run_id: RunIdText, offset: Offset) -> Response:
        box, tenant = await sender(request)
        run = RunId.parse(run_id)
        async with bodies[tenant]:
            piece = await body_of(request, MOST_PIECE_BYTES)
            found = await run_in_threadpool(box.append, tenant, run, offset, piece)
        return JSONResponse(_received(found))

    @router.put(
        "/push/{run_id}/files/{name:path}",
        operation_id="pushFile",
        summary="Put a file of a run's evidence",
        status_code=204,
        responses=_PROBLEMS | {201: {"description": "There was none of this name."}},
        openapi_extra=_body("The file."),
    )
    async def push_file(
        request: Request, run_id: RunIdText, name: FileName, digest: ContentDigest
    ) -> Response:
        box, tenant = await sender(request)
        run, kind, expected = RunId.parse(run_id), require_kind(name), _digest(digest)
        async with bodies[tenant]:
            data = await body_of(request, kind.most)
            is_new = await run_in_threadpool(box.put, tenant, run, name, expected, data)
        return Response(status_code=HTTPStatus.CREATED if is_new else HTTPStatus.NO_CONTENT)

    @router.post(
        "/push/{run_id}/check",
        operation_id="checkPush",
        summary="Compare what you pushed with itself and with the chain, and have pages show it",
        response_model=PushCheck,
        responses=_PROBLEMS,
    )
    async def check_push(request: Request, run_id: RunIdText) -> Response:
        box, tenant = await sender(request)
        run = RunId.parse(run_id)
        async with turns.of(tenant):
            found = await run_in_threadpool(box.agreement, tenant, run)
            with acting_for(tenant):
                await run_in_threadpool(scan.look_at, box.folder(tenant, run))
                damage = scan.damage(run)
        value = PushCheck(
            run_id=str(run),
            records=found.records,
            heads=found.heads,
            anchored=found.anchored,
            faults=[*found.faults, *(f"not shown: {each.text}" for each in damage)],
        )
        return JSONResponse(value.model_dump())

    return router


def _state(run_id: RunId, held: Held) -> dict[str, Any]:
    files = {name: str(digest) for name, digest in held.files.items()}
    return {"run_id": str(run_id), "journal": _received(held.journal), "files": files}


def _received(received: Received) -> dict[str, Any]:
    return {
        "bytes": received.size,
        "records": received.records,
        "last": to_hex(received.last),
    }


def _digest(header: str) -> Digest:
    found = _DIGEST.fullmatch(header)
    if found is None:
        raise InputError(
            "not the digest of a body",
            where="Content-Digest",
            expected="sha-256=:BASE64: (RFC 9530)",
            actual=header[:80],
        )
    return Digest(b64decode(found[1]))


def _body(what: str) -> dict[str, Any]:
    schema = {"type": "string", "format": "binary", "description": what}
    content = {"application/octet-stream": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}
