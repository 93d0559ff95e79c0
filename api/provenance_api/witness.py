"""The HTTP application of a witness: one route, errors as texts, security headers."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response
from starlette.exceptions import HTTPException

from provenance.witness.service import Witness
from provenance_api.headers import SecurityHeaders
from provenance_api.routes.witness import witness_routes


def create_witness_app(witness: Witness) -> FastAPI:
    """The application of a witness; its submission prefix is the root."""
    app = FastAPI(title="Witness of runs' logs", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(SecurityHeaders)
    app.include_router(witness_routes(witness))

    @app.exception_handler(HTTPException)
    async def on_http(_: Request, error: HTTPException) -> Response:
        return PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)

    return app
