"""A transaction of the pinned contracts, as the chain tells it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from provenance.chain.lookup.decoded import Decoded, decoded_call, decoded_event
from provenance.chain.lookup.forms import Log, Outcome, Transaction
from provenance.chain.rpc import Block
from provenance.errors import NotFound
from provenance.ids import Address, to_hex
from provenance_api.explorer.basis import Basis
from provenance_api.explorer.glance import Look, Seen
from provenance_api.explorer.onchain.asking import ask_node
from provenance_api.explorer.onchain.models import BlockLine, Standing, TransactionDetail
from provenance_api.explorer.onchain.telling import (
    answered,
    contract_at,
    known,
    parse_hash,
    party,
    require_answer,
    told,
)

MOST_EVENTS = 100


class NotOurs(NotFound):
    """The chain knows it, and it has nothing to do with a contract that the trust file pins."""

    code = "not-ours"


@dataclass(frozen=True)
class TransactionSeen:
    """A transaction, what came of it, and the block that the chain has at its height now."""

    transaction: Transaction
    outcome: Outcome | None = None
    at_height: Block | None = None


def transaction_detail(basis: Basis, tx_hash: str) -> TransactionDetail:
    """A transaction. The chain is asked at most 3 things: it, its receipt, and its block.

    Args:
        tx_hash: attacker-controlled.

    Raises:
        InputError: a malformed hash.
        NotFound: the chain does not know it.
        NotOurs: the chain knows it, and it is of no pinned contract.
        UnavailableError: the chain did not answer, or the database does not.
    """
    wanted = parse_hash(tx_hash, "transaction hash")
    seen = transaction_seen(basis, wanted)
    require_answer(seen)
    if seen.value is None:
        raise NotFound(
            "the chain knows no transaction of this hash",
            actual=to_hex(wanted),
            hint="it may have been replaced, or not have reached the endpoint of this service yet",
        )
    return _detail(basis, seen.value, seen)


def transaction_seen(basis: Basis, tx_hash: bytes) -> Seen[TransactionSeen]:
    """What the chain says of a transaction, whoever's it is."""
    return basis.glance.look(("transaction", tx_hash), lambda look: _ask(look, tx_hash))


def is_ours(basis: Basis, found: TransactionSeen) -> bool:
    """Whether it is to a pinned contract, deployed one, or has an event of one."""
    created = None if found.outcome is None else found.outcome.created
    logs = () if found.outcome is None else found.outcome.logs
    touched = (found.transaction.to or created, *(log.address for log in logs))
    return any(contract_at(basis.trust, address) for address in touched)


def _ask(look: Look, tx_hash: bytes) -> TransactionSeen | None:
    transaction = look.lookup.transaction(tx_hash)
    if transaction is None:
        return None
    outcome = look.lookup.outcome(tx_hash)
    if outcome is None:
        return TransactionSeen(transaction)
    return TransactionSeen(transaction, outcome, look.lookup.header(outcome.block_number))


def _detail(basis: Basis, found: TransactionSeen, seen: Seen[TransactionSeen]) -> TransactionDetail:
    transaction, outcome = found.transaction, found.outcome
    created = None if outcome is None else outcome.created
    contract = contract_at(basis.trust, transaction.to or created)
    logs = () if outcome is None else outcome.logs
    ours = [log for log in logs if contract_at(basis.trust, log.address)]
    if not is_ours(basis, found):
        raise NotOurs(
            "this transaction is to no contract of the trust file, and has no event of one",
            actual=to_hex(transaction.hash),
            hint="ask a node or another explorer for it",
        )
    deploys = transaction.to is None
    call = decoded_call(contract, transaction.data) if contract and not deploys else None
    events = [_event(basis, log) for log in ours[:MOST_EVENTS]]
    with basis.database.session() as session:
        links = known(basis, session, [call, *(event for _, event in events)])
        sender = party(basis.trust, session, transaction.sender)
    return TransactionDetail(
        hash=to_hex(transaction.hash),
        status=_status(outcome),
        block=_block(found, seen),
        sender=sender,
        to=transaction.to or created,
        contract=contract,
        deploys=deploys,
        gas_used=None if outcome is None else outcome.gas_used,
        price_wei=_wei(outcome, 1),
        fee_wei=None if outcome is None else _wei(outcome, outcome.gas_used),
        input_bytes=len(transaction.data),
        input_digest=hashlib.sha256(transaction.data).hexdigest(),
        call=told(basis, contract, call, "call", links) if contract and not deploys else None,
        events=[told(basis, name, event, "event", links) for name, event in events],
        more_events=len(ours) > MOST_EVENTS,
        other_events=len(logs) - len(ours),
        chain=answered(seen),
        commands={
            "transaction": ask_node("eth_getTransactionByHash", [to_hex(transaction.hash)]),
            "receipt": ask_node("eth_getTransactionReceipt", [to_hex(transaction.hash)]),
        },
    )


def _event(basis: Basis, log: Log) -> tuple[str, Decoded | None]:
    name = str(contract_at(basis.trust, Address(log.address)))
    return name, decoded_event(name, log)


def _status(outcome: Outcome | None) -> Literal["succeeded", "reverted", "waiting"]:
    if outcome is None:
        return "waiting"
    return "succeeded" if outcome.ok else "reverted"


def _wei(outcome: Outcome | None, units: int) -> str | None:
    if outcome is None or outcome.price_wei is None:
        return None
    return str(outcome.price_wei * units)


def _block(found: TransactionSeen, seen: Seen[TransactionSeen]) -> BlockLine | None:
    outcome, at_height = found.outcome, found.at_height
    if outcome is None or at_height is None or seen.block is None:
        return None
    return BlockLine(
        number=outcome.block_number,
        hash=to_hex(outcome.block_hash),
        time=at_height.timestamp,
        standing=standing(
            outcome.block_number, at_height.hash == outcome.block_hash, seen.block.number
        ),
    )


def standing(number: int, is_of_chain: bool, final: int) -> Standing:
    """How a block stands, by the newest final one."""
    if not is_of_chain:
        return "replaced"
    return "final" if number <= final else "mined"
