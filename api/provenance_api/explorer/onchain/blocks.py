"""A block, and what concerns the pinned contracts in it, as the chain tells it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from provenance.chain.artifact import ARTIFACTS, abi_of
from provenance.chain.lookup.decoded import decoded_event
from provenance.chain.lookup.forms import Listed, Log, WholeBlock
from provenance.encoding import MAX_INTEGER
from provenance.errors import InputError, NotFound
from provenance.ids import to_hex
from provenance_api.explorer.basis import Basis
from provenance_api.explorer.glance import Look, Seen
from provenance_api.explorer.onchain.asking import ask_node
from provenance_api.explorer.onchain.models import BlockDetail, EventLine, TransactionLine
from provenance_api.explorer.onchain.telling import (
    answered,
    contract_at,
    known,
    parse_hash,
    require_answer,
    told,
)
from provenance_api.explorer.onchain.transactions import standing

MOST_LISTED = 100
_MOST_DIGITS = 16


@dataclass(frozen=True)
class BlockSeen:
    """A block, of its transactions those that concern pinned contracts, and their events.

    is_of_chain: whether the chain has this block at its height.
    """

    block: WholeBlock
    ours: tuple[Listed, ...]
    logs: tuple[Log, ...]
    newest: int
    is_of_chain: bool


def parse_block(text: str) -> int | bytes:
    """A block's number, or its hash (attacker-controlled), as people paste them.

    Raises:
        InputError: it is none.
    """
    if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS:
        if int(text) <= MAX_INTEGER:
            return int(text)
        raise InputError("not a block's number", expected=f"at most {MAX_INTEGER}", actual=text)
    return parse_hash(text, "block number or hash")


def block_detail(basis: Basis, block: str) -> BlockDetail:
    """A block. The chain is asked 4 things: newest block, this one's hash, itself, its events.

    Args:
        block: number or hash, attacker-controlled.

    Raises:
        InputError: a malformed number or hash.
        NotFound: the chain does not have it.
        UnavailableError: the chain did not answer, or the database does not.
    """
    wanted = parse_block(block)
    seen = block_seen(basis, wanted)
    require_answer(seen)
    if seen.value is None:
        raise NotFound(
            "the chain has no such block",
            actual=str(wanted) if isinstance(wanted, int) else to_hex(wanted),
            hint="it may not be there yet, or not be this chain's",
        )
    return _detail(basis, seen.value, seen)


def block_seen(basis: Basis, wanted: int | bytes) -> Seen[BlockSeen]:
    """What the chain says of a block, by its number or hash."""
    return basis.glance.look(("block", wanted), lambda look: _ask(basis, look, wanted))


def _ask(basis: Basis, look: Look, wanted: int | bytes) -> BlockSeen | None:
    newest = look.lookup.newest()
    if isinstance(wanted, int):
        if wanted > newest:
            return None
        block_hash = look.lookup.header(wanted).hash
        block = look.lookup.block(block_hash)
    else:
        block = look.lookup.block(wanted)
        if block is None:
            return None
        block_hash = look.lookup.header(block.number).hash if block.number <= newest else b""
    if block is None:
        return None
    logs = tuple(look.lookup.events_in(block.hash))
    with_events = {log.tx_hash for log in logs}
    ours = tuple(
        each
        for each in block.transactions
        if each.hash in with_events or contract_at(basis.trust, each.to)
    )
    return BlockSeen(block, ours, logs, newest, block_hash == block.hash)


def _detail(basis: Basis, found: BlockSeen, seen: Seen[BlockSeen]) -> BlockDetail:
    block, logs = found.block, found.logs[:MOST_LISTED]
    events = [(str(contract_at(basis.trust, log.address)), log) for log in logs]
    read = [(name, log, decoded_event(name, log)) for name, log in events]
    with basis.database.session() as session:
        links = known(basis, session, [event for _, _, event in read])
    counts = Counter(log.tx_hash for log in found.logs)
    final = 0 if seen.block is None else seen.block.number
    return BlockDetail(
        number=block.number,
        hash=to_hex(block.hash),
        time=block.timestamp,
        standing=standing(block.number, found.is_of_chain, final),
        parent=to_hex(block.parent),
        size=len(block.transactions),
        transactions=[_line(basis, t, counts[t.hash]) for t in found.ours[:MOST_LISTED]],
        events=[
            EventLine(
                **told(basis, name, event, "event", links).model_dump(),
                transaction=to_hex(log.tx_hash),
            )
            for name, log, event in read
        ],
        more=max(len(found.ours), len(found.logs)) > MOST_LISTED,
        previous=block.number - 1 if block.number else None,
        next=block.number + 1 if block.number < found.newest else None,
        confirmations=basis.trust.confirmations,
        chain=answered(seen),
        commands={
            "block": ask_node("eth_getBlockByHash", [to_hex(block.hash), False]),
            "events": ask_node(
                "eth_getLogs",
                [
                    {
                        "blockHash": to_hex(block.hash),
                        "address": sorted(basis.trust.addresses.values()),
                    }
                ],
            ),
        },
    )


def _line(basis: Basis, listed: Listed, events: int) -> TransactionLine:
    contract = contract_at(basis.trust, listed.to)
    item = None if contract is None else abi_of(ARTIFACTS[contract]).function_of(listed.selector)
    return TransactionLine(
        hash=to_hex(listed.hash),
        sender=listed.sender,
        contract=contract,
        function=None if item is None else item["name"],
        events=events,
    )
