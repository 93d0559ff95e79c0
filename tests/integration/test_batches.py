"""Epochs proven in one transaction, on a real chain with real proofs."""

from __future__ import annotations

from pathlib import Path

import pytest

from provenance.chain.calls import EpochPoints
from provenance.errors import RejectedError
from provenance.log.fold import read_history
from provenance_zk.proof_file import ProofFile
from provenance_zk.training.epochs import DrawnRun, EpochProver, make_job
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


def test_epochs_are_proven_in_one_transaction_and_not_sent_again(
    lab: Lab, data: Data, tmp_path: Path
) -> None:
    run = build_run(
        lab, data, tmp_path, Plan(model=b"batched", epochs=EPOCHS, prove=False, release=False)
    )
    session, said = lab.session(), list[str]()
    address = lab.deployment.ledger
    site = ProvingSite(SALT_KEY, lab.keys, lab.prover, session, address, said.append)
    prover = EpochProver(data.dataset, site, run.folder)
    drawn = DrawnRun(run.run_id, data.registered.dataset_id, run.seed)
    jobs = [make_job(read_history(run.records()), data.dataset, drawn, e) for e in EPOCHS]
    records = prover.prove(jobs)
    assert [record.fields["epoch"] for record in records] == list(EPOCHS)
    # type: ignore[union-attr]
    assert all(session.latest().anchoring(run.run_id, e, 0).accepted for e in EPOCHS)
    assert sum("in one transaction" in line for line in said) == 1
    nonce = session.rpc.mined_nonce(session.account.address)
    assert [record.fields for record in prover.prove(jobs)] == [record.fields for record in records]
    assert session.rpc.mined_nonce(session.account.address) == nonce


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
