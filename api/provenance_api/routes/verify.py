"""`/verify` and `/badge`: the verdict, as JSON, SARIF, page or picture."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from provenance.artifacts.manifest import Manifest
from provenance.digest import Digest
from provenance.judgement import sarif
from provenance.judgement.verdict import Status
from provenance.text.program import release
from provenance_api.bodies import read_body
from provenance_api.negotiation import preferred
from provenance_api.problems import UnknownModel
from provenance_api.resolve import Answer, Resolver
from provenance_api.routes.answers import tagged
from provenance_api.schemas import FileModel, ProblemModel, VerdictModel
from provenance_api.web.badge import badge
from provenance_api.web.page import Pages
from provenance_api.written import Written

Format = Annotated[
    Literal["json", "html", "sarif"] | None,
    Query(description="Overrides the Accept header.", alias="format"),
]
ModelId = (
    "sha256:.., 64 hex digits, 0x.., a release's name[:version], or the digest of its manifest"
)
MAX_FOLDER_BYTES = 1 << 20
_MEDIA = {"json": "application/json", "html": "text/html", "sarif": sarif.MEDIA_TYPE}
_PROBLEM: dict[str, Any] = {"model": ProblemModel, "content": {"application/problem+json": {}}}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": VerdictModel,
        "description": "The verdict, whatever it is.",
        "content": {"text/html": {}, sarif.MEDIA_TYPE: {}},
    },
    400: _PROBLEM | {"description": "Not a model id."},
    404: {"model": VerdictModel | ProblemModel, "description": "No release names this model."},
    409: _PROBLEM | {"description": "Several releases match this id; `matches` lists them."},
    500: _PROBLEM | {"description": "The service's database and its evidence disagree."},
    503: _PROBLEM
    | {"description": "The database does not answer, or too many verifications wait."},
}
_OF_FOLDERS = RESPONSES | {
    400: _PROBLEM | {"description": "Not a list of files."},
    408: _PROBLEM | {"description": "The request is not whole in time."},
    413: _PROBLEM | {"description": f"More than {MAX_FOLDER_BYTES} bytes."},
}
_OF_BADGES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The word of the verdict as a picture.", "content": {"image/svg+xml": {}}},
    304: {"description": "You have it already (If-None-Match)."},
    **{code: RESPONSES[code] for code in (400, 409, 500, 503)},
}
_FOLDER_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "description": "All files of a folder, in any order. "
                    "A file `provenance-manifest/1` has this form, too.",
                    "required": ["files"],
                    "properties": {
                        "files": {
                            "type": "array",
                            "minItems": 1,
                            "items": FileModel.model_json_schema(),
                        }
                    },
                }
            }
        },
    }
}


def _root_of(body: bytes) -> Digest:
    """The digest of the folder that a body (attacker-controlled) lists, which may take a second."""
    return Manifest.listed(body).root


def verify_routes(resolver: Resolver, pages: Pages) -> APIRouter:
    """`/verify?id=`, `/verify/ID`, `POST /verify` and `/badge/ID`."""
    router, written = APIRouter(tags=["verify"]), Written()

    def reply(request: Request, answer: Answer, format_: str | None) -> Response:
        found = answer.verdict.status is not Status.NOT_FOUND
        status, headers = HTTPStatus.OK if found else HTTPStatus.NOT_FOUND, {"Vary": "Accept"}
        accept = request.headers.get("accept")
        media = _MEDIA[format_] if format_ else preferred(accept, tuple(_MEDIA.values()))
        if media == _MEDIA["html"]:
            return HTMLResponse(pages.verdict(answer), status, headers)
        if media == sarif.MEDIA_TYPE:
            value = json.dumps(sarif.to_sarif(answer.verdict, release()))
            return Response(value, status, headers, media)
        return Response(written.json(answer), status, headers, media)

    @router.get(
        "/verify", operation_id="verifyModelByQuery", summary="Judge a model", responses=RESPONSES
    )
    async def verify_by_query(
        request: Request,
        id_: Annotated[str, Query(alias="id", description=ModelId)],
        format_: Format = None,
    ) -> Response:
        return reply(request, await resolver.answer(id_), format_)

    @router.post(
        "/verify",
        operation_id="verifyFolder",
        summary="Judge the release of a folder by the digests of its files",
        responses=_OF_FOLDERS,
        openapi_extra=_FOLDER_BODY,
    )
    async def verify_folder(request: Request, format_: Format = None) -> Response:
        body = await read_body(request, MAX_FOLDER_BYTES)
        root = await run_in_threadpool(_root_of, body)
        return reply(request, await resolver.folder(root), format_)

    @router.get(
        "/verify/{model_id:path}",
        operation_id="verifyModel",
        summary="Judge a model",
        responses=RESPONSES,
    )
    async def verify_by_path(
        request: Request,
        model_id: Annotated[str, Path(description=ModelId)],
        format_: Format = None,
    ) -> Response:
        return reply(request, await resolver.answer(model_id), format_)

    @router.get(
        "/badge/{model_id:path}",
        operation_id="getBadge",
        summary="The word of the verdict as a picture",
        responses=_OF_BADGES,
    )
    async def get_badge(
        request: Request, model_id: Annotated[str, Path(description=ModelId)]
    ) -> Response:
        try:
            answer = await resolver.answer(model_id)
            drawn = badge(answer.verdict.status, bool(answer.verdict.development))
        except UnknownModel:  # where pictures are shown, one that says so serves better than none
            drawn = badge(Status.NOT_FOUND)
        return tagged(request, drawn.encode(), "image/svg+xml", {"Cache-Control": "no-cache"})

    return router
