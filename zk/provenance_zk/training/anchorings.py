"""Where an epoch's points are anchored, or will be.

The challenges of an epoch follow from its points and from what the chain says of run and dataset
(docs/formats/proofs.md, "Challenge preimages"). So they are known before the epoch is anchored, and
it can be anchored and proven in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from provenance.chain.calls import EpochPoints
from provenance.errors import UnavailableError
from provenance.ids import RunId, from_hex
from provenance.judgement.facts import ChainIdentity, ChainSnapshot
from provenance_zk.proof_file import point_bytes
from provenance_zk.statements import EpochAnchor, points_hash


@dataclass(frozen=True)
class Place:
    """An anchoring of an epoch.

    Attributes:
        number: of the anchoring.
        seed: its challenges follow from it, 32 bytes.
        log_size: entries of the log's head.
        head_seq: number of that head, if the epoch is yet to be anchored; None if it is.
    """

    number: int
    seed: bytes
    log_size: int
    head_seq: int | None = None


def find_place(
    snapshot: ChainSnapshot,
    identity: ChainIdentity,
    run_id: RunId,
    epoch: int,
    points: EpochPoints,
) -> Place:
    """The anchoring that has these very points, else the one that the next transaction can make.

    Raises:
        UnavailableError: the chain does not know the run or the dataset.
    """
    run, dataset = snapshot.run(run_id), snapshot.dataset(points.dataset_id)
    if run is None or dataset is None:
        raise UnavailableError("chain does not know run and dataset", where=str(run_id))
    count = snapshot.anchoring_count(run_id, epoch)
    coming = EpochAnchor(
        chain_id=identity.chain_id,
        ledger=from_hex(identity.contracts["ledger"].address, 20),
        registry=from_hex(identity.contracts["registry"].address, 20),
        epoch_key=dataset.epoch_key,
        dataset_id=points.dataset_id,
        run_id=run_id,
        run_seed=run.seed,
        epoch=epoch,
        number=count,
        count=dataset.count,
        consumed=points.consumed,
        slots=dataset.slots,
        log_size=run.size,
        log_root=run.root,
        d_hash=dataset.d_hash,
        u_hash=points_hash(map(point_bytes, points.u)),
        p_hash=points_hash(map(point_bytes, points.p)),
    )
    for number in range(count):
        facts = snapshot.anchoring(run_id, epoch, number)
        if facts is None:
            continue
        made = replace(coming, number=number, log_size=facts.log_size, log_root=facts.log_root)
        if facts.seed == made.seed:
            return Place(number, facts.seed, facts.log_size)
    return Place(count, coming.seed, run.size, run.seq)
