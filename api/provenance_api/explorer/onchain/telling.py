"""Calls and events in plain words, with links to what they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from provenance.chain.lookup.decoded import Decoded, Field
from provenance.digest import Digest
from provenance.errors import UnavailableError
from provenance.ids import HEX_PREFIX, NO_ADDRESS, Address, RunId, bare_digits, from_hex
from provenance.judgement.trust import Trust
from provenance.text.shown import shortened
from provenance_api.db import OpeningRow, RunRow
from provenance_api.explorer.basis import Basis
from provenance_api.explorer.glance import Seen
from provenance_api.explorer.models import Answered
from provenance_api.explorer.onchain.models import Party, Told, Value

SHOWN_CHARS = 14
"""Of a long id inside a sentence."""
_KEYS = frozenset({"vkId", "epochKey", "treeKey"})


@dataclass(frozen=True)
class Known:
    """What may be linked: contracts by address, and runs here that whoever asks may see."""

    contracts: Mapping[Address, str]
    runs: frozenset[str]
    keys: frozenset[str]


def known(basis: Basis, session: Session, told: Iterable[Decoded | None]) -> Known:
    """What of these calls and events may be linked. Asks the database once."""
    named = {f.value for each in told if each for f in each.fields if f.name == "runId" and f.value}
    ids = [from_hex(run_id) for run_id in named]
    found = session.scalars(select(RunRow.run_id).where(RunRow.run_id.in_(ids)))
    runs = frozenset(str(RunId(run_id)) for run_id in found)
    contracts = {address: name for name, address in basis.trust.addresses.items()}
    return Known(contracts, runs, frozenset(key.vk_id for key in basis.trust.keys))


def contract_at(trust: Trust, address: str | None) -> str | None:
    """The pinned contract at an address."""
    return next((name for name, at in trust.addresses.items() if at == address), None)


def told(basis: Basis, contract: str, what: Decoded | None, kind: str, links: Known) -> Told:
    """A call or an event, for people.

    Args:
        kind: `call` or `event`.
    """
    address = basis.trust.addresses[contract]
    if what is None:
        empty: list[Value] = []
        return Told(
            contract=contract, address=address, name=None, says=None, values=empty, whole=False
        )
    return Told(
        contract=contract,
        address=address,
        name=what.name,
        says=_says(basis, f"call.{what.name}" if kind == "call" else f"event.{what.name}", what),
        values=[_value(field, what, links) for field in what.fields],
        whole=what.whole,
    )


def _says(basis: Basis, key: str, what: Decoded) -> str | None:
    if not what.whole or key not in basis.texts.sentences:
        return None  # views have no words: a call of one changes nothing
    values = {f.name: _short(f) for f in what.fields if "." not in f.name}
    return basis.texts.plain(key, **values)


def _short(field: Field) -> str:
    if field.value is None:
        return "?" if field.count is None else str(field.count)
    if field.type == "string":
        return f"'{shortened(field.value, 120)}'"
    value = field.value
    return value if len(value) <= 40 else f"{value[:SHOWN_CHARS]}.."


def _value(field: Field, what: Decoded, links: Known) -> Value:
    href = None if field.value is None else _href(field.name, field.type, field.value, links)
    if field.name == "index" and href is None:
        run = next((f.value for f in what.fields if f.name == "runId"), None)
        href = f"/runs/{run}/records/{field.value}" if run in links.runs else None
    return Value(name=field.name, type=field.type, value=field.value, count=field.count, href=href)


def _href(name: str, kind: str, value: str, links: Known) -> str | None:
    if kind == "address":
        return None if value == NO_ADDRESS else f"/address/{value}"
    if kind != "bytes32" or not any(from_hex(value)):
        return None
    places = {
        "runId": f"/runs/{value}" if value in links.runs else None,
        "datasetId": f"/datasets/{value}",
        "modelDigest": f"/verify/{Digest(from_hex(value))}",
        "blockHash": f"/block/{value}",
    }
    keys = {name: f"/keys/{value}" for name in _KEYS if value in links.keys}
    return (places | keys).get(name)


def party(trust: Trust, session: Session, address: str) -> Party:
    """An account, by what trust file and index call it. Asks the database once."""
    count = select(func.count()).select_from(OpeningRow).where(OpeningRow.signer == address)
    publisher = next((p.name for p in trust.publishers if p.address == address), None)
    named = trust.auditors.named if trust.auditors else ()
    auditor = next((a.name for a in named if a.address == address), None)
    return Party(
        address=address,
        name=publisher or auditor,
        role="publisher" if publisher else "auditor" if auditor else None,
        runs_here=session.scalar(count) or 0,
    )


def answered(seen: Seen[Any]) -> Answered:
    """Whether the chain answered."""
    final = None if seen.block is None else seen.block.number
    return Answered(final_block=final, problem=seen.problem or None)


def require_answer(seen: Seen[Any]) -> None:
    """Only the chain knows what was asked for, so without it there is nothing to show.

    Raises:
        UnavailableError: it did not answer.
    """
    if seen.block is None:
        raise UnavailableError(
            f"the chain did not answer, so nothing is known about this: {seen.problem}",
            hint="ask again in a few seconds",
        )


def parse_hash(text: str, what: str) -> bytes:
    """A hash of 32 bytes as people paste it (attacker-controlled), with `0x` or without.

    Raises:
        InputError: it is none.
    """
    return bytes(RunId.parse(HEX_PREFIX + bare_digits(text), where=what))
