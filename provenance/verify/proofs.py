"""Steps 6 and 7: proofs against pinned keys and recomputed challenges, and what can be recomputed from what is at hand."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from provenance.errors import InputError, NotFound, VerificationError
from provenance.judgement.facts import AnchoringFacts, DatasetFacts
from provenance.judgement.verdict import Grade
from provenance.log.record import Record
from provenance.order import epoch_order
from provenance.verify.context import Context, need
from provenance.verify.lineage import epoch_use, live_batches
from provenance.verify.protocols import EpochEvidence, RegistrationEvidence
from provenance.verify.samples import check_samples


def step_6_proofs(ctx: Context) -> bool:
    """6. The dataset's registration and each epoch's proofs hold, on chain and off."""
    if not ctx.guarded("dataset.registered", lambda: _check_dataset(ctx)):
        return False
    epochs = _last_epoch_records(ctx)
    fed = sorted({r.fields["epoch"] for _, r in live_batches(ctx.records)} | set(epochs))
    unproven = [e for e in fed if e not in epochs or "number" not in epochs[e][1].fields]
    if not _check_usage(ctx, epochs, fed, unproven):
        return False
    check_samples(ctx)
    return True


def _check_usage(
    ctx: Context, epochs: dict[int, tuple[int, Record]], fed: list[int], unproven: list[int]
) -> bool:
    if unproven or not fed:
        needs = (
            f"proofs of epochs {', '.join(map(str, unproven))} (provenance prove)"
            if fed
            else "batches in the log"
        )
        ctx.unchecked("epoch.proven", "each epoch's usage is proven", needs)
        ctx.unchecked(
            "order.recomputed",
            "the recorded batches are the dataset in the pre-registered order",
            needs,
        )
        return True
    return ctx.guarded("epoch.proven", lambda: _check_epochs(ctx, epochs))


def _check_dataset(ctx: Context) -> str:
    run, opening = need(ctx.run), ctx.records[0].fields["dataset"]
    facts = need(ctx.snapshot).dataset(run.dataset_id)
    if facts is None or not facts.finished:
        raise VerificationError(
            "dataset registration is not finished on chain",
            where="0x" + run.dataset_id.hex(),
            expected="finished",
            actual="unknown" if facts is None else "begun",
        )
    actual = {"root": f"0x{facts.root:064x}", "depth": facts.depth, "count": facts.count}
    for name, value in actual.items():
        if opening.get(name) != value:
            raise VerificationError(
                "run.open names another dataset than the registered one",
                where=f"dataset.{name}",
                expected=value,
                actual=opening.get(name),
            )
    registration = need(ctx.evidence).registration()
    if registration is None:
        raise VerificationError(
            "evidence lacks the dataset's registration proofs",
            where="provenance/dataset/registration.json",
        )
    ctx.prover.check_registration(_registration(ctx, facts, registration))
    return f"{facts.count} records under root 0x{facts.root:064x}, tree and link proofs verified on chain and here"


def _registration(ctx: Context, facts: DatasetFacts, value: Any) -> RegistrationEvidence:
    try:
        points = [(int(x, 16), int(y, 16)) for x, y in value["points"]]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("registration.json is malformed", where="points") from error
    return RegistrationEvidence(
        dataset_id=need(ctx.run).dataset_id,
        dataset=facts,
        identity=need(ctx.identity),
        epoch_words=ctx.pinned_key(facts.epoch_key, "epoch"),
        tree_words=ctx.pinned_key(facts.tree_key, "tree"),
        points=points,
        trees=value["trees"],
        links=value["links"],
    )


def _last_epoch_records(ctx: Context) -> dict[int, tuple[int, Record]]:
    """The last `epoch` record of each epoch: it names the anchoring that counts."""
    return {r.fields["epoch"]: (i, r) for i, r in enumerate(ctx.records) if r.type == "epoch"}


def _check_epochs(ctx: Context, epochs: dict[int, tuple[int, Record]]) -> str:
    _require_turns(ctx)
    dataset = need(need(ctx.snapshot).dataset(need(ctx.run).dataset_id))
    anchorings, partial = 0, []
    for epoch, (index, record) in sorted(epochs.items()):
        anchoring = _anchoring(ctx, epoch, index, record)
        ctx.prover.check_epoch(_epoch_evidence(ctx, dataset, epoch, record, anchoring))
        if anchoring.consumed < dataset.count:
            partial.append(
                f", epoch {epoch} only its first {anchoring.consumed} of {dataset.count} positions"
            )
        anchorings += need(ctx.snapshot).anchoring_count(need(ctx.run).run_id, epoch)
    ctx.upgrade("trained_on", Grade.PROVEN, f"{len(epochs)} epochs proven, {anchorings} anchorings")
    return f"{len(epochs)} epochs: every chunk's proof verified on chain and here, {anchorings} anchorings in all{''.join(partial)}"


def _require_turns(ctx: Context) -> None:
    """Epochs are fed as 0, 1, .. in turn: whoever may choose their numbers may choose their orders."""
    turns = [epoch for epoch, _ in groupby(r.fields["epoch"] for _, r in live_batches(ctx.records))]
    if turns != list(range(len(turns))):
        raise VerificationError(
            "epochs were not fed in turn from 0",
            where="batch records",
            expected=list(range(len(turns))),
            actual=turns[:20],
        )


def _anchoring(ctx: Context, epoch: int, index: int, record: Record) -> AnchoringFacts:
    run, fields = need(ctx.run), record.fields
    facts = need(ctx.snapshot).anchoring(run.run_id, epoch, fields["number"])
    where = f"epoch {epoch} anchoring {fields['number']}"
    if facts is None or not facts.accepted:
        raise VerificationError(
            "anchoring is not accepted on chain",
            where=where,
            expected="accepted",
            actual="unknown" if facts is None else "incomplete or refused",
        )
    if fields["consumed"] != facts.consumed:
        raise VerificationError(
            "epoch record and anchoring disagree",
            where=f"{where} consumed",
            expected=facts.consumed,
            actual=fields["consumed"],
        )
    for name in ("u_hash", "p_hash"):
        if name not in fields:
            raise VerificationError("epoch record names no points", where=f"record {index} {name}")
    if facts.dataset_id != run.dataset_id:
        raise VerificationError(
            "anchoring is about another dataset",
            where=where,
            expected="0x" + run.dataset_id.hex(),
            actual="0x" + facts.dataset_id.hex(),
        )
    return facts


def _epoch_evidence(
    ctx: Context, dataset: DatasetFacts, epoch: int, record: Record, anchoring: AnchoringFacts
) -> EpochEvidence:
    run, evidence = need(ctx.run), need(ctx.evidence)
    use = epoch_use(ctx.records, epoch, dataset.count, record.fields["remainder"])
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
    words = ctx.pinned_key(dataset.epoch_key, "epoch")
    bases = evidence.key_bases("0x" + dataset.epoch_key.hex())
    if bases is None:
        raise VerificationError(
            "evidence lacks the bases of P", where=f"keys/0x{dataset.epoch_key.hex()}/p_bases.bin"
        )
    return EpochEvidence(
        run_id=run.run_id,
        seed=run.seed,
        epoch=epoch,
        number=record.fields["number"],
        anchoring=anchoring,
        u_hash=_word(record, "u_hash"),
        p_hash=_word(record, "p_hash"),
        dataset=dataset,
        identity=need(ctx.identity),
        order=epoch_order(run.seed, epoch, dataset.count),
        leaves=use.leaves,
        words=words,
        p_bases=bases,
        proofs=evidence.epoch_proofs(epoch),
    )


def _word(record: Record, name: str) -> bytes:
    return bytes.fromhex(record.fields[name][2:])


def step_7_recompute(ctx: Context) -> bool:
    """7. The order, the file and what else the caller's material allows, recomputed."""
    if any(c.id == "epoch.proven" and c.holds for c in ctx.claims):
        ctx.holds(
            "order.recomputed",
            "the recorded batches are exactly the committed dataset in the pre-registered order "
            "(permutation and products recomputed from seed and log)",
        )
    _recompute_file(ctx)
    _recompute_merge(ctx)
    _recompute_base(ctx)
    _recompute_batches(ctx)
    ctx.unchecked(
        "training.replayed",
        "the weights follow from the batches by honest gradients",
        "a replay audit",
    )
    return True


