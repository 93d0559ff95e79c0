"""The epochs of a run: each is the committed dataset in the seed's order, and proven so."""

from __future__ import annotations

from provenance.errors import MissingEvidence, VerificationError
from provenance.ids import from_hex, to_hex
from provenance.judgement.facts import AnchoringFacts, DatasetFacts
from provenance.judgement.verdict import Grade
from provenance.log.history import EpochHistory, EpochUse, Placed
from provenance.order import epoch_order
from provenance.text.counted import counted
from provenance.verify.claims import Lacking, Notes
from provenance.verify.protocols import EpochEvidence
from provenance.verify.s08_proofs.run import Run

_ORDER = "the recorded batches are the dataset in the pre-registered order"


def check_epochs(run: Run, dataset: DatasetFacts) -> str | None:
    """Make the claim `epoch.proven`, and return what its epochs left out: "" if nothing.

    None if the claim does not hold.

    If an epoch has no proofs, or evidence of them is missing, the claim is not checked.

    Raises:
        Stopped: the claim fails.
    """
    notes, epochs = run.case.notes, run.lineage.history.epochs
    unproven = [epoch.number for epoch in epochs if epoch.proven is None]
    if unproven:
        needs = f"proofs of epochs {', '.join(map(str, unproven))} (provenance prove)"
        leave_epochs(notes, needs)
        return None
    try:
        with notes.guarded("epoch.proven"):
            text, partial = _check_all(run, dataset)
            notes.holds("epoch.proven", f"{text}{partial}")
    except Lacking:
        notes.unchecked("order.recomputed", _ORDER, "epoch.proven, which was not checked")
        return None
    return partial


def leave_epochs(notes: Notes, needs: str) -> None:
    """Leave what is said about epochs unchecked; `needs` says what checking it would take."""
    notes.unchecked("epoch.proven", "each epoch's usage is proven", needs)
    notes.unchecked("order.recomputed", _ORDER, needs)


def _check_all(run: Run, dataset: DatasetFacts) -> tuple[str, str]:
    """What is proven, and what the epochs left out, for people."""
    epochs = run.lineage.history.epochs
    anchorings, partial = 0, ""
    for epoch in epochs:
        anchoring = _check_epoch(run, dataset, epoch)
        if anchoring.consumed < dataset.count:
            partial += (
                f", epoch {epoch.number} only its first {anchoring.consumed} of {dataset.count} "
                "positions"
            )
        anchorings += run.chain.snapshot.anchoring_count(run.log.run.run_id, epoch.number)
    tries = counted(anchorings, "anchoring")
    run.case.notes.upgrade(
        "trained_on", Grade.PROVEN, f"{counted(len(epochs), 'epoch')} proven, {tries}{partial}"
    )
    text = f"{counted(len(epochs), 'epoch')}: every chunk's proof verified on chain and here, "
    return f"{text}{tries} in all", partial


def _check_epoch(run: Run, dataset: DatasetFacts, epoch: EpochHistory) -> AnchoringFacts:
    """Check the proofs of an epoch against the anchoring that its last record names."""
    record = epoch.proven
    assert record is not None  # else the claim is not checked
    anchoring = _anchoring(run, dataset, epoch, record)
    use = epoch.use(dataset.count, record.fields["remainder"])
    run.case.verifier.prover.check_epoch(_evidence(run, dataset, record, anchoring, use))
    return anchoring


def _anchoring(
    run: Run, dataset: DatasetFacts, epoch: EpochHistory, record: Placed
) -> AnchoringFacts:
    """The accepted anchoring that an `epoch` record names; they agree in all that both say."""
    facts, fields = run.log.run, record.fields
    anchoring = run.chain.snapshot.anchoring(facts.run_id, epoch.number, fields["number"])
    where = f"epoch {epoch.number} anchoring {fields['number']}"
    if anchoring is None or not anchoring.accepted:
        raise VerificationError(
            "anchoring is not accepted on chain",
            where=where,
            expected="accepted",
            actual="unknown" if anchoring is None else "incomplete or refused",
        )
    if anchoring.dataset_id != facts.dataset_id:
        raise VerificationError(
            "anchoring is about another dataset",
            where=where,
            expected=to_hex(facts.dataset_id),
            actual=to_hex(anchoring.dataset_id),
        )
    for name, expected in (
        ("consumed", anchoring.consumed),
        ("dataset_id", to_hex(anchoring.dataset_id)),
        ("log_size", anchoring.log_size),  # the history has the epoch's batches below it
        ("vk_id", to_hex(dataset.epoch_key)),
        ("ledger", run.case.verifier.trust.contracts["ledger"].address),
    ):
        if fields[name] != expected:
            raise VerificationError(
                "epoch record and anchoring disagree",
                where=f"record {record.index} {name}",
                expected=expected,
                actual=fields[name],
            )
    return anchoring


def _evidence(
    run: Run,
    dataset: DatasetFacts,
    record: Placed,
    anchoring: AnchoringFacts,
    use: EpochUse,
) -> EpochEvidence:
    words, key = run.pinned_key(dataset.epoch_key, "epoch"), to_hex(dataset.epoch_key)
    bases = run.log.evidence.key_bases(key)
    if bases is None:
        raise MissingEvidence(
            "evidence lacks the bases of P", where=f"provenance/keys/{key}/p_bases.bin"
        )
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
