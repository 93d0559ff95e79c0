"""Step 7: nothing that the release descends from was revoked."""

from __future__ import annotations

from collections.abc import Sequence, Set

from provenance.errors import UnavailableError, VerificationError
from provenance.ids import Address, to_hex
from provenance.judgement.facts import ClaimFacts, Revocation, RunFacts, SignerRevocation
from provenance.judgement.trust import Trust
from provenance.log.history import History
from provenance.log.record import Record
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
    own = {placed.index for placed in (lineage.merge, lineage.quantize, lineage.release)}
    check_records(case, chain, log.run, log.records, own | training_of(lineage.history))
    check_dataset(case, chain, log.run)
    return check_key(case, chain, log.claim)


def check_records(
    case: Case, chain: Chain, run: RunFacts, records: Sequence[Record], way: Set[int]
) -> None:
    """None of the records of a run with these indices was revoked.

    Registries of earlier releases cannot list what was revoked: there each record is asked for.

    Raises:
        Stopped: one was; the first is named.
        UnavailableError: the endpoint contradicts itself.
    """
    listed = chain.snapshot.revoked_entries(run.run_id)
    for index in sorted(way if listed is None else way & set(listed)):
        check_not_revoked(case, chain, run, index, records[index].type)
        if listed is not None:
            raise UnavailableError(
                "the endpoint lists a record as revoked, and as not revoked",
                where=f"run {to_hex(run.run_id)} record {index}",
                hint="ask another endpoint",
            )


def training_of(history: History) -> set[int]:
    """Indices of the records that all of a run's models descend from: opening, seed, what was fed,
    live checkpoints, resumes.
    """
    way = [*history.checkpoints, *history.resumes, *history.batches]
    way += [history.seed] if history.seed else []
    for epoch in history.epochs:
        way += [placed for placed in (epoch.end, epoch.proven) if placed is not None]
    return {0, *(placed.index for placed in way)}


def check_dataset(case: Case, chain: Chain, run: RunFacts) -> None:
    """The dataset of a run was not revoked by its owner, its registrant or a trusted publisher.

    Other publishers count in blocks in which they are publishers, and before their key was revoked:
    else former ones, and thieves, could revoke what others made.

    Raises:
        Stopped: it was.
    """
    trust, snapshot, dataset_id = case.verifier.trust, chain.snapshot, run.dataset_id
    dataset = snapshot.dataset(dataset_id)
    own = {run.owner} if dataset is None else {run.owner, dataset.owner}
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