def _recompute_batches(ctx: Context) -> None:
    text, checker = "the tensors fed are the tokens of the listed records", ctx.options.data
    if checker is None:
        ctx.unchecked("batches.recomputed", text, "the dataset with its salts (--with-data FOLDER)")
        return
    try:
        count = checker.check_batches(ctx.records)
    except NotFound as error:  # salts or records are not here: that says nothing about the run
        ctx.unchecked("batches.recomputed", text, str(error))
    except VerificationError as error:
        ctx.fails(
            "batches.recomputed",
            error.what,
            where=error.where,
            expected=error.expected,
            actual=error.actual,
        )
    else:
        done = f"{count.recomputed} batches recomputed from records, tokenizer and salts"
        if (
            count.undetermined
        ):  # never a failure: whoever had to erase a record must not be punished for it
            ctx.unchecked(
                "batches.recomputed",
                text,
                f"{done}; {count.undetermined} undetermined, since a record or the salt is erased",
            )
        else:
            ctx.holds("batches.recomputed", done)


def _recompute_file(ctx: Context) -> None:
    quantization = need(ctx.lineage).quantize.fields["quantization"]
    exactly = "up to ties, recomputed" if quantization == "int8" else "recomputed bit by bit"
    text = f"the file is the exact {quantization} quantization of the merged weights"
    merged = need(ctx.evidence).merged()
    if ctx.inspector is None or ctx.artifact.path is None or merged is None:
        missing = (
            "the file itself"
            if ctx.artifact.path is None
            else "the merged weights beside the evidence"
        )
        ctx.unchecked("file.recomputed", text, missing)
        return
    if (actual := ctx.inspector.quantization(ctx.artifact.path)) != quantization:
        ctx.fails(
            "file.recomputed",
            "file is of another format than the log says",
            where="quantize.quantization",
            expected=quantization,
            actual=actual or "unknown",
        )
        return
    differences = ctx.inspector.compare_quantized(merged, ctx.artifact.path)
    for difference in differences[:10]:
        ctx.fails(
            "file.recomputed",
            "file is not the quantization of the merged weights",
            where=difference.where,
            expected=difference.expected,
            actual=difference.actual,
        )
    if not differences:
        expected = need(ctx.lineage).merge.fields["merged"]
        if _content(merged) != expected:
            ctx.fails(
                "file.recomputed",
                "merged weights beside the evidence are not the logged ones",
                where=str(merged),
                expected=expected,
                actual=_content(merged),
            )
            return
        ctx.holds("file.recomputed", f"{text}, {exactly}")
        ctx.upgrade("quantized_from", Grade.RECOMPUTED)


