"""`/tx`, `/block`, `/address`, `/keys` and `/revocations`: what the pinned chain says."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from provenance_api.explorer.basis import Basis
from provenance_api.explorer.onchain.account_models import AddressDetail, KeyDetail, Keys
from provenance_api.explorer.onchain.addresses import address_detail
from provenance_api.explorer.onchain.blocks import block_detail
from provenance_api.explorer.onchain.keys import key_detail, key_list
from provenance_api.explorer.onchain.models import BlockDetail, TransactionDetail
from provenance_api.explorer.onchain.revocations import revocations
from provenance_api.explorer.onchain.revoked_models import Revocations
from provenance_api.explorer.onchain.transactions import transaction_detail
from provenance_api.routes.answers import Format, reply, responses
from provenance_api.web.onchain import ChainPages

HashText = Annotated[str, Path(description="0x and 64 hex digits", max_length=80)]
BlockText = Annotated[str, Path(description="A number, or 0x and 64 hex digits", max_length=80)]
AddressText = Annotated[str, Path(description="0x and 40 hex digits", max_length=80)]


def chain_routes(basis: Basis, pages: ChainPages) -> APIRouter:
    """Transactions, blocks and addresses of the pinned contracts, keys, and revocations."""
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

    @router.get(
        "/address/{address}",
        operation_id="getAddress",
        summary="A contract of the trust file, or an account and what it did",
        responses=responses(AddressDetail, "The address."),
    )
    def get_address(request: Request, address: AddressText, format_: Format = None) -> Response:
        value = address_detail(basis, address)
        return reply(request, format_, value, lambda: pages.address(value))

    _add_keys_and_revocations(router, basis, pages)
    return router


def _add_keys_and_revocations(router: APIRouter, basis: Basis, pages: ChainPages) -> None:
    @router.get(
        "/keys",
        operation_id="listKeys",
        summary="Verifying keys of the trust file",
        responses=responses(Keys, "The keys."),
    )
    def list_keys(request: Request, format_: Format = None) -> Response:
        value = key_list(basis)
        return reply(request, format_, value, lambda: pages.keys(value))

    @router.get(
        "/keys/{vk_id}",
        operation_id="getKey",
        summary="A verifying key: what its proofs show, its set-up and shape",
        responses=responses(KeyDetail, "The key."),
    )
    def get_key(request: Request, vk_id: HashText, format_: Format = None) -> Response:
        value = key_detail(basis, vk_id)
        return reply(request, format_, value, lambda: pages.key(value))

    @router.get(
        "/revocations",
        operation_id="listRevocations",
        summary="What was revoked on chain: records, datasets, keys",
        responses=responses(Revocations, "The revocations."),
    )
    def list_revocations(request: Request, format_: Format = None) -> Response:
        value = revocations(basis)
        return reply(request, format_, value, lambda: pages.revocations(value))
