"""Routes about the service itself: health, version, and the operator's trust file."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from provenance.text.program import DISTRIBUTION, release
from provenance_api.catalog import Catalog
from provenance_api.db import acting_for
from provenance_api.evidence import Redaction
from provenance_api.health import Probes
from provenance_api.schemas import Health, Part, Version
from provenance_api.state import AppState


def service_routes(state: AppState, catalog: Catalog) -> APIRouter:
    """`/healthz`, `/version` and the operator's trust file."""
    router = APIRouter(tags=["service"])
    redaction = Redaction(state.shelf.roots)

    def chain() -> Part:
        return Part(status="ok", detail=f"final block {state.reader().final().block.number}")

    def database() -> Part:
        with acting_for(state.visitor):
            return Part(status="ok", detail=f"{catalog.count_runs()} runs")

    def prover() -> Part:
        state.prover()
        return Part(status="ok", detail="found")

    def evidence() -> Part:
        problems = catalog.scan.problems
        if problems and state.visitor is None:
            return Part(status="problems", detail="some folders are not indexed; the log says why")
        details = "; ".join(redaction.text(str(p)) for p in problems)
        return Part(status="problems", detail=details) if problems else Part(status="ok")

    checks = {"chain": chain, "database": database, "prover": prover, "evidence": evidence}
    probes = Probes(checks)

    @router.get(
        "/healthz",
        operation_id="getHealth",
        summary="Say which parts are out of reach",
    )
    def get_health() -> Health:
        parts = probes.parts()
        degraded = any(p.status != "ok" for p in parts.values())
        return Health(status="degraded" if degraded else "ok", **parts)

    @router.get("/version", operation_id="getVersion", summary="Version of the service")
    def get_version() -> Version:
        return Version(name=DISTRIBUTION, version=release(), verdict_format="provenance-verdict/2")

    @router.get(
        "/.well-known/provenance-trust.yaml",
        operation_id="getTrustFile",
        summary="The operator's trust file. Compare it with your own; never use it unread",
        response_class=Response,
        responses={200: {"content": {"application/yaml": {}}}},
    )
    def get_trust_file() -> Response:
        return Response(state.trust_bytes, media_type="application/yaml")

    return router
