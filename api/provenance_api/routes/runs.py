"""`/runs/..` and `/records/..`: runs, and what their journals and folders hold."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Path, Query, Request
from fastapi.responses import Response

from provenance_api.explorer.basis import Basis
from provenance_api.explorer.heads import head_page
from provenance_api.explorer.models import (
    Heads,
    ProofDetail,
    Proofs,
    RecordDetail,
    Records,
    Runs,
)
from provenance_api.explorer.onchain.revocations import run_page as with_chain
from provenance_api.explorer.onchain.revoked_models import RunPage
from provenance_api.explorer.proofs import proof_detail, proof_page
from provenance_api.explorer.records import raw_record, record_detail, record_page
from provenance_api.explorer.runs import run_detail, run_page
from provenance_api.routes.answers import (
    FOREVER,
    Format,
    Number,
    Rows,
    RunIdText,
    problems,
    reply,
    responses,
    service_url,
    tagged,
)
from provenance_api.web.explorer import ExplorerPages

TypeText = Annotated[str | None, Query(alias="type", description="A type of records.")]
DigestText = Annotated[str, Path(description="sha256:.. of a record", max_length=80)]


def run_routes(basis: Basis, pages: ExplorerPages) -> APIRouter:
    """Runs, one run, its records, one record, and the bytes of a record by its digest."""
    router = APIRouter(tags=["explorer"])

    @router.get(
        "/runs",
        operation_id="listRuns",
        summary="Runs in the evidence folders of this service",
        responses=responses(Runs, "A page of runs."),
    )
    def list_runs(
        request: Request,
        background: BackgroundTasks,
        rows: Rows,
        format_: Format = None,
    ) -> Response:
        background.add_task(basis.catalog.scan.keep_up)
        value = run_page(basis, rows.after, rows.limit)
        return reply(request, format_, value, lambda: pages.runs(value))

    @router.get(
        "/runs/{run_id}",
        operation_id="getRun",
        summary="A run, as its records tell it",
        responses=responses(RunPage, "The run."),
    )
    def get_run(
        request: Request, background: BackgroundTasks, run_id: RunIdText, format_: Format = None
    ) -> Response:
        background.add_task(basis.catalog.scan.keep_up)
        value = with_chain(basis, run_detail(basis, run_id))
        return reply(request, format_, value, lambda: pages.run(value))

    @router.get(
        "/runs/{run_id}/records",
        operation_id="listRecords",
        summary="Records of a run, in their order",
        responses=responses(Records, "A page of records."),
    )
    def list_records(
        request: Request,
        run_id: RunIdText,
        rows: Rows,
        type_: TypeText = None,
        format_: Format = None,
    ) -> Response:
        value = record_page(basis, run_id, type_ or None, rows.after, rows.limit)
        return reply(request, format_, value, lambda: pages.records(value))

    @router.get(
        "/runs/{run_id}/records/{index}",
        operation_id="getRecord",
        summary="A record, and its path to the root of a head",
        responses=responses(RecordDetail, "The record."),
    )
    def get_record(
        request: Request, run_id: RunIdText, index: Number, format_: Format = None
    ) -> Response:
        value = record_detail(basis, run_id, index, service_url(request))
        return reply(request, format_, value, lambda: pages.record(value))

    @router.get(
        "/records/{digest}",
        operation_id="getRecordBytes",
        summary="The bytes of a record, as they are hashed",
        response_class=Response,
        responses=problems()
        | {200: {"content": {"application/json": {}}, "description": "The record."}},
    )
    def get_record_bytes(request: Request, digest: DigestText) -> Response:
        body = raw_record(basis, digest)
        return tagged(request, body, "application/json", {"Cache-Control": FOREVER})

    _add_heads_and_proofs(router, basis, pages)
    return router


def _add_heads_and_proofs(router: APIRouter, basis: Basis, pages: ExplorerPages) -> None:
    @router.get(
        "/runs/{run_id}/heads",
        operation_id="listHeads",
        summary="Signed heads of a run, compared with its records",
        responses=responses(Heads, "A page of heads."),
    )
    def list_heads(
        request: Request, run_id: RunIdText, rows: Rows, format_: Format = None
    ) -> Response:
        value = head_page(basis, run_id, rows.after, rows.limit)
        return reply(request, format_, value, lambda: pages.heads(value))

    @router.get(
        "/runs/{run_id}/proofs",
        operation_id="listProofs",
        summary="Proof files of a run",
        responses=responses(Proofs, "A page of proofs."),
    )
    def list_proofs(
        request: Request, run_id: RunIdText, rows: Rows, format_: Format = None
    ) -> Response:
        value = proof_page(basis, run_id, rows.after, rows.limit)
        return reply(request, format_, value, lambda: pages.proofs(value))

    @router.get(
        "/runs/{run_id}/proofs/{epoch}/{chunk}",
        operation_id="getProof",
        summary="A proof file: what its kind shows and what not",
        responses=responses(ProofDetail, "The proof."),
    )
    def get_proof(
        request: Request, run_id: RunIdText, epoch: Number, chunk: Number, format_: Format = None
    ) -> Response:
        value = proof_detail(basis, run_id, epoch, chunk)
        return reply(request, format_, value, lambda: pages.proof(value))
