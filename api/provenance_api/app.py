"""The HTTP application: routes, problem details, security headers.

app = create_app(AppState(trust=.., trust_bytes=.., database=.., folders=.., reader=.., prover=..))
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from provenance.errors import ProvenanceError, UnavailableError
from provenance.ids import RunId
from provenance.judgement.facts import RunFacts
from provenance.text.shown import quoted
from provenance_api.catalog import Catalog
from provenance_api.explorer.basis import Basis
from provenance_api.explorer.glance import ChainGlance
from provenance_api.headers import HEADERS, SecurityHeaders
from provenance_api.judge import Judge
from provenance_api.negotiation import prefers_html
from provenance_api.problems import MEDIA_TYPE, Problem, http_problem, problem_of
from provenance_api.resolve import Resolver
from provenance_api.routes.explorer import explorer_routes
from provenance_api.routes.onchain import chain_routes
from provenance_api.routes.push import push_routes
from provenance_api.routes.runs import run_routes
from provenance_api.routes.service import service_routes
from provenance_api.routes.verify import verify_routes
from provenance_api.state import AppState
from provenance_api.tenants.gate import CHALLENGE, TenantGate
from provenance_api.tenants.inbox import Inbox
from provenance_api.tenants.scan import Scan
from provenance_api.tenants.tokens import BadToken, Tokens
from provenance_api.web.explorer import ExplorerPages
from provenance_api.web.onchain import ChainPages
from provenance_api.web.page import STATIC, Pages
from provenance_api.web.texts import ENGLISH

log = logging.getLogger("provenance_api")
Sender = Callable[[Request, Problem], Response]


def create_app(state: AppState) -> FastAPI:
    """The application over these parts. It indexes the evidence folders when it starts."""
    judge, pages = Judge(state), Pages()
    scan = Scan(state.database, state.shelf, state.limits.reindex_s, judge.records_beyond)
    catalog = Catalog(state.database, scan)
    glance = ChainGlance(state)
    basis = Basis(state.database, catalog, glance, state.trust, ENGLISH)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            await run_in_threadpool(scan.refresh, True)
        except UnavailableError as error:
            # Verdicts by digest need no database; /healthz names what is missing.
            log.warning("evidence is not indexed: %s", error)
        yield
        glance.close()
        await run_in_threadpool(judge.close)

    app = FastAPI(
        title="Model provenance",
        summary="Verdicts on fine-tuned models, from each training record to the deployed file.",
        version="1",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    send, tokens = _sender(pages), Tokens(state.database)
    several = tokens if state.visitor is None else None
    app.add_middleware(TenantGate, tokens=several, refuse=lambda r, e: send(r, _logged(r, e)))
    app.add_middleware(SecurityHeaders)
    _add_problems(app, send)
    app.include_router(verify_routes(Resolver(catalog, judge, state.limits.id_chars), pages))
    app.include_router(run_routes(basis, ExplorerPages(pages)))
    app.include_router(explorer_routes(basis, ExplorerPages(pages)))
    app.include_router(chain_routes(basis, ChainPages(pages)))
    app.include_router(push_routes(_inbox(state, glance), tokens, scan, state.served))
    app.include_router(service_routes(state, catalog))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    return app


def _inbox(state: AppState, glance: ChainGlance) -> Inbox | None:
    def registered(run_id: RunId) -> RunFacts | None:
        seen = glance.run(run_id)
        if seen.block is None:
            raise UnavailableError(f"the chain is not asked: {seen.problem}", hint="try again")
        return None if seen.value is None else seen.value.run

    if state.inbox is None:
        return None
    return Inbox(state.inbox, registered, state.limits.inbox_bytes)


def _sender(pages: Pages) -> Sender:
    def send(request: Request, problem: Problem) -> Response:
        headers = {"Vary": "Accept"}
        wanted = request.query_params.get("format")
        if wanted == "html" or (wanted != "json" and prefers_html(request.headers.get("accept"))):
            given = (request.query_params.get(name) for name in ("id", "q"))
            query = next(filter(None, given), None) or request.path_params.get("model_id", "")
            return HTMLResponse(pages.problem(problem, query), problem.status, headers)
        return JSONResponse(problem.to_json(), problem.status, headers, MEDIA_TYPE)

    return send


def _logged(request: Request, error: ProvenanceError) -> Problem:
    problem = problem_of(error)
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s %s: %s", request.method, quoted(request.url.path, 200), error)
    return problem


def _add_problems(app: FastAPI, send: Sender) -> None:
    @app.exception_handler(ProvenanceError)
    async def on_error(request: Request, error: ProvenanceError) -> Response:
        response = send(request, _logged(request, error))
        if isinstance(error, BadToken):
            response.headers["WWW-Authenticate"] = CHALLENGE
        return response

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return send(request, http_problem(HTTPStatus.BAD_REQUEST, f"{where}: {first['msg']}"))

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        response = send(request, http_problem(error.status_code, str(error.detail)))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def on_bug(request: Request, error: Exception) -> Response:
        # This answer passes no middleware, so the security headers are set here.
        response = send(
            request,
            http_problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the service failed; its log says why"),
        )
        response.headers.update(HEADERS)
        return response
