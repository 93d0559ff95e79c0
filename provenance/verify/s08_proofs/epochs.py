"""The epochs of a run: each is the committed dataset in the seed's order, and proven so."""

from __future__ import annotations

from itertools import groupby

from provenance.errors import VerificationError
from provenance.ids import from_hex, to_hex
from provenance.judgement.facts import AnchoringFacts, DatasetFacts
from provenance.judgement.verdict import Grade
from provenance.order import epoch_order
from provenance.verify.protocols import EpochEvidence
from provenance.verify.s05_history import EpochUse, epoch_use, live_batches
from provenance.verify.s06_lineage import Placed
from provenance.verify.s08_proofs.run import Run

_ORDER = "the recorded batches are the dataset in the pre-registered order"


def check_epochs(run: Run, dataset: DatasetFacts) -> bool:
    """Make the claim `epoch.proven`, and return whether it holds.

    If an epoch has no proofs, the claim is not checked.

    Raises:
        Stopped: the claim fails.
    """
    report, records = run.case.report, run.log.records
    epochs = _last_epoch_records(run)
    fed = sorted({r.fields["epoch"] for _, r in live_batches(records)} | set(epochs))
    unproven = [e for e in fed if e not in epochs or "number" not in epochs[e].fields]
    if unproven or not fed:
        listed = ", ".join(map(str, unproven))
        needs = f"proofs of epochs {listed} (provenance prove)" if fed else "batches in the log"
        report.unchecked("epoch.proven", "each epoch's usage is proven", needs)
        report.unchecked("order.recomputed", _ORDER, needs)
        return False
    with report.guarded("epoch.proven"):
        report.holds("epoch.proven", _check_all(run, dataset, epochs))
    return True


def _last_epoch_records(run: Run) -> dict[int, Placed]:
    """The last `epoch` record of each epoch, which names the anchoring that counts."""
    return {
        r.fields["epoch"]: Placed(i, r) for i, r in enumerate(run.log.records) if r.type == "epoch"
    }


def _check_all(run: Run, dataset: DatasetFacts, epochs: dict[int, Placed]) -> str:
    _check_turns(run)
    anchorings, partial = 0, ""
    for epoch, record in sorted(epochs.items()):
        anchoring = _anchoring(run, epoch, record)
        run.case.verifier.prover.check_epoch(_evidence(run, dataset, record, anchoring))
        if anchoring.consumed < dataset.count:
            partial += (
                f", epoch {epoch} only its first {anchoring.consumed} of {dataset.count} positions"
            )
        anchorings += run.chain.snapshot.anchoring_count(run.log.run.run_id, epoch)
    run.case.report.upgrade(
        "trained_on", Grade.PROVEN, f"{len(epochs)} epochs proven, {anchorings} anchorings"
    )
    return (
        f"{len(epochs)} epochs: every chunk's proof verified on chain and here, "
        f"{anchorings} anchorings in all{partial}"
    )


def _check_turns(run: Run) -> None:
    """Epochs are numbered 0, 1, .. in the order they were fed.

    The order of an epoch follows from its number, so an owner who could choose the numbers could
    choose among orders.
    """
    batches = live_batches(run.log.records)
    turns = [epoch for epoch, _ in groupby(r.fields["epoch"] for _, r in batches)]
    if turns != list(range(len(turns))):
        raise VerificationError(
            "epochs were not fed in turn from 0",
            where="batch records",
            expected=list(range(len(turns))),
            actual=turns[:20],
        )


def _anchoring(run: Run, epoch: int, record: Placed) -> AnchoringFacts:
    """The accepted anchoring that an `epoch` record names."""
    facts, fields = run.log.run, record.fields
    anchoring = run.chain.snapshot.anchoring(facts.run_id, epoch, fields["number"])
    where = f"epoch {epoch} anchoring {fields['number']}"
    if anchoring is None or not anchoring.accepted:
        raise VerificationError(
            "anchoring is not accepted on chain",
            where=where,
            expected="accepted",
            actual="unknown" if anchoring is None else "incomplete or refused",
        )
    if fields["consumed"] != anchoring.consumed:
        raise VerificationError(
            "epoch record and anchoring disagree",
            where=f"{where} consumed",
            expected=anchoring.consumed,
            actual=fields["consumed"],
        )
    for name in ("u_hash", "p_hash"):
        if name not in fields:
            raise VerificationError(
                "epoch record names no points", where=f"record {record.index} {name}"
            )
    if anchoring.dataset_id != facts.dataset_id:
        raise VerificationError(
            "anchoring is about another dataset",
            where=where,
            expected=to_hex(facts.dataset_id),
            actual=to_hex(anchoring.dataset_id),
        )
    return anchoring


def _use(run: Run, count: int, record: Placed, anchoring: AnchoringFacts) -> EpochUse:
    """What the log says was fed of an epoch; the anchoring covers exactly that."""
    epoch, remainder = record.fields["epoch"], record.fields["remainder"]
    use = epoch_use(run.log.records, epoch, count, remainder)
    if use.consumed != anchoring.consumed:
        raise VerificationError(
            "log fed another number of positions than the anchoring says",
            where=f"epoch {epoch}",
            expected=anchoring.consumed,
            actual=use.consumed,
        )
    if use.last_index >= anchoring.log_size:
        raise VerificationError(
            "a batch was logged after the epoch was anchored",
            where=f"record {use.last_index}",
            expected=f"index below {anchoring.log_size}",
            actual=use.last_index,
        )
    return use


def _evidence(
    run: Run, dataset: DatasetFacts, record: Placed, anchoring: AnchoringFacts
) -> EpochEvidence:
    use = _use(run, dataset.count, record, anchoring)
    words, key = run.pinned_key(dataset.epoch_key, "epoch"), to_hex(dataset.epoch_key)
    bases = run.log.evidence.key_bases(key)
    if bases is None:
        raise VerificationError("evidence lacks the bases of P", where=f"keys/{key}/p_bases.bin")
    facts = run.log.run
    return EpochEvidence(
        run_id=facts.run_id,
        seed=facts.seed,
        epoch=use.epoch,
        number=record.fields["number"],
        anchoring=anchoring,
        u_hash=from_hex(record.fields["u_hash"]),
        p_hash=from_hex(record.fields["p_hash"]),
        dataset=dataset,
        identity=run.chain.identity,
        order=epoch_order(facts.seed, use.epoch, dataset.count),
        leaves=use.leaves,
        words=words,
        p_bases=bases,
        proofs=run.log.evidence.epoch_proofs(use.epoch),
    )
