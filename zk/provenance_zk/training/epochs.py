"""Proving an epoch: the log's batches are the committed dataset in the seed's order.

    log head anchored  ->  anchorEpoch (U, P)  ->  challenge  ->  chunk proofs  ->  accepted  ->
    `epoch` record

The anchoring reads the log's (size, root) on chain, so every batch is under it; the record that
names the anchoring comes after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from provenance.chain.calls import EpochPoints
from provenance.dataset.committed import CommittedDataset
from provenance.errors import RejectedError, UnavailableError, VerificationError
from provenance.ids import DatasetId, RunId
from provenance.layout import RunFolder, write_atomically
from provenance.log.record import Record
from provenance.order import epoch_order
from provenance.verify.s05_history import EpochUse, epoch_use, live_batches
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.keys import KeyFolder
from provenance_zk.prover.request import (
    blindings_bytes,
    challenge_fields,
    leaf_bytes,
    order_bytes,
    used_bytes,
)
from provenance_zk.statements import challenges, chunk_count, point_ints, points_hash
from provenance_zk.training.ledger import Ledger, blindings
from provenance_zk.training.registration import Keys, d_blindings
from provenance_zk.training.submission import BATCH, ChunkProof, submit
from provenance_zk.workers.jobs import Job
from provenance_zk.workers.pool import Executor, proof_pool

Progress = Callable[[str], None]


@dataclass(frozen=True)
class EpochJob:
    """One epoch to prove: `order` is a[h], `use` what the log says was fed."""

    run_id: RunId
    dataset_id: DatasetId
    epoch: int
    order: np.ndarray
    use: EpochUse
    remainder: tuple[str, ...]


def epochs_of(records: Sequence[Record]) -> list[int]:
    """Numbers of the epochs that live batches belong to, in order."""
    return sorted({r.fields["epoch"] for _, r in live_batches(records)})


def proven_epochs(records: Sequence[Record]) -> set[int]:
    """Epochs whose last record names an anchoring."""
    last = {r.fields["epoch"]: r for r in records if r.type == "epoch"}
    return {epoch for epoch, record in last.items() if "number" in record.fields}


def make_job(
    records: Sequence[Record],
    dataset: CommittedDataset,
    run_id: RunId,
    dataset_id: DatasetId,
    seed: bytes,
    epoch: int,
) -> EpochJob:
    """What the log and the seed say about an epoch, checked against each other before anything is
    spent.

    Raises:
        VerificationError: a batch that is not where the order puts it; such an epoch cannot be
            proven.
    """
    order = epoch_order(seed, epoch, len(dataset))
    consumed = sum(
        len(r.fields["positions"]) for _, r in live_batches(records) if r.fields["epoch"] == epoch
    )
    remainder = tuple("0x" + bytes(dataset.leaf(int(i))).hex() for i in order[consumed:])
    use = epoch_use(records, epoch, len(dataset), remainder)
    expected = dataset.leaves[order.astype(np.int64)]
    wrong = np.flatnonzero((use.leaves != expected).any(axis=1))
    if len(wrong):
        h = int(wrong[0])
        raise VerificationError(
            "log fed another record than the seed's order says",
            where=f"epoch {epoch} position {h}",
            expected="0x" + bytes(expected[h]).hex(),
            actual="0x" + bytes(use.leaves[h]).hex(),
        )
    return EpochJob(run_id, dataset_id, epoch, order, use, remainder)


@dataclass(frozen=True)
class PreparedEpoch:
    """An epoch that is anchored and whose chunks are proven, but not submitted."""

    job: EpochJob
    number: int
    log_size: int
    u_hash: bytes
    p_hash: bytes
    proofs: tuple[ChunkProof, ...]


@dataclass(frozen=True)
class EpochProver:
    """Proves epochs of one dataset for one run folder.

    Attributes:
        executor: whose workers make the proofs; None for one that asks `prover`.
    """

    dataset: CommittedDataset
    salt_key: bytes
    keys: Keys
    prover: ZkProver
    ledger: Ledger
    folder: RunFolder
    ledger_address: str
    progress: Progress
    executor: Executor | None = None

    def prove(self, jobs: Sequence[EpochJob], *, batch: bool = True) -> list[Record]:
        """Anchor, prove, submit; returns the `epoch` records to log, in order. Idempotent.

        Args:
            batch: Submit the proofs of all epochs in as few transactions as may be.

        Raises:
            RejectedError: the ledger did not accept an epoch or a proof, which is named.
        """
        prepared = [self._prepare(job) for job in jobs]
        submit(
            [proof for epoch in prepared for proof in epoch.proofs],
            self.ledger,
            self.progress,
            batch=batch,
        )
        return [self._record(epoch) for epoch in prepared]

    def groups(self, jobs: Sequence[EpochJob]) -> list[Sequence[EpochJob]]:
        """Jobs whose proofs fill a batch together; what is done with one group is logged before the
        next begins.
        """
        size = max(1, BATCH // chunk_count(len(self.dataset), self.keys.epoch.slots))
        return [jobs[i : i + size] for i in range(0, len(jobs), size)]

    def _prepare(self, job: EpochJob) -> PreparedEpoch:
        epoch_key, where = self.keys.epoch, f"epoch {job.epoch}"
        chunks = chunk_count(len(self.dataset), epoch_key.slots)
        name = f"u:{epoch_key.vk_id.hex()}:{job.epoch}"
        u_secret = blindings(self.folder.secrets / "blindings.sqlite", self.salt_key, name, chunks)
        self.progress(f"{where}: committing to {len(self.dataset)} uses")
        u = self.prover.commit_values(epoch_key.dir, "U", job.use.leaves, u_secret)
        p = self.prover.commit_order(epoch_key.dir, job.order)
        points = EpochPoints(
            job.dataset_id,
            job.use.consumed,
            [point_ints(x) for x in u.points],
            [point_ints(x) for x in p.points],
        )
        number = self.ledger.anchor_epoch(job.run_id, job.epoch, points)
        facts = self.ledger.latest().anchoring(job.run_id, job.epoch, number)
        if facts is None:
            raise UnavailableError("chain does not show the anchoring yet", where=where)
        self.progress(f"{where}: {chunks} proofs")
        secrets = (d_blindings(self.dataset, self.salt_key, self.keys), u_secret)
        with proof_pool(
            self.folder.secrets / "proofs.sqlite",
            self.prover,
            self.executor,
            lambda line: self.progress(f"{where}: {line}"),
        ) as pool:
            proofs = pool.prove(
                epoch_jobs(
                    epoch_key, self.dataset.leaves, job.order, secrets, challenges(facts.seed)
                )
            )
        for c, proof in enumerate(proofs):
            if proof.commitments[1] != point_ints(u.points[c]):
                raise RejectedError(
                    "prover used another commitment than the anchored one",
                    where=f"{where} chunk {c}",
                )
            write_atomically(self.folder.epoch(job.epoch) / f"proof-{c}.json", proof.to_bytes())
        return PreparedEpoch(
            job,
            number,
            facts.log_size,
            points_hash(u.points),
            points_hash(p.points),
            tuple(
                ChunkProof(job.run_id, job.epoch, number, c, proof)
                for c, proof in enumerate(proofs)
            ),
        )

    def _record(self, epoch: PreparedEpoch) -> Record:
        job = epoch.job
        accepted = self.ledger.latest().anchoring(job.run_id, job.epoch, epoch.number)
        if accepted is None or not accepted.accepted:
            raise RejectedError(
                "ledger did not accept the epoch",
                where=f"epoch {job.epoch} anchoring {epoch.number}",
            )
        return Record.make(
            "epoch",
            epoch=job.epoch,
            consumed=job.use.consumed,
            remainder=list(job.remainder),
            number=epoch.number,
            ledger=self.ledger_address,
            u_hash="0x" + epoch.u_hash.hex(),
            p_hash="0x" + epoch.p_hash.hex(),
            dataset_id="0x" + job.dataset_id.hex(),
            vk_id="0x" + self.keys.epoch.vk_id.hex(),
            log_size=epoch.log_size,
        )


def prove_epoch(
    job: EpochJob,
    dataset: CommittedDataset,
    salt_key: bytes,
    keys: Keys,
    prover: ZkProver,
    ledger: Ledger,
    folder: RunFolder,
    ledger_address: str,
    progress: Progress,
    executor: Executor | None = None,
) -> Record:
    """`EpochProver.prove` for one epoch, its proofs submitted one by one."""
    return EpochProver(
        dataset, salt_key, keys, prover, ledger, folder, ledger_address, progress, executor
    ).prove([job], batch=False)[0]


def epoch_jobs(
    key: KeyFolder,
    leaves: np.ndarray,
    order: np.ndarray,
    secret: tuple[Sequence[int], Sequence[int]],
    challenge: tuple[int, int],
) -> list[Job]:
    """A job per chunk;

    `secret` are the blindings of D and of U. The challenge is that of the anchored commitments, so
    it stands for everything the statement is about.
    """
    shared = {
        "leaves": leaf_bytes(leaves),
        "used": used_bytes(leaves, order),
        "order": order_bytes(order),
        "count": len(leaves),
        "blindings": blindings_bytes(d=secret[0], u=secret[1]),
        **challenge_fields(challenge),
    }
    return [
        Job.make(
            key,
            "prove-epoch",
            {**shared, "chunk": c},
            {**challenge_fields(challenge), "count": len(leaves), "chunk": c},
        )
        for c in range(chunk_count(len(leaves), key.slots))
    ]
