"""What a handle names on the pinned chain or in the trust file, for the search."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from provenance.ids import Address, to_hex
from provenance_api.db import OpeningRow
from provenance_api.explorer.basis import Basis
from provenance_api.explorer.models import Hit
from provenance_api.explorer.onchain.blocks import block_seen
from provenance_api.explorer.onchain.telling import contract_at
from provenance_api.explorer.onchain.transactions import is_ours, transaction_seen

SILENT = "not the chain, which did not answer"


@dataclass(frozen=True)
class Looked:
    """Hits, and what was searched for them."""

    hits: list[Hit]
    searched: tuple[str, ...]


def key_hits(basis: Basis, digest: bytes) -> list[Hit]:
    """The key of the trust file with this id."""
    vk_id = to_hex(digest)
    return [
        Hit(kind="key", what=key.kind, href=f"/keys/{vk_id}")
        for key in basis.trust.keys
        if key.vk_id == vk_id
    ]


def hash_hits(basis: Basis, digest: bytes) -> Looked:
    """A transaction of the pinned contracts, or a block, with this hash.

    The chain is asked at most 7 things.
    """
    transaction = transaction_seen(basis, digest)
    if transaction.value is not None and is_ours(basis, transaction.value):
        hit = Hit(kind="transaction", what="", href=f"/tx/{to_hex(digest)}")
        return Looked([hit], ("transactions of the contracts",))
    block = block_seen(basis, digest)
    if transaction.block is None or block.block is None:
        return Looked([], (SILENT,))
    hits = [] if block.value is None else [_block(block.value.block.number, to_hex(digest))]
    return Looked(hits, ("transactions of the contracts", "hashes of blocks"))


def number_hits(basis: Basis, number: int) -> Looked:
    """The block of this number. The chain is asked 4 things."""
    seen = block_seen(basis, number)
    if seen.block is None:
        return Looked([], (SILENT,))
    hits = [] if seen.value is None else [_block(number, str(number))]
    return Looked(hits, ("numbers of blocks",))


def _block(number: int, name: str) -> Hit:
    return Hit(kind="block", what=str(number), href=f"/block/{name}")


def address_hits(basis: Basis, address: Address) -> list[Hit]:
    """A pinned contract, an account of the trust file, or one that signs a run here."""
    href = f"/address/{address}"
    name = contract_at(basis.trust, address)
    if name is not None:
        return [Hit(kind="contract", what=name, href=href)]
    auditors = basis.trust.auditors.named if basis.trust.auditors else ()
    named = [each.name for each in (*basis.trust.publishers, *auditors) if each.address == address]
    with basis.database.session() as session:
        query = select(OpeningRow.run_id).where(OpeningRow.signer == address).limit(1)
        signs = session.scalar(query) is not None
    if not named and not signs:
        return []
    return [Hit(kind="account", what=named[0] if named else "", href=href)]
