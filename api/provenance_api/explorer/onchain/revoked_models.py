"""Shapes of revocations and attestations, and of pages with them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from provenance_api.explorer.models import Answered, DatasetDetail, RunDetail


class RevocationLine(BaseModel):
    """A revocation, as an event of the registry tells it.

    from_block: of a key, from which block on nothing that it anchors counts.
    by: who revoked, where the event says it.
    """

    kind: Literal["record", "dataset", "key"]
    run_id: str | None
    run_here: bool
    index: int | None
    dataset_id: str | None
    signer: str | None
    by: str | None
    from_block: int | None
    reason: str
    block: int
    transaction: str


class Revoked(BaseModel):
    """Revocations, the newest first; `chain` says whether the endpoint told of them."""

    revocations: list[RevocationLine]
    more: bool
    chain: Answered


class Revocations(Revoked):
    """Everything that was revoked on the pinned registry."""

    commands: dict[str, str]


class AttestationLine(BaseModel):
    """The digest of an attestation that somebody sent to the chain about a run.

    auditor: the name that the trust file gives the address; null for anybody else.
    """

    digest: str
    address: str
    auditor: str | None
    block: int
    transaction: str


class Attestations(BaseModel):
    """Attestations about a run, the newest first. deployed: whether the trust file pins a contract
    that takes them."""

    deployed: bool
    attestations: list[AttestationLine]
    more: bool
    chain: Answered


class RunPage(RunDetail):
    """A run, and what the chain says of its records."""

    revoked: Revoked
    attestations: Attestations


class DatasetPage(DatasetDetail):
    """A dataset, and who revoked it."""

    revoked: Revoked
