"""Epochs proven in one transaction, on a real chain with real proofs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from provenance.chain.calls import EpochPoints, EpochsAtOnce
from provenance.errors import RejectedError
from provenance.log.fold import read_history
from provenance.log.record import Record
from provenance.log.records import Revoke
from provenance_zk.proof_file import ProofFile
from provenance_zk.training.epochs import DrawnRun, EpochJob, EpochProver, make_job
from provenance_zk.training.registration import ProvingSite
from provenance_zk.training.submission import ChunkProof, submit
from tests.support.chain import SALT_KEY, Lab
from tests.support.spine import Data, Plan, Run, build_run

EPOCHS = (0, 1)


def proofs_of(run: Run, number: int = 0) -> list[ChunkProof]:
    chunks = [(epoch, sorted(run.folder.epoch(epoch).glob("proof-*.json"))) for epoch in EPOCHS]
    return [
        ChunkProof(run.run_id, epoch, number, c, ProofFile.parse(path.read_bytes()))
        for epoch, paths in chunks
        for c, path in enumerate(paths)
    ]


@dataclass(frozen=True)
class Unproven:
    """A run of two epochs that nobody proved, and its owner's prover."""

    run: Run
    prover: EpochProver
    jobs: list[EpochJob]
    said: list[str]

    def accepted(self, epoch: int) -> bool:
        facts = self.run.lab.session().latest().anchoring(self.run.run_id, epoch, 0)
        return facts is not None and facts.accepted


def unproven(lab: Lab, data: Data, folder: Path, name: str) -> Unproven:
    plan = Plan(model=name.encode(), epochs=EPOCHS, prove=False, release=False)
    run, said = build_run(lab, data, folder, plan), list[str]()
    address = lab.deployment.ledger
    site = ProvingSite(SALT_KEY, lab.keys, lab.prover, lab.session(), address, said.append)
    drawn = DrawnRun(run.run_id, data.registered.dataset_id, run.seed)
    jobs = [make_job(read_history(run.records()), data.dataset, drawn, e) for e in EPOCHS]
    return Unproven(run, EpochProver(data.dataset, site, run.folder), jobs, said)


def test_epochs_are_anchored_and_proven_in_one_transaction_and_not_sent_again(
    lab: Lab, data: Data, tmp_path: Path
) -> None:
    made, session = unproven(lab, data, tmp_path, "batched"), lab.session()
    run, prover, jobs, said = made.run, made.prover, made.jobs, made.said
    before = session.rpc.mined_nonce(session.account.address)
    records = prover.prove(jobs)
    assert session.rpc.mined_nonce(session.account.address) == before + 1
    assert [record.fields["epoch"] for record in records] == list(EPOCHS)
    # type: ignore[union-attr]
    assert all(session.latest().anchoring(run.run_id, e, 0).accepted for e in EPOCHS)
    assert sum("in one transaction" in line for line in said) == 1
    nonce = session.rpc.mined_nonce(session.account.address)
    for batch in (True, False):
        again = [record.fields for record in prover.prove(jobs, batch=batch)]
        assert again == [record.fields for record in records]
    assert session.rpc.mined_nonce(session.account.address) == nonce


def test_a_false_proof_among_epochs_at_once_is_named(
    lab: Lab, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are not lost: they are anchored and accepted apart."""
    made = unproven(lab, data, tmp_path, "false at once")
    honest = EpochProver._prove

    def spoil(prover: EpochProver, job: EpochJob, *more: Any) -> list[ProofFile]:
        proofs = honest(prover, job, *more)
        return proofs if job.epoch == 0 else [replace(p, c=p.a) for p in proofs]

    monkeypatch.setattr(EpochProver, "_prove", spoil)
    with pytest.raises(RejectedError, match="ledger refuses a proof") as caught:
        made.prover.prove(made.jobs)
    assert str(caught.value.where).startswith("epoch 1 anchoring 0 chunk 0")
    assert (made.accepted(0), made.accepted(1)) == (True, False)
    monkeypatch.undo()
    assert len(made.prover.prove(made.jobs)) == len(EPOCHS)
    assert made.accepted(1)


def test_epochs_at_once_are_not_anchored_under_another_head(
    lab: Lab, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, session = unproven(lab, data, tmp_path, "moved"), lab.session()
    send = session.anchor_and_prove

    def after_a_commit(epochs: EpochsAtOnce) -> Any:
        made.run.log(Record.of(Revoke(made.run.run_id, 0, "the log grows")))
        made.run.anchor()
        return send(epochs)

    monkeypatch.setattr(session, "anchor_and_prove", after_a_commit)
    with pytest.raises(RejectedError) as caught:
        made.prover.prove(made.jobs)
    assert str(caught.value.actual).startswith("HeadMoved(")
    assert session.latest().anchoring_count(made.run.run_id, 0) == 0


def test_false_proofs_in_a_batch_are_named(lab: Lab, data: Data, tmp_path: Path) -> None:
    run = build_run(lab, data, tmp_path, Plan(model=b"one is bad", epochs=EPOCHS, release=False))
    good = proofs_of(run)
    session = lab.session()
    points = [[list(proof.proof.commitments) for proof in good if proof.epoch == e] for e in EPOCHS]
    # A second anchoring of the same points has other challenges: the old proofs are false there.
    numbers = [
        session.anchor_epoch(
            run.run_id,
            e,
            EpochPoints(
                data.registered.dataset_id,
                39,
                [p[1] for p in points[e]],
                [p[2] for p in points[e]],
            ),
        )
        for e in EPOCHS
    ]
    stale = [ChunkProof(p.run_id, p.epoch, numbers[p.epoch], p.c, p.proof) for p in good]
    said: list[str] = []
    with pytest.raises(RejectedError, match="ledger refuses a proof") as caught:
        submit(stale, session, said.append, batch=True)
    assert caught.value.where == ", ".join(proof.where for proof in stale)
    assert str(caught.value.actual).startswith("ProofInvalid(")
    assert any(f"BatchInvalid({len(stale)})" in line for line in said)
    assert not any(session.is_chunk_proved(p.run_id, p.epoch, p.number, p.c) for p in stale)
