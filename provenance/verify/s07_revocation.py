"""Step 7: nothing that the release descends from was revoked."""

from __future__ import annotations

from collections.abc import Sequence

from provenance.errors import UnavailableError, VerificationError
from provenance.ids import Address, to_hex
from provenance.judgement.facts import ClaimFacts, Revocation, SignerRevocation
from provenance.judgement.trust import Trust
from provenance.verify.case import Case
from provenance.verify.s02_chain import Chain
from provenance.verify.s03_release import check_key, check_not_revoked, reason_of
from provenance.verify.s04_log import Log
from provenance.verify.s06_lineage import Lineage


def check_revocations(
    case: Case,
    chain: Chain,
    log: Log,
    lineage: Lineage,
    elsewhere: Sequence[VerificationError],
) -> None:
    """Nothing that the release descends from was revoked, in this run or in those before it.

    elsewhere: what was revoked of the runs that made the base.

    Raises:
        Stopped: something was, as of the final block.
    """
    key = check_own_revocations(case, chain, log, lineage)
    if elsewhere:
        with case.notes.guarded("not.revoked"):
            raise elsewhere[0]
    later = "" if key is None else f"; {_said_of_key(log.claim, key)}"
    case.notes.holds(
        "not.revoked",
        f"nothing on the way to record {lineage.release.index} is revoked "
        f"at block {chain.snapshot.block.number}{later}",
    )


def _said_of_key(claim: ClaimFacts, key: SignerRevocation) -> str:
    since = (
        "" if key.from_block >= key.block_number else f" as compromised from {key.from_block} on"
    )
    return (
        f"released in block {claim.block_number}, before the key of {claim.owner} was revoked in "
        f"block {key.block_number}{since}: {reason_of(key)}"
    )


def check_own_revocations(
    case: Case, chain: Chain, log: Log, lineage: Lineage
) -> SignerRevocation | None:
    """Neither a record that the release descends from nor the dataset was revoked.

    Nor was the owner's key, for what it anchored in the block of the release.

    Returns:
        A revocation of that key for what it anchored later, None if there is none.

    Raises:
        Stopped: one was, as of the final block.
    """
    _check_records(case, chain, log, lineage)
    _check_dataset(case, chain, log)
    return check_key(case, chain, log.claim)


def _check_records(case: Case, chain: Chain, log: Log, lineage: Lineage) -> None:
    """No record on the way was revoked, batches included.

    Registries of earlier releases cannot list what was revoked: there each record is asked for.
    """
    way, listed = _on_the_way(lineage), chain.snapshot.revoked_entries(log.run.run_id)
    for index in sorted(way if listed is None else way & set(listed)):
        check_not_revoked(case, chain, log.claim, index, log.records[index].type)
        if listed is not None:
            raise UnavailableError(
                "the endpoint lists a record as revoked, and as not revoked",
                where=f"run {to_hex(log.run.run_id)} record {index}",
                hint="ask another endpoint",
            )


def _on_the_way(lineage: Lineage) -> set[int]:
    """Indices of the records that the release descends from, its live batches among them."""
    history = lineage.history
    way = [lineage.merge, lineage.quantize, lineage.release, *history.checkpoints, *history.resumes]
    way += [*history.batches, *([history.seed] if history.seed else [])]
    for epoch in history.epochs:
        way += [placed for placed in (epoch.end, epoch.proven) if placed is not None]
    return {0, *(placed.index for placed in way)}


def _check_dataset(case: Case, chain: Chain, log: Log) -> None:
    """The dataset was not revoked by the run's owner, its registrant or a trusted publisher.

    Other publishers count in blocks in which they are publishers, and before their key was revoked:
    else former ones, and thieves, could revoke what others made.
    """
    trust, snapshot, dataset_id = case.verifier.trust, chain.snapshot, log.run.dataset_id
    dataset = snapshot.dataset(dataset_id)
    own = {log.run.owner} if dataset is None else {log.run.owner, dataset.owner}
    for owner in sorted(own | {p.address for p in trust.publishers}):
        revoked = snapshot.dataset_revocation(dataset_id, owner)
        if revoked is None:
            continue
        if owner not in own and not _counts(chain, trust, owner, revoked):
            continue
        with case.notes.guarded("not.revoked"):
            raise VerificationError(
                f"the dataset was revoked in block {revoked.block_number}: {reason_of(revoked)}",
                where=to_hex(dataset_id),
            )


def _counts(chain: Chain, trust: Trust, owner: Address, revoked: Revocation) -> bool:
    """Whether an account was a publisher, with a key of its own, when it revoked something."""
    block = revoked.block_number
    lost = trust.key_revocations(chain.snapshot, owner, block)
    return trust.publisher(owner, block) is not None and all(
        block < each.from_block for each in lost
    )