def _recompute_base(ctx: Context) -> None:
    """What no adapter touched is the public base's, in full: neither proof nor sample is needed for it."""
    text = "every tensor without adapter is the exact quantization of the base's"
    base, path = ctx.options.base, ctx.artifact.path
    if ctx.inspector is None or base is None or path is None:
        ctx.unchecked("base.recomputed", text, "base model (--base FOLDER) and the file itself")
        return
    fields = need(ctx.lineage).merge.fields
    if _content(base) != fields["base"]:
        ctx.fails(
            "base.recomputed",
            "base weights at hand are not the logged ones",
            where=str(base),
            expected=fields["base"],
            actual=_content(base),
        )
        return
    differences = ctx.inspector.compare_unadapted(base, fields["adapted"], path)
    for difference in differences:
        ctx.fails(
            "base.recomputed",
            "file differs from the base where no adapter is",
            where=difference.where,
            expected=difference.expected,
            actual=difference.actual,
        )
    if not differences:
        ctx.holds(
            "base.recomputed",
            f"{text}: all but {len(fields['adapted'])} adapted tensors, and the metadata",
        )


def _content(path: Any) -> str:
    from provenance.artifacts.content import content_digest

    return str(content_digest(path))


def _recompute_merge(ctx: Context) -> None:
    text = "the merged weights are the exactly rounded merge of base and adapter"
    evidence = need(ctx.evidence)
    merged, adapter, base = evidence.merged(), evidence.adapter(), ctx.options.base
    if ctx.inspector is None or base is None or merged is None or adapter is None:
        ctx.unchecked("merge.recomputed", text, "base model and adapter (--base FOLDER)")
        return
    fields = need(ctx.lineage).merge.fields
    for what, path in (("base", base), ("adapter", adapter), ("merged", merged)):
        if _content(path) != fields[what]:
            ctx.fails(
                "merge.recomputed",
                f"{what} weights at hand are not the logged ones",
                where=str(path),
                expected=fields[what],
                actual=_content(path),
            )
            return
    differences = ctx.inspector.compare_merged(base, adapter, merged)
    for difference in differences[:10]:
        ctx.fails(
            "merge.recomputed",
            "merged weights differ from the merge",
            where=difference.where,
            expected=difference.expected,
            actual=difference.actual,
        )
    if not differences:
        ctx.holds("merge.recomputed", text)
        ctx.upgrade("merged_from", Grade.RECOMPUTED)
