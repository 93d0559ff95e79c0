"""What a trainer may do to a run's records on a real chain: the verdict and the failing claim."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provenance.chain.calls import EpochPoints
from provenance.digest import sha256
from provenance.errors import Conflict, RejectedError, VerificationError
from provenance.judgement.verdict import Status
from provenance.log.fold import read_history
from provenance.log.record import Record
from provenance_zk.field import R
from provenance_zk.proof_file import ProofFile
from provenance_zk.training.epochs import DrawnRun, make_job
from provenance_zk.training.submission import ChunkProof
from tests.support.chain import Lab
from tests.support.spine import (
    TIME,
    Batch,
    Data,
    Plan,
    Run,
    batch_record,
    build_run,
    extra_position,
    failing,
    inject,
    omit_batch,
    reorder_batches,
    repeat,
    repeat_batch,
    swap,
    word,
)

STRANGE_WEIGHTS = str(sha256(b"weights that nobody releases"))
STRANGE = word(sha256(b"not in the dataset")[1:].rjust(32, b"\0"))

BATCH_ATTACKS = {
    "swap two records": (swap(3, 20), ["epoch.proven"]),
    "omit a record for another": (repeat(3, 20), ["epoch.proven"]),
    "inject a record": (inject(5, STRANGE), ["epoch.proven"]),
    "omit a batch": (omit_batch(2), ["history.consistent"]),
    "omit the last batch": (omit_batch(4), ["history.consistent"]),
    "reorder two batches": (reorder_batches(1, 3), ["history.consistent"]),
    "feed a batch twice": (repeat_batch(1), ["history.consistent"]),
    "feed beyond the epoch": (extra_position(40, STRANGE), ["history.consistent"]),
}


@pytest.mark.parametrize(("attack", "claims"), BATCH_ATTACKS.values(), ids=BATCH_ATTACKS.keys())
def test_a_log_that_differs_from_what_was_proven_fails(
    lab: Lab, data: Data, tmp_path: Path, attack: Any, claims: list[str]
) -> None:
    """The epoch is proven honestly on chain; the log beside it says something else."""
    verdict = build_run(
        lab, data, tmp_path, Plan(model=tmp_path.name.encode(), batches=attack)
    ).judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, claims)


@pytest.mark.parametrize(
    "attack", [swap(3, 20), repeat(3, 20), inject(5, STRANGE), reorder_batches(1, 3)]
)
def test_the_prover_refuses_such_a_log_before_anything_is_spent(
    honest: Run, tmp_path: Path, attack: Any
) -> None:
    run = honest.copy(tmp_path / "run")
    records = [r for r in run.records() if r.type != "batch"]
    logged = attack(
        [
            Batch(r.fields["positions"], r.fields["leaves"])
            for r in run.records()
            if r.type == "batch"
        ]
    )
    records[2:2] = [batch_record(b, i) for i, b in enumerate(logged, 1)]
    drawn = DrawnRun(run.run_id, run.data.registered.dataset_id, run.seed)
    with pytest.raises(VerificationError):
        make_job(read_history(records), run.data.dataset, drawn, 0)


def test_an_epoch_that_has_not_ended_is_not_proven(honest: Run) -> None:
    """Nothing is spent on an epoch whose record could not be logged."""
    unfinished = read_history(honest.records()[:5])
    drawn = DrawnRun(honest.run_id, honest.data.registered.dataset_id, honest.seed)
    with pytest.raises(Conflict, match="has not ended"):
        make_job(unfinished, honest.data.dataset, drawn, 0)


def test_another_order_than_the_seeds_fails_although_it_is_proven(
    lab: Lab, data: Data, tmp_path: Path
) -> None:
    """The trainer feeds, logs and proves an order of its own: only the seed contradicts it."""
    verdict = build_run(
        lab, data, tmp_path, Plan(model=b"own order", trained_with=lambda _: b"\x05" * 32)
    ).judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["epoch.proven"])
    assert "order" in verdict.reason


def test_a_wrong_seed_in_the_log_fails(lab: Lab, data: Data, tmp_path: Path) -> None:
    verdict = build_run(
        lab, data, tmp_path, Plan(model=b"own seed", seed=lambda _: b"\x05" * 32)
    ).judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["run.preregistered"])
    assert "seed" in verdict.reason


def test_batches_logged_before_the_seed_fail(lab: Lab, data: Data, tmp_path: Path) -> None:
    verdict = build_run(lab, data, tmp_path, Plan(model=b"early", early=True)).judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["history.consistent"])
    assert "batches are fed after the seed" in verdict.reason


def test_a_checkpoint_from_before_the_batches_fails(lab: Lab, data: Data, tmp_path: Path) -> None:
    """Weights that existed before the order was drawn cannot have been trained in it."""
    verdict = build_run(
        lab, data, tmp_path, Plan(model=b"early checkpoint", checkpoint_first=True)
    ).judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["history.consistent"])


# Weights that the recorded batches never touched: the log is [opening, seed, five batches, end of
# the epoch, checkpoint, close], and the epoch's proof is honest.


def changed(record: Record, **fields: Any) -> Record:
    return replace(record, fields=dict(record.fields) | fields)


def foreign_batches_abandoned(records: list[Record]) -> list[Record]:
    """Trained on foreign data; then the log starts over, and the order is fed for show."""
    opening, seed, *honest, checkpoint, close = records
    batch = batch_record(Batch([0], [STRANGE]), 1)
    foreign = changed(checkpoint, step=1, consumed=1, last_batch=2)
    over = Record.make("resume", TIME, from_=0, abandons=[2, 3], step=0)
    last = changed(checkpoint, last_batch=9, weights=STRANGE_WEIGHTS)
    return [opening, seed, batch, foreign, over, *honest, last, close]


def saved_between_batches(records: list[Record]) -> list[Record]:
    *before, third, fourth, fifth, end, checkpoint, close = records
    early = changed(checkpoint, step=2, consumed=16, last_batch=3)
    return [*before, early, third, fourth, fifth, end, close]


def nothing_fed(records: list[Record]) -> list[Record]:
    opening, seed, *_, checkpoint, close = records
    made = {k: v for k, v in checkpoint.fields.items() if k != "last_batch"}
    initial = Record.make("checkpoint", TIME, **(made | {"step": 0, "consumed": 0}))
    return [opening, seed, initial, changed(close, step=0)]


@pytest.mark.parametrize(
    ("attack", "checkpoint", "rule"),
    [
        (foreign_batches_abandoned, 3, "another checkpoint than the last live one"),
        (saved_between_batches, 4, "does not cover the last batch"),
        (nothing_fed, 2, "closed once, after a batch was fed"),
    ],
)
def test_weights_that_the_batches_never_touched_are_not_verified(
    lab: Lab, data: Data, tmp_path: Path, attack: Any, checkpoint: int, rule: str
) -> None:
    fields = {"merge": {"checkpoint": checkpoint}}
    plan = Plan(model=tmp_path.name.encode(), training=attack, fields=fields)
    verdict = build_run(lab, data, tmp_path, plan).judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["history.consistent"])
    assert rule in verdict.reason


def test_an_epoch_of_which_nothing_was_used_is_not_anchored(
    lab: Lab, data: Data, honest: Run
) -> None:
    proof = ProofFile.parse((honest.folder.epoch(0) / "proof-0.json").read_bytes())
    points = list(proof.commitments)
    nothing = EpochPoints(data.registered.dataset_id, 0, [points[1]], [points[2]])
    with pytest.raises(RejectedError, match="NothingConsumed"):
        lab.session().anchor_epoch(honest.run_id, 0, nothing)


def test_a_checkpoint_that_claims_more_than_was_fed_fails(
    lab: Lab, data: Data, tmp_path: Path
) -> None:
    plan = Plan(model=b"claims more", consumed=16, fields={"checkpoint": {"consumed": 40}})
    verdict = build_run(lab, data, tmp_path, plan).judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["history.consistent"])


@pytest.mark.parametrize("epochs", [(1,), (0, 2), (1, 0), (7_000_000,)])
def test_chosen_epoch_numbers_fail(
    lab: Lab, data: Data, tmp_path: Path, epochs: tuple[int, ...]
) -> None:
    """Each epoch number has its own order: whoever chooses the number chooses the order."""
    verdict = build_run(
        lab, data, tmp_path, Plan(model=str(epochs).encode(), epochs=epochs, prove=False)
    ).judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["history.consistent"])
    assert "in turn" in verdict.reason


@pytest.mark.parametrize(
    ("type_", "fields"),
    [
        ("merge", {"base": str(sha256(b"another base"))}),
        ("merge", {"adapter": str(sha256(b"another adapter"))}),
        ("merge", {"merged": str(sha256(b"another merge"))}),
        ("quantize", {"source": str(sha256(b"another merge"))}),
        ("quantize", {"file": str(sha256(b"another file"))}),
        ("checkpoint", {"weights": str(sha256(b"another adapter"))}),
    ],
    ids=lambda v: v if isinstance(v, str) else next(iter(v)),
)
def test_a_broken_link_of_the_lineage_fails(
    lab: Lab, data: Data, tmp_path: Path, type_: str, fields: dict[str, Any]
) -> None:
    verdict = build_run(
        lab, data, tmp_path, Plan(model=tmp_path.name.encode(), fields={type_: fields}, prove=False)
    ).judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["history.consistent"])


def test_a_run_registered_with_another_opening_fails(lab: Lab, data: Data, tmp_path: Path) -> None:
    """The configuration is changed after registration."""
    verdict = build_run(
        lab,
        data,
        tmp_path,
        Plan(model=b"refiled", filed=lambda _: sha256(b"another opening"), prove=False),
    ).judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["run.preregistered"])


@pytest.mark.parametrize(
    ("change", "claim"),
    [
        ({"root": "0x" + "00" * 32}, "dataset.registered"),
        ({"count": 41}, "history.consistent"),  # the epoch's remainder is too short for it
        ({"depth": 6}, "dataset.registered"),
        ({"root": None}, "dataset.registered"),
        ({"dataset_id": "0x" + "00" * 32}, "dataset.registered"),
    ],
    ids=str,
)
def test_an_opening_that_names_another_dataset_fails(
    lab: Lab, data: Data, tmp_path: Path, change: dict[str, Any], claim: str
) -> None:
    root = data.dataset.root
    dataset = {
        k: v
        for k, v in (
            {"root": root.hex0x, "depth": root.depth, "count": root.count} | change
        ).items()
        if v is not None
    }
    verdict = build_run(
        lab,
        data,
        tmp_path,
        Plan(model=tmp_path.name.encode(), opening={"dataset": dataset}, prove=False),
    ).judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, [claim])


def test_two_seeds_in_one_log_fail(lab: Lab, data: Data, tmp_path: Path) -> None:
    second = Record.make("seed", TIME, seed="0x" + "05" * 32, source="local")
    verdict = build_run(
        lab, data, tmp_path, Plan(model=b"two seeds", extra=[second], prove=False)
    ).judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["history.consistent"])


def test_unmatched_tensors_fail(lab: Lab, data: Data, tmp_path: Path) -> None:
    plan = Plan(model=b"unmatched", fields={"batch": {"unmatched": 3}}, prove=False)
    verdict = build_run(lab, data, tmp_path, plan).judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["history.consistent"])
    assert "not those of the pre-registered order" in verdict.reason


def test_a_batch_logged_after_the_epoch_was_anchored_fails(
    lab: Lab, data: Data, tmp_path: Path
) -> None:
    """The trainer proves 32 of 40 records, then logs a batch for the rest."""
    order = Plan(model=b"late batch", consumed=32)
    late = batch_record(Batch([32], [STRANGE]), 5)
    verdict = build_run(lab, data, tmp_path, replace(order, extra=[late])).judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["history.consistent"])
    assert "before run.close" in verdict.reason


def test_a_resume_that_abandons_the_released_checkpoint_fails(
    lab: Lab, data: Data, tmp_path: Path
) -> None:
    extra = Record.make("resume", TIME, from_=0, abandons=[5, 6], step=1)
    verdict = build_run(
        lab, data, tmp_path, Plan(model=b"abandoned", extra=[extra], prove=False)
    ).judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["history.consistent"])


def test_another_runs_proof_is_refused_by_the_ledger(
    lab: Lab, data: Data, honest: Run, tmp_path: Path
) -> None:
    run = build_run(lab, data, tmp_path, Plan(model=b"reuser", prove=False, release=False))
    proof = ProofFile.parse((honest.folder.epoch(0) / "proof-0.json").read_bytes())
    session, points = lab.session(), list(proof.commitments)
    anchored = EpochPoints(data.registered.dataset_id, 40, [points[1]], [points[2]])
    number = session.anchor_epoch(run.run_id, 0, anchored)
    with pytest.raises(RejectedError, match="refuses the call"):
        session.prove_epoch(ChunkProof(run.run_id, 0, number, 0, proof).item)


def test_another_runs_proof_beside_the_log_fails(
    lab: Lab, data: Data, honest: Run, tmp_path: Path
) -> None:
    """The log names the other run's points; the ledger never accepted them for this run."""
    stolen = dict(next(r for r in reversed(honest.records()) if r.type == "epoch").fields)
    run = build_run(
        lab,
        data,
        tmp_path,
        Plan(model=b"thief", prove=False, extra=[Record("epoch", TIME, stolen)]),
    )
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["epoch.proven"])
    assert "not accepted on chain" in verdict.reason


def test_a_leaf_that_is_not_in_the_field_fails(lab: Lab, data: Data, tmp_path: Path) -> None:
    """leaf + r gives the same product under another name.

    The use of the record could then not be found by its leaf.
    """

    def alias(batches: list[Batch]) -> list[Batch]:
        first = batches[0]
        return [
            replace(first, leaves=[f"0x{int(first.leaves[0], 16) + R:064x}", *first.leaves[1:]]),
            *batches[1:],
        ]

    verdict = build_run(lab, data, tmp_path, Plan(model=b"alias", batches=alias)).judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["epoch.proven"])
