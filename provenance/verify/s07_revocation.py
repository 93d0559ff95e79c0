"""Step 7: nothing that the release descends from was revoked."""

from __future__ import annotations

from collections.abc import Sequence

from provenance.errors import VerificationError
from provenance.ids import to_hex
from provenance.verify.case import Case
from provenance.verify.s02_chain import Chain
from provenance.verify.s03_release import check_not_revoked
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
    check_own_revocations(case, chain, log, lineage)
    if elsewhere:
        with case.report.guarded("not.revoked"):
            raise elsewhere[0]
    case.report.holds(
        "not.revoked",
        f"nothing on the way to record {lineage.release.index} is revoked "
        f"at block {chain.snapshot.block.number}",
    )


def check_own_revocations(case: Case, chain: Chain, log: Log, lineage: Lineage) -> None:
    """Neither a record that the release descends from nor the dataset was revoked.

    Batches stand and fall with the epochs that they are part of, and are not asked for one by one.

    Raises:
        Stopped: one was, as of the final block.
    """
    for index in _ancestors(lineage):
        check_not_revoked(case, chain, log.claim, index, log.records[index].type)
    _check_dataset(case, chain, log)


def _ancestors(lineage: Lineage) -> list[int]:
    """Indices of the records that the release descends from, but for its batches."""
    history = lineage.history
    way = [lineage.merge, lineage.quantize, lineage.release, *history.checkpoints, *history.resumes]
    way += [history.seed] if history.seed else []
    for epoch in history.epochs:
        way += [placed for placed in (epoch.end, epoch.proven) if placed is not None]
    return sorted({0, *(placed.index for placed in way)})


def _check_dataset(case: Case, chain: Chain, log: Log) -> None:
    """The dataset was not revoked by the run's owner, its registrant or a trusted publisher."""
    snapshot, dataset_id = chain.snapshot, log.run.dataset_id
    dataset = snapshot.dataset(dataset_id)
    owners = {log.run.owner, *(p.address for p in case.verifier.trust.publishers)}
    if dataset is not None:
        owners.add(dataset.owner)
    for owner in sorted(owners):
        revoked = snapshot.dataset_revocation(dataset_id, owner)
        if revoked is None:
            continue
        with case.report.guarded("not.revoked"):
            raise VerificationError(
                f"the dataset was revoked in block {revoked.block_number}: {revoked.reason}",
                where=to_hex(dataset_id),
            )
