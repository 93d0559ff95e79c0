"""An address: one of the pinned contracts, or an account and what is known of it here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from provenance.chain.abi import checksum_address
from provenance.chain.artifact import ARTIFACTS, artifact
from provenance.chain.lookup.code_match import match_artifact
from provenance.ids import HEX_PREFIX, Address, bare_digits, to_hex
from provenance_api.db import OpeningRow, ProofRow, ReleaseRow
from provenance_api.explorer.basis import Basis, release_line
from provenance_api.explorer.glance import Look, Seen
from provenance_api.explorer.onchain.account_models import (
    AccountDetail,
    AddressDetail,
    ContractDetail,
    Member,
    Reading,
    RunProofs,
)
from provenance_api.explorer.onchain.asking import ask_node
from provenance_api.explorer.onchain.events import Event
from provenance_api.explorer.onchain.revocations import revoked
from provenance_api.explorer.onchain.telling import answered, contract_at, party

MOST_LISTED = 50


@dataclass(frozen=True)
class ContractSeen:
    """Runtime code, how it compares with the package's, and what views without arguments return."""

    match: str
    size: int
    values: dict[str, Any]


def parse_address(text: str) -> Address:
    """An address as people paste it (attacker-controlled), in either case, with `0x` or without.

    Raises:
        InputError: it is none.
    """
    return Address.parse(HEX_PREFIX + bare_digits(text), where="address")


def address_detail(basis: Basis, address: str) -> AddressDetail:
    """An address. The chain is asked at most 5 things of a contract, and 2 of an account.

    Every account has a page: that nothing is known of it is an answer. What the chain says is left
    out, and that it is, is said, if it does not answer.

    Args:
        address: attacker-controlled.

    Raises:
        InputError: a malformed address.
        UnavailableError: the database does not answer.
    """
    wanted = parse_address(address)
    name = contract_at(basis.trust, wanted)
    return _account(basis, wanted) if name is None else _contract(basis, name, wanted)


def _contract(basis: Basis, name: str, address: Address) -> AddressDetail:
    own = artifact(ARTIFACTS[name])
    views = [item["name"] for item in own["abi"] if _is_reading(item)]

    def ask(look: Look) -> ContractSeen:
        at = look.snapshot.block.hash
        code = look.lookup.code(address, at)
        values = {view: look.lookup.view(name, view, at) for view in views}
        return ContractSeen(match_artifact(own, code), len(code), values)

    seen = basis.glance.look(("contract", name), ask)
    found = seen.value
    detail = ContractDetail.model_validate(
        {
            "name": name,
            "solidity": ARTIFACTS[name],
            "pinned_code": basis.trust.contracts[name].code_hash,
            "code": None if found is None else found.match,
            "code_bytes": None if found is None else found.size,
            "sources": own["sourceDigest"],
            "members": [_member(item) for item in own["abi"] if item["type"] in _ROLES],
            "values": []
            if found is None
            else [_reading(basis, *each) for each in found.values.items()],
        }
    )
    return AddressDetail(
        address=address,
        contract=detail,
        account=None,
        chain=answered(seen),
        commands={
            "code": ask_node("eth_getCode", [address, "latest"]),
            "compile": "provenance contracts verify",
        },
    )


_ROLES = ("function", "event")


def _is_reading(item: dict[str, Any]) -> bool:
    is_view = item["type"] == "function" and item["stateMutability"] in ("view", "pure")
    return is_view and not item["inputs"] and len(item["outputs"]) == 1


def _member(item: dict[str, Any]) -> Member:
    given = ", ".join(_parameter(each) for each in item["inputs"])
    returns = ", ".join(_parameter(each) for each in item.get("outputs", []))
    is_view = item.get("stateMutability") in ("view", "pure")
    kind = "event" if item["type"] == "event" else "view" if is_view else "function"
    return Member.model_validate(
        {"kind": kind, "signature": f"{item['name']}({given})", "returns": returns or None}
    )


def _parameter(item: dict[str, Any]) -> str:
    is_struct = item["type"].startswith("tuple")
    kind = item["internalType"].removeprefix("struct ") if is_struct else item["type"]
    return " ".join(filter(None, (kind, "indexed" if item.get("indexed") else "", item["name"])))


def _reading(basis: Basis, name: str, value: Any) -> Reading:
    if isinstance(value, str) and value.startswith(HEX_PREFIX):
        at = Address(value)
        href = f"/address/{at}" if contract_at(basis.trust, at) else None
        return Reading(name=name, value=at, href=href)
    if isinstance(value, bytes):
        return Reading(name=name, value=to_hex(value), href=None)
    return Reading(name=name, value=None if value is None else str(value).lower(), href=None)


def _account(basis: Basis, address: Address) -> AddressDetail:
    def ask(look: Look) -> int:
        owner = checksum_address(address)
        found = look.lookup.view("registry", "runsOf", look.snapshot.block.hash, owner, 0, 1)
        return 0 if found is None else int(found["total"])

    seen: Seen[int] = basis.glance.look(("account", address), ask)
    with basis.database.session() as session:
        detail = _found(basis, session, address, seen.value)
    words = bare_digits(address).rjust(64, "0")
    return AddressDetail(
        address=address,
        contract=None,
        account=detail,
        chain=answered(seen),
        commands={
            "events": ask_node(
                "eth_getLogs",
                [
                    {
                        "fromBlock": hex(0),
                        "address": basis.trust.addresses["registry"],
                        "topics": [None, None, HEX_PREFIX + words],
                    }
                ],
            )
        },
    )


def _found(basis: Basis, session: Session, address: Address, opened: int | None) -> AccountDetail:
    openings = session.scalars(
        select(OpeningRow)
        .where(OpeningRow.signer == address)
        .order_by(OpeningRow.time.desc(), OpeningRow.run_id)
        .limit(MOST_LISTED + 1)
    ).all()
    ids = [bytes(row.run_id) for row in openings[:MOST_LISTED]]
    names = {to_hex(run_id) for run_id in ids}
    releases = session.scalars(
        select(ReleaseRow)
        .where(ReleaseRow.run_id.in_(ids))
        .order_by(ReleaseRow.time.desc(), ReleaseRow.run_id, ReleaseRow.index)
        .limit(MOST_LISTED + 1)
    ).all()
    proofs = session.execute(
        select(ProofRow.run_id, func.count())
        .where(ProofRow.run_id.in_(ids))
        .group_by(ProofRow.run_id)
        .order_by(ProofRow.run_id)
    )

    def its_own(event: Event) -> bool:
        people = {event.of("signer"), event.of("by"), event.of("owner")}
        return address in people or event.of("runId") in names

    return AccountDetail(
        party=party(basis.trust, session, address),
        opened=opened,
        runs=basis.run_lines(session, ids),
        datasets=sorted({to_hex(o.dataset_id) for o in openings if o.dataset_id is not None}),
        releases=[release_line(row) for row in releases[:MOST_LISTED]],
        proofs=[RunProofs(run_id=to_hex(run_id), proofs=n) for run_id, n in proofs],
        more=max(len(openings), len(releases)) > MOST_LISTED,
        revoked=revoked(basis, session, its_own),
    )
