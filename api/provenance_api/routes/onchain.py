"""`/tx`, `/block`, `/address`, `/keys` and `/revocations`: what the pinned chain says."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from provenance_api.explorer.basis import Basis
from provenance_api.explorer.onchain.blocks import block_detail
from provenance_api.explorer.onchain.models import BlockDetail, TransactionDetail
from provenance_api.explorer.onchain.transactions import transaction_detail
from provenance_api.routes.answers import Format, reply, responses
from provenance_api.web.onchain import ChainPages

HashText = Annotated[str, Path(description="0x and 64 hex digits", max_length=80)]
BlockText = Annotated[str, Path(description="A number, or 0x and 64 hex digits", max_length=80)]


def chain_routes(basis: Basis, pages: ChainPages) -> APIRouter:
    """Transactions and blocks of the pinned contracts."""
    router = APIRouter(tags=["explorer"])

    @router.get(
        "/tx/{tx_hash}",
        operation_id="getTransaction",
        summary="A transaction of the contracts of the trust file",
        responses=responses(TransactionDetail, "The transaction."),
    )
    def get_transaction(request: Request, tx_hash: HashText, format_: Format = None) -> Response:
        value = transaction_detail(basis, tx_hash)
        return reply(request, format_, value, lambda: pages.transaction(value))

    @router.get(
        "/block/{block}",
        operation_id="getBlock",
        summary="A block, and what concerns the contracts of the trust file in it",
        responses=responses(BlockDetail, "The block."),
    )
    def get_block(request: Request, block: BlockText, format_: Format = None) -> Response:
        value = block_detail(basis, block)
        return reply(request, format_, value, lambda: pages.block(value))

    return router
