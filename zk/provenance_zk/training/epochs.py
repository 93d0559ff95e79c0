"""Proving an epoch: the log's batches are the committed dataset in the seed's order.

    log head anchored -> U, P -> challenge -> chunk proofs -> anchorAndProve -> accepted
                      -> `epoch` record

U commits to the leaves as they were fed, P to the positions of the seed's order. The challenge
follows from them and from the log's (size, root) on chain, so that head covers every batch of the
epoch. The record that names the anchoring is logged afterwards. Epochs with more chunks than fit
into one transaction, and those of an owner who asks for it, are anchored first (anchorEpoch) and
then proven.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from provenance.chain.calls import EpochAtOnce, EpochPoints, EpochsAtOnce
from provenance.dataset.committed import CommittedDataset
from provenance.errors import Conflict, RejectedError, UnavailableError, VerificationError
from provenance.ids import DatasetId, RunId, to_hex
from provenance.layout import RunFolder, write_atomically
from provenance.log.history import EpochUse, History
from provenance.log.record import Record
from provenance.order import epoch_order
from provenance_zk.proof_file import ProofFile, point_ints
from provenance_zk.prover.client import Commitments
from provenance_zk.statements import challenges, chunk_count, points_hash
from provenance_zk.training.anchorings import Place, find_place
from provenance_zk.training.jobs import EpochWitness, epoch_jobs
from provenance_zk.training.ledger import blindings
from provenance_zk.training.registration import ProvingSite, d_blindings, registered_d
from provenance_zk.training.submission import BATCH, ChunkProof, submit
from provenance_zk.workers.pool import proof_pool


@dataclass(frozen=True)
class DrawnRun:
    """A run whose seed (32 bytes) was drawn on chain, and the registration that it trained on."""

    run_id: RunId
    dataset_id: DatasetId
    seed: bytes


@dataclass(frozen=True)
class EpochJob:
    """One epoch to prove.

    Attributes:
        order: a[h], shape (N,): the leaf that the seed puts at position h.
        use: what the log says was fed.
        remainder: leaves at the positions behind the last one that was fed, as `0x..`.
    """

    run_id: RunId
    dataset_id: DatasetId
    epoch: int
    order: np.ndarray
    use: EpochUse
    remainder: tuple[str, ...]

    @property
    def where(self) -> str:
        """The epoch, for people."""
        return f"epoch {self.epoch}"


def unproven_epochs(history: History) -> list[int]:
    """Epochs of which the log has batches but names no anchoring, in order."""
    return [epoch.number for epoch in history.epochs if epoch.proven is None]


def proven_epochs(history: History) -> list[int]:
    """Epochs whose anchoring the log names, in order."""
    return [epoch.number for epoch in history.epochs if epoch.proven is not None]


def make_job(history: History, dataset: CommittedDataset, run: DrawnRun, epoch: int) -> EpochJob:
    """Compare the log of an epoch with the seed's order, before anything is spent on proofs.

    Args:
        epoch: one of those that the history has.

    Raises:
        VerificationError: the log fed another record at a position; such an epoch cannot be proven.
        Conflict: the epoch has not ended.
    """
    order = epoch_order(run.seed, epoch, len(dataset))
    fed = history.epochs[epoch]
    if fed.end is None:
        raise Conflict(
            "epoch has not ended, so it cannot be proven yet",
            where=f"epoch {epoch}",
            hint="run the same `provenance train` again to resume training",
        )
    remainder = tuple(to_hex(dataset.leaf(int(i))) for i in order[fed.consumed :])
    use = fed.use(len(dataset), remainder)
    expected = dataset.leaves[order.astype(np.int64)]
    wrong = np.flatnonzero((use.leaves != expected).any(axis=1))
    if len(wrong):
        h = int(wrong[0])
        raise VerificationError(
            "log fed another record than the seed's order says",
            where=f"epoch {epoch} position {h}",
            expected=to_hex(bytes(expected[h])),
            actual=to_hex(bytes(use.leaves[h])),
        )
    return EpochJob(run.run_id, run.dataset_id, epoch, order, use, remainder)


@dataclass(frozen=True)
class PreparedEpoch:
    """An epoch whose chunks are proven, but not yet submitted; `place` is its anchoring."""

    job: EpochJob
    points: EpochPoints
    place: Place
    u_hash: bytes
    p_hash: bytes
    proofs: tuple[ChunkProof, ...]

    @property
    def at_once(self) -> EpochAtOnce:
        """What `anchorAndProve` is told."""
        items = [proof.item for proof in self.proofs]
        return EpochAtOnce(self.job.epoch, self.place.number, self.place.seed, self.points, items)


@dataclass(frozen=True)
class EpochProver:
    """Proves epochs of one dataset for one run folder."""

    dataset: CommittedDataset
    site: ProvingSite
    folder: RunFolder

    def prove(self, jobs: Sequence[EpochJob], *, batch: bool = True) -> list[Record]:
        """Anchor, prove and submit epochs; idempotent.

        Args:
            batch: anchor and prove all epochs in one transaction, if it has room for the proofs of
                all their chunks; else prove them in as few transactions as possible.

        Returns:
            The `epoch` records to log, in the order of the jobs.

        Raises:
            RejectedError: the ledger did not accept an epoch or a proof; `where` names it.
        """
        chunks = chunk_count(len(self.dataset), self.site.keys.epoch.slots)
        at_once = batch and len(jobs) * chunks <= BATCH
        prepared = [self._prepare(job, at_once) for job in jobs]
        coming = [epoch for epoch in prepared if epoch.place.head_seq is not None]
        if coming:
            self._anchor_and_prove(coming)
        self._submit([epoch for epoch in prepared if epoch.place.head_seq is None], batch)
        return [self._record(epoch) for epoch in prepared]

    def groups(self, jobs: Sequence[EpochJob]) -> list[Sequence[EpochJob]]:
        """Groups of jobs whose proofs together fill a batch.

        The caller logs the result of one group before it begins with the next.
        """
        size = max(1, BATCH // chunk_count(len(self.dataset), self.site.keys.epoch.slots))
        return [jobs[i : i + size] for i in range(0, len(jobs), size)]

    def _submit(self, epochs: Sequence[PreparedEpoch], batch: bool) -> None:
        """Submit the proofs of anchored epochs."""
        proofs = [proof for epoch in epochs for proof in epoch.proofs]
        submit(proofs, self.site.ledger, self.site.say, batch=batch)

    def _anchor_and_prove(self, epochs: Sequence[PreparedEpoch]) -> None:
        """Anchor and prove in one transaction.

        A call with a false proof is refused as a whole, and does not say which proof it is. Then
        the epochs are anchored apart, which gives them the same challenges, and proven one by one.
        """
        ledger, first = self.site.ledger, epochs[0]
        d = [proof.proof.commitments[0] for proof in first.proofs]
        head = max(epoch.place.head_seq or 0 for epoch in epochs)
        self.site.say(f"anchoring and proving {len(epochs)} epochs in one transaction")
        try:
            items = [epoch.at_once for epoch in epochs]
            call = EpochsAtOnce(first.job.run_id, first.job.dataset_id, head, d, items)
            ledger.final(ledger.anchor_and_prove(call))
        except RejectedError as error:
            if not (error.actual or "").startswith(("BatchInvalid(", "ProofInvalid(")):
                raise
            self.site.say(f"refused ({error.actual}); submitting the proofs one by one")
            for epoch in epochs:
                self._anchor_as_planned(epoch)
            self._submit(epochs, batch=False)

    def _anchor_as_planned(self, epoch: PreparedEpoch) -> None:
        """Anchor an epoch whose proofs are made; its seed must be the one that they are for."""
        place = self._anchor(epoch.job, epoch.points)
        if place.seed != epoch.place.seed:
            raise RejectedError(
                "log or anchorings of the run changed while its epochs were proven",
                where=epoch.job.where,
                expected=to_hex(epoch.place.seed),
                actual=to_hex(place.seed),
                hint="prove again",
            )

    def _prepare(self, job: EpochJob, at_once: bool) -> PreparedEpoch:
        site, key = self.site, self.site.keys.epoch
        chunks = chunk_count(len(self.dataset), key.slots)
        name = f"u:{key.vk_id.hex()}:{job.epoch}"
        secret = blindings(self.folder.secrets / "blindings.sqlite", site.salt_key, name, chunks)
        site.say(f"{job.where}: committing to {len(self.dataset)} uses")
        u = site.prover.commit_values(key.dir, "U", job.use.leaves, secret)
        p = site.prover.commit_order(key.dir, job.order)
        points = EpochPoints(
            job.dataset_id,
            job.use.consumed,
            [point_ints(x) for x in u.points],
            [point_ints(x) for x in p.points],
        )
        place = self._place(job, points)
        if place.head_seq is not None and not at_once:
            place = self._anchor(job, points)
        site.say(f"{job.where}: {chunks} proofs")
        proofs = self._prove(job, secret, challenges(place.seed))
        self._keep(job, u, proofs)
        return PreparedEpoch(
            job,
            points,
            place,
            points_hash(u.points),
            points_hash(p.points),
            tuple(
                ChunkProof(job.run_id, job.epoch, place.number, c, proof)
                for c, proof in enumerate(proofs)
            ),
        )

    def _place(self, job: EpochJob, points: EpochPoints) -> Place:
        """Where the points are anchored, perhaps by a call that was cut off, or will be."""
        ledger = self.site.ledger
        return find_place(ledger.latest(), ledger.identity, job.run_id, job.epoch, points)

    def _anchor(self, job: EpochJob, points: EpochPoints) -> Place:
        """Anchor U and P."""
        ledger = self.site.ledger
        number = ledger.anchor_epoch(job.run_id, job.epoch, points)
        facts = ledger.latest().anchoring(job.run_id, job.epoch, number)
        if facts is None:
            raise UnavailableError("chain does not show the anchoring yet", where=job.where)
        return Place(number, facts.seed, facts.log_size)

    def _prove(
        self, job: EpochJob, u_secret: Sequence[int], challenge: tuple[int, int]
    ) -> list[ProofFile]:
        site = self.site
        d_secret = d_blindings(self.dataset, site.salt_key, site.keys)
        d = registered_d(self.dataset.folder, site)
        witness = EpochWitness(self.dataset.leaves, job.order, d_secret, u_secret, d)
        queue = self.folder.secrets / "proofs.sqlite"

        def say(line: str) -> None:
            site.say(f"{job.where}: {line}")

        with proof_pool(queue, site.prover, site.executor, say) as pool:
            return pool.prove(epoch_jobs(site.keys.epoch, witness, challenge))

    def _keep(self, job: EpochJob, u: Commitments, proofs: Sequence[ProofFile]) -> None:
        """Write the proofs to the run's evidence; each must be about the anchored U."""
        for c, proof in enumerate(proofs):
            if proof.commitments[1] != point_ints(u.points[c]):
                raise RejectedError(
                    "prover used another commitment than the anchored one",
                    where=f"{job.where} chunk {c}",
                )
            write_atomically(self.folder.epoch(job.epoch) / f"proof-{c}.json", proof.to_bytes())

    def _record(self, epoch: PreparedEpoch) -> Record:
        job = epoch.job
        accepted = self.site.ledger.latest().anchoring(job.run_id, job.epoch, epoch.place.number)
        if accepted is None or not accepted.accepted:
            raise RejectedError(
                "ledger did not accept the epoch",
                where=f"{job.where} anchoring {epoch.place.number}",
            )
        return Record.make(
            "epoch",
            epoch=job.epoch,
            consumed=job.use.consumed,
            remainder=list(job.remainder),
            number=epoch.place.number,
            ledger=self.site.ledger_address,
            u_hash=to_hex(epoch.u_hash),
            p_hash=to_hex(epoch.p_hash),
            dataset_id=to_hex(job.dataset_id),
            vk_id=to_hex(self.site.keys.epoch.vk_id),
            log_size=epoch.place.log_size,
        )
