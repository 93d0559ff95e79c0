"""Proving an epoch: the log's batches are the committed dataset in the seed's order.

    log head anchored  ->  anchorEpoch (U, P)  ->  challenge  ->  chunk proofs  ->  accepted  ->  `epoch` record

The anchoring reads the log's (size, root) on chain, so every batch is under it; the record that names the anchoring comes after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from provenance.dataset import CommittedDataset
from provenance.errors import RejectedError, UnavailableError, VerificationError
from provenance.layout import RunFolder, write_atomically
from provenance.order import epoch_order
from provenance.record import Record
from provenance.verify.lineage import EpochUse, epoch_use, live_batches
from provenance_zk.client import Commitments, ZkProver
from provenance_zk.inputs import blindings_bytes, challenge_fields, leaf_bytes, order_bytes, used_bytes
from provenance_zk.jobs import Job
from provenance_zk.keys import KeyFolder
from provenance_zk.ledger import Ledger, blindings, calldata
from provenance_zk.pool import Executor, proof_pool
from provenance_zk.registration import Keys, d_blindings
from provenance_zk.statements import ProofFile, challenges, chunk_count, point_ints, points_hash

Progress = Callable[[str], None]


@dataclass(frozen=True)
class EpochJob:
    """One epoch to prove: `order` is a[h], `use` what the log says was fed."""

    run_id: bytes
    dataset_id: bytes
    epoch: int
    order: np.ndarray
    use: EpochUse
    remainder: tuple[str, ...]


def epochs_of(records: Sequence[Record]) -> list[int]:
    return sorted({r.fields["epoch"] for _, r in live_batches(records)})


def proven_epochs(records: Sequence[Record]) -> set[int]:
    """Epochs whose last record names an anchoring."""
    last = {r.fields["epoch"]: r for r in records if r.type == "epoch"}
    return {epoch for epoch, record in last.items() if "number" in record.fields}


def make_job(records: Sequence[Record], dataset: CommittedDataset, run_id: bytes, dataset_id: bytes, seed: bytes, epoch: int) -> EpochJob:
    """What the log and the seed say about an epoch, checked against each other before anything is spent.

    Raises:
        VerificationError: a batch that is not where the order puts it; such an epoch cannot be proven.
    """
    order = epoch_order(seed, epoch, len(dataset))
    consumed = sum(len(r.fields["positions"]) for _, r in live_batches(records) if r.fields["epoch"] == epoch)
    remainder = tuple("0x" + bytes(dataset.leaf(int(i))).hex() for i in order[consumed:])
    use = epoch_use(records, epoch, len(dataset), remainder)
    expected = dataset.leaves[order.astype(np.int64)]
    wrong = np.flatnonzero((use.leaves != expected).any(axis=1))
    if len(wrong):
        h = int(wrong[0])
        raise VerificationError("log fed another record than the seed's order says", where=f"epoch {epoch} position {h}",
                                expected="0x" + bytes(expected[h]).hex(), actual="0x" + bytes(use.leaves[h]).hex())
    return EpochJob(run_id, dataset_id, epoch, order, use, remainder)


def prove_epoch(job: EpochJob, dataset: CommittedDataset, salt_key: bytes, keys: Keys, prover: ZkProver, ledger: Ledger,
                folder: RunFolder, ledger_address: str, progress: Progress, executor: Executor | None = None) -> Record:
    """Anchor, prove, submit; returns the `epoch` record to log. Idempotent.

    Args:
        executor: whose workers make the proofs; None for one that asks `prover`.

    Raises:
        RejectedError: the ledger did not accept the epoch.
    """
    chunks = chunk_count(len(dataset), keys.epoch.slots)
    u_secret = blindings(folder.secrets / "blindings.sqlite", salt_key, f"u:{keys.epoch.vk_id.hex()}:{job.epoch}", chunks)
    progress(f"epoch {job.epoch}: committing to {len(dataset)} uses")
    u = prover.commit_values(keys.epoch.dir, "U", job.use.leaves, u_secret)
    p = prover.commit_order(keys.epoch.dir, job.order)
    number = ledger.anchor_epoch(job.run_id, job.epoch, job.dataset_id, job.use.consumed,
                                 [point_ints(x) for x in u.points], [point_ints(x) for x in p.points])
    facts = ledger.latest().anchoring(job.run_id, job.epoch, number)
    if facts is None:
        raise UnavailableError("chain does not show the anchoring yet", where=f"epoch {job.epoch}")
    progress(f"epoch {job.epoch}: {chunks} proofs")
    secrets = (d_blindings(dataset, salt_key, keys), u_secret)
    with proof_pool(folder.secrets / "proofs.sqlite", prover, executor, lambda line: progress(f"epoch {job.epoch}: {line}")) as pool:
        proofs = pool.prove(epoch_jobs(keys.epoch, dataset.leaves, job.order, secrets, challenges(facts.seed)))
    _submit(job, number, proofs, u, ledger, folder.epoch(job.epoch), progress)
    accepted = ledger.latest().anchoring(job.run_id, job.epoch, number)
    if accepted is None or not accepted.accepted:
        raise RejectedError("ledger did not accept the epoch", where=f"epoch {job.epoch} anchoring {number}")
    return Record.make(
        "epoch", epoch=job.epoch, consumed=job.use.consumed, remainder=list(job.remainder), number=number, ledger=ledger_address,
        u_hash="0x" + points_hash(u.points).hex(), p_hash="0x" + points_hash(p.points).hex(), dataset_id="0x" + job.dataset_id.hex(),
        vk_id="0x" + keys.epoch.vk_id.hex(), log_size=facts.log_size,
    )


def epoch_jobs(key: KeyFolder, leaves: np.ndarray, order: np.ndarray, secret: tuple[Sequence[int], Sequence[int]],
               challenge: tuple[int, int]) -> list[Job]:
    """A job per chunk; `secret` are the blindings of D and of U. The challenge is that of the anchored commitments, so it
    stands for everything the statement is about."""
    shared = {"leaves": leaf_bytes(leaves), "used": used_bytes(leaves, order), "order": order_bytes(order), "count": len(leaves),
              "blindings": blindings_bytes(d=secret[0], u=secret[1]), **challenge_fields(challenge)}
    return [Job.make(key, "prove-epoch", {**shared, "chunk": c}, {**challenge_fields(challenge), "count": len(leaves), "chunk": c})
            for c in range(chunk_count(len(leaves), key.slots))]


def _submit(job: EpochJob, number: int, proofs: Sequence[ProofFile], u: Commitments, ledger: Ledger, folder: Path,
            progress: Progress) -> None:
    receipt = None
    for c, proof in enumerate(proofs):
        if proof.commitments[1] != point_ints(u.points[c]):
            raise RejectedError("prover used another commitment than the anchored one", where=f"chunk {c}")
        write_atomically(folder / f"proof-{c}.json", proof.to_bytes())
        progress(f"epoch {job.epoch}: submitting proof {c + 1} of {len(proofs)}")
        receipt = ledger.prove_epoch(job.run_id, job.epoch, number, c, proof.public_value("a"), proof.public_value("b"),
                                     list(proof.commitments), [proof.poks[1], proof.poks[2]], calldata(proof))
    if receipt is not None:
        ledger.final(receipt)
