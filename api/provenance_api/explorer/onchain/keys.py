"""Verifying keys of the trust file: what proofs under them show, and who could forge some."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from provenance.chain.artifact import ARTIFACTS
from provenance.chain.deploy import key_id
from provenance.errors import NotFound
from provenance.ids import HEX_PREFIX, Address, KeyId, bare_digits, to_hex
from provenance.judgement.trust import Key
from provenance.statements import Kind, kind_named
from provenance.verify import LIMITS
from provenance_api.db import OpeningRow, RecordRow
from provenance_api.explorer.basis import Basis, parsed
from provenance_api.explorer.glance import Look
from provenance_api.explorer.onchain.account_models import (
    KeyDetail,
    KeyedProof,
    KeyLine,
    KeyOnChain,
    Keys,
)
from provenance_api.explorer.onchain.asking import ask_node
from provenance_api.explorer.onchain.telling import answered

MOST_RUNS, MOST_RECORDS = 100, 256
"""The newest runs here, and `epoch` records of them, that are looked at for proofs under a key."""
MOST_BYTES = 1 << 16
_CONTRACT = {solidity: name for name, solidity in ARTIFACTS.items()}


def parse_key_id(text: str) -> KeyId:
    """The id of a verifying key as people paste it (attacker-controlled).

    Raises:
        InputError: it is none.
    """
    return KeyId.parse(HEX_PREFIX + bare_digits(text), where="key id")


def key_list(basis: Basis) -> Keys:
    """The keys of the trust file. Neither chain nor database is asked."""
    return Keys(keys=[_line(key) for key in basis.trust.keys])


def key_detail(basis: Basis, vk_id: str) -> KeyDetail:
    """A key. The chain is asked 2 things: how its contract has it, and its bytes.

    Args:
        vk_id: attacker-controlled.

    Raises:
        InputError: a malformed id.
        NotFound: the trust file pins no such key.
        UnavailableError: the database does not answer.
    """
    wanted = parse_key_id(vk_id)
    key = basis.trust.key(str(wanted))
    if key is None:
        raise NotFound(
            "the trust file of this service pins no such key",
            actual=str(wanted),
            hint="proofs under it count for nothing here; /keys lists those that count",
        )
    kind = kind_named(key.kind)
    seen = basis.glance.look(("key", wanted), lambda look: _ask(look, kind, wanted))
    with basis.database.session() as session:
        proofs, more = _proofs(session, str(wanted))
    contract = _CONTRACT[kind.contract]
    at = basis.trust.addresses.get(contract)
    return KeyDetail(
        **_line(key).model_dump(),
        shows=kind.shows,
        shows_not=[*([kind.not_shown] if kind.not_shown else []), *LIMITS],
        transcript=key.transcript,
        contract=contract,
        on_chain=seen.value,
        proofs=proofs,
        more=more,
        chain=answered(seen),
        commands=_commands(seen.value, at, wanted),
    )


def _line(key: Key) -> KeyLine:
    setup = "ceremony" if key.klass == "ceremony" else "single_party"
    return KeyLine.model_validate({"vk_id": key.vk_id, "kind": key.kind, "setup": setup})


def _ask(look: Look, kind: Kind, vk_id: KeyId) -> KeyOnChain | None:
    contract = _CONTRACT[kind.contract]
    if contract not in look.lookup.addresses:
        return None
    at = look.snapshot.block.hash
    found = look.lookup.view(contract, "keyOf", at, vk_id)
    if found is None or not int(found["data"], 16):
        return None
    code = look.lookup.code(Address(found["data"]), at)
    return KeyOnChain(
        contract=contract,
        data=Address(found["data"]),
        kind=found["kind"],
        slots=found["slots"],
        depth=found["depth"],
        bytes=max(0, len(code) - 1),
        matches=key_id(code[1:]) == vk_id,  # before the words stands a byte that ends every call
    )


def _proofs(session: Session, vk_id: str) -> tuple[list[KeyedProof], bool]:
    """Records under a key, and whether more runs or records are here than were looked at."""
    newest = select(OpeningRow.run_id).order_by(OpeningRow.time.desc(), OpeningRow.run_id)
    runs = session.scalars(newest.limit(MOST_RUNS + 1)).all()
    query = (
        select(RecordRow.run_id, RecordRow.index, RecordRow.body)
        .where(RecordRow.run_id.in_(runs[:MOST_RUNS]), RecordRow.type == "epoch")
        .where(func.length(RecordRow.body) <= MOST_BYTES)
        .order_by(RecordRow.run_id, RecordRow.index.desc())
        .limit(MOST_RECORDS + 1)
    )
    rows = session.execute(query).all()
    read = [(to_hex(r), index, parsed(body, index).fields) for r, index, body in rows]
    found = [
        KeyedProof(run_id=run, index=index, epoch=fields["epoch"], number=fields.get("number"))
        for run, index, fields in read[:MOST_RECORDS]
        if fields.get("vk_id") == vk_id
    ]
    return found, len(runs) > MOST_RUNS or len(rows) > MOST_RECORDS


def _commands(found: KeyOnChain | None, at: Address | None, vk_id: KeyId) -> dict[str, str]:
    if found is None or at is None:
        return {}
    return {"code": ask_node("eth_getCode", [found.data, "latest"])}
