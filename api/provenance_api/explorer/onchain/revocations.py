"""Revocations and attestations, as events of the pinned contracts tell of them.

An endpoint can leave an event out. A verdict does not rest on these lists: it reads the registry's
state.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session

from provenance.chain.artifact import ARTIFACTS, abi_of
from provenance.ids import HEX_PREFIX, RunId, from_hex, to_hex
from provenance_api.db import RunRow
from provenance_api.explorer.basis import Basis
from provenance_api.explorer.glance import Look, Seen
from provenance_api.explorer.models import Answered, DatasetDetail, RunDetail
from provenance_api.explorer.onchain.asking import ask_node
from provenance_api.explorer.onchain.events import Event, Events, read
from provenance_api.explorer.onchain.revoked_models import (
    AttestationLine,
    Attestations,
    DatasetPage,
    RevocationLine,
    Revocations,
    Revoked,
    RunPage,
)
from provenance_api.explorer.onchain.telling import answered

MOST_LISTED = 100
KINDS = {"Revoked": "record", "DatasetRevoked": "dataset", "SignerRevoked": "key"}


def revoked_events(basis: Basis) -> Seen[Events]:
    """All revocations up to the final block. The chain is asked once, for all pages."""

    def ask(look: Look) -> Events:
        last = look.snapshot.block.number
        return read("registry", look.lookup.events("registry", list(KINDS), last))

    return basis.glance.look("revocations", ask)


def revocations(basis: Basis) -> Revocations:
    """Everything that was revoked. The chain is asked 1 thing: for the registry's events.

    Raises:
        UnavailableError: the database does not answer.
    """
    with basis.database.session() as session:
        found = revoked(basis, session, lambda _: True)
    names = [[to_hex(abi_of(ARTIFACTS["registry"]).topic(name)) for name in KINDS]]
    query = {
        "fromBlock": hex(0),
        "toBlock": "finalized" if basis.trust.confirmations is None else "latest",
        "address": basis.trust.addresses["registry"],
        "topics": names,
    }
    return Revocations(**found.model_dump(), commands={"events": ask_node("eth_getLogs", [query])})


def revoked(basis: Basis, session: Session, wanted: Callable[[Event], bool]) -> Revoked:
    """Those revocations that are `wanted`. Asks the database once."""
    seen = revoked_events(basis)
    found = [event for event in seen.value or () if wanted(event)]
    listed = found[:MOST_LISTED]
    runs = [from_hex(run) for run in {event.of("runId") for event in listed} if run]
    here = {
        to_hex(r) for r in session.scalars(select(RunRow.run_id).where(RunRow.run_id.in_(runs)))
    }
    return Revoked(
        revocations=[_line(event, here) for event in listed],
        more=len(found) > MOST_LISTED,
        chain=answered(seen),
    )


def _line(event: Event, here: set[str]) -> RevocationLine:
    return RevocationLine.model_validate(
        {
            "kind": KINDS[event.name],
            "run_id": event.of("runId"),
            "run_here": event.of("runId") in here,
            "index": event.of("index"),
            "dataset_id": event.of("datasetId"),
            "signer": event.of("signer"),
            "by": event.of("by") or event.of("owner"),
            "from_block": event.of("fromBlock"),
            "reason": event.values["reason"],
            "block": event.block,
            "transaction": event.transaction,
        }
    )


def attestations(basis: Basis, run_id: RunId) -> Attestations:
    """Attestations about a run. The chain is asked 1 thing: for the contract's events about it."""
    if "attestations" not in basis.trust.addresses:
        nothing = Answered(final_block=None)
        return Attestations(deployed=False, attestations=[], more=False, chain=nothing)

    def ask(look: Look) -> Events:
        last = look.snapshot.block.number
        return read("attestations", look.lookup.events("attestations", ["Attested"], last, run_id))

    seen = basis.glance.look(("attestations", run_id), ask)
    found = seen.value or ()
    named = basis.trust.auditors.named if basis.trust.auditors else ()
    names = {str(auditor.address): auditor.name for auditor in named}
    first = sorted(found, key=lambda event: event.values["auditor"] not in names)  # strangers last
    return Attestations(
        deployed=True,
        attestations=[
            AttestationLine(
                digest=f"sha256:{event.values['digest'].removeprefix(HEX_PREFIX)}",
                address=event.values["auditor"],
                auditor=names.get(event.values["auditor"]),
                block=event.block,
                transaction=event.transaction,
            )
            for event in first[:MOST_LISTED]
        ],
        more=len(found) > MOST_LISTED,
        chain=answered(seen),
    )


def run_page(basis: Basis, run: RunDetail) -> RunPage:
    """A run with its revocations and attestations. The chain is asked 2 things more.

    Raises:
        UnavailableError: the database does not answer.
    """
    run_id = RunId.parse(run.run_id)
    with basis.database.session() as session:
        gone = revoked(basis, session, lambda event: event.of("runId") == run.run_id)
    return RunPage(**run.model_dump(), revoked=gone, attestations=attestations(basis, run_id))


def dataset_page(basis: Basis, dataset: DatasetDetail) -> DatasetPage:
    """A dataset with its revocations. The chain is asked 1 thing more.

    Raises:
        UnavailableError: the database does not answer.
    """
    with basis.database.session() as session:
        gone = revoked(basis, session, lambda event: event.of("datasetId") == dataset.dataset_id)
    return DatasetPage(**dataset.model_dump(), revoked=gone)
