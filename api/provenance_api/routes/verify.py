"""`GET /verify/..`: the verdict, as JSON or as a page."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, Response

from provenance.judgement.verdict import Status
from provenance_api.negotiation import prefers_html
from provenance_api.resolve import Resolver
from provenance_api.schemas import ProblemModel, VerdictModel
from provenance_api.web.page import Pages
from provenance_api.written import Written

Format = Annotated[
    Literal["json", "html"] | None,
    Query(description="Overrides the Accept header.", alias="format"),
]
ModelId = (
    "sha256:.., 64 hex digits, 0x.., a release's name[:version], or the digest of its manifest"
)
_PROBLEM: dict[str, Any] = {"model": ProblemModel, "content": {"application/problem+json": {}}}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": VerdictModel,
        "description": "The verdict, whatever it is.",
        "content": {"text/html": {}},
    },
    400: _PROBLEM | {"description": "Not a model id."},
    404: {"model": VerdictModel | ProblemModel, "description": "No release names this model."},
    409: _PROBLEM | {"description": "Several releases match this id; `matches` lists them."},
    500: _PROBLEM | {"description": "The service's database and its evidence disagree."},
    503: _PROBLEM
    | {"description": "The database does not answer, or too many verifications wait."},
}


def verify_routes(resolver: Resolver, pages: Pages) -> APIRouter:
    """`/verify?id=` and `/verify/ID`."""
    router, written = APIRouter(tags=["verify"]), Written()

    async def reply(request: Request, asked: str, format_: str | None) -> Response:
        answer = await resolver.answer(asked)
        found = answer.verdict.status is not Status.NOT_FOUND
        status, headers = HTTPStatus.OK if found else HTTPStatus.NOT_FOUND, {"Vary": "Accept"}
        html = format_ == "html" if format_ else prefers_html(request.headers.get("accept"))
        if html:
            return HTMLResponse(pages.verdict(answer), status, headers)
        return Response(written.json(answer), status, headers, "application/json")

    @router.get(
        "/verify", operation_id="verifyModelByQuery", summary="Judge a model", responses=RESPONSES
    )
    async def verify_by_query(
        request: Request,
        id_: Annotated[str, Query(alias="id", description=ModelId)],
        format_: Format = None,
    ) -> Response:
        return await reply(request, id_, format_)

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
        return await reply(request, model_id, format_)

    return router
