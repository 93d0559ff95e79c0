"""Step 9: what can be recomputed from the material at hand. No claim here ends the verification."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from provenance.artifacts.content import content_digest
from provenance.errors import InputError, NotFound, ProvenanceError, VerificationError
from provenance.judgement.verdict import Grade
from provenance.log.fed import FedFacts
from provenance.verify.case import Case
from provenance.verify.s04_log import Log
from provenance.verify.s06_lineage import Lineage
from provenance.verify.s08_proofs import Proofs


def check_recomputation(case: Case, log: Log, lineage: Lineage, proofs: Proofs) -> None:
    """Recompute order, file, merge, base and batches, as far as the caller's material allows."""
    if proofs.epochs:
        case.report.holds(
            "order.recomputed",
            "the recorded batches are exactly the committed dataset in the pre-registered order "
            "(permutation and products recomputed from seed and log)",
        )
    _check_file(case, log, lineage)
    _check_merge(case, log, lineage)
    _check_base(case, lineage)
    recomputed = _check_batches(case, log)
    fed = _check_fed(case, lineage, recomputed)
    _check_learned(case, log, lineage, fed)
    case.report.unchecked(
        "training.replayed",
        "the weights follow from the batches by honest gradients",
        "a replay audit",
    )


def _check_file(case: Case, log: Log, lineage: Lineage) -> None:
    id_, quantization = "file.recomputed", lineage.quantize.fields["quantization"]
    text = f"the file is the exact {quantization} quantization of the merged weights"
    merged = log.evidence.merged()
    if case.file is None or merged is None:
        seen = case.artifact.path is not None
        needs = "the merged weights beside the evidence" if seen else "the file itself"
        case.report.unchecked(id_, text, needs)
        return
    inspector, path = case.file
    if (actual := inspector.quantization(path)) != quantization:
        case.report.fails(
            id_,
            VerificationError(
                "file is of another format than the log says",
                where="quantize.quantization",
                expected=quantization,
                actual=actual or "unknown",
            ),
        )
        return
    differences = inspector.compare_quantized(merged, path)
    case.report.differs(id_, "file is not the quantization of the merged weights", differences)
    if differences or not _is_logged(case, id_, "merged", merged, lineage):
        return
    case.report.holds(id_, f"{text}, recomputed {inspector.exactness(quantization)}")
    case.report.upgrade("quantized_from", Grade.RECOMPUTED)


def _check_merge(case: Case, log: Log, lineage: Lineage) -> None:
    id_, text = (
        "merge.recomputed",
        "the merged weights are the exactly rounded merge of base and adapter",
    )
    inspector, base = case.verifier.inspector, case.options.base
    merged, adapter = log.evidence.merged(), log.evidence.adapter()
    if inspector is None or base is None or merged is None or adapter is None:
        case.report.unchecked(id_, text, "base model and adapter (--base FOLDER)")
        return
    weights = {"base": base, "adapter": adapter, "merged": merged}
    if not all(_is_logged(case, id_, what, path, lineage) for what, path in weights.items()):
        return
    differences = inspector.compare_merged(base, adapter, merged)
    case.report.differs(id_, "merged weights differ from the merge", differences)
    if not differences:
        case.report.holds(id_, text)
        case.report.upgrade("merged_from", Grade.RECOMPUTED)


def _check_base(case: Case, lineage: Lineage) -> None:
    """Compare all tensors without an adapter with the base, in full: they need no proofs."""
    id_, base = "base.recomputed", case.options.base
    text = "every tensor without adapter is the exact quantization of the base's"
    if case.file is None or base is None:
        case.report.unchecked(id_, text, "base model (--base FOLDER) and the file itself")
        return
    if not _is_logged(case, id_, "base", base, lineage):
        return
    inspector, path = case.file
    adapted = lineage.merge.fields["adapted"]
    differences = inspector.compare_unadapted(base, adapted, path)
    case.report.differs(id_, "file differs from the base where no adapter is", differences)
    if not differences:
        case.report.holds(id_, f"{text}: all but {len(adapted)} adapted tensors, and the metadata")


def _is_logged(case: Case, id_: str, what: str, path: Path, lineage: Lineage) -> bool:
    """Whether weights (`base`, `adapter`, `merged`) are the merge record's; if not, `id_` fails."""
    expected, actual = str(lineage.merge.fields[what]), str(content_digest(path))
    if actual != expected:
        case.report.fails(
            id_,
            VerificationError(
                f"{what} weights at hand are not the logged ones",
                where=str(path),
                expected=expected,
                actual=actual,
            ),
        )
    return actual == expected


def _check_batches(case: Case, log: Log) -> bool:
    """Whether batches were recomputed, and with them what the opening record says is fed."""
    id_, text = "batches.recomputed", "the tensors fed are the tokens of the listed records"
    checker = case.options.data
    if checker is None:
        case.report.unchecked(id_, text, "the dataset with its salts (--with-data FOLDER)")
        return False
    try:
        count = checker.check_batches(log.records)
    except NotFound as error:  # salts or records are not here: that says nothing about the run
        case.report.unchecked(id_, text, str(error))
        return False
    except VerificationError as error:
        case.report.fails(id_, error)
        return False
    done = f"{count.recomputed} batches recomputed from records, tokenizer and salts"
    if count.undetermined:
        # Never a failure: whoever had to erase a record must not be punished for it.
        erased = f"{count.undetermined} undetermined, since a record or the salt is erased"
        case.report.unchecked(id_, text, f"{done}; {erased}")
        return False
    case.report.holds(id_, done)
    return True


def _check_fed(case: Case, lineage: Lineage, recomputed: bool) -> FedFacts | None:
    """What the opening record says is fed, in the verdict's own words."""
    id_, fed = "data.fed", lineage.run_open.fields.get("fed")
    if fed is None:
        case.report.unchecked(id_, "what is fed of each record", "a log that says it")
        return None
    try:
        facts = FedFacts.read(fed)
    except InputError as error:
        case.report.fails(id_, error)
        return None
    by = "recomputed from the records" if recomputed else "by the run's opening record"
    case.report.holds(id_, f"{facts}; {facts.amounts} ({by})")
    return facts


def _check_learned(case: Case, log: Log, lineage: Lineage, fed: FedFacts | None) -> None:
    """Training changed the model. Losses are the log's word; nothing here can check them."""
    id_, text = "training.learned", "training changed the model"
    close = lineage.history.close
    summary = {} if close is None else close.fields["summary"]
    changed, adapted = summary.get("tensors_changed"), summary.get("tensors_adapted")
    if fed is None or type(changed) is not int or type(adapted) is not int:
        case.report.unchecked(id_, text, "a log that says what training changed")
        return
    try:
        losses = _losses(summary)
        counted = _count_changed(case, log, lineage)
        _require_learned(lineage, fed, (changed, adapted), counted)
    except ProvenanceError as error:
        case.report.fails(id_, error)
        return
    by = "by the log" if counted is None else "counted in the adapter"
    case.report.holds(
        id_,
        f"loss {losses[0]:.4f} -> {losses[1]:.4f} by the log, {fed.counts['predicted']} tokens to "
        f"predict in each epoch, {changed} of {adapted} adapter pairs changed ({by}), merged "
        "weights differ from the base",
    )


def _losses(summary: Mapping[str, Any]) -> tuple[float, float]:
    """First and last loss, both finite numbers."""
    found = []
    for name in ("loss_first", "loss_last"):
        value = summary.get(name)
        try:
            number = float(value) if isinstance(value, str) else math.nan
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise VerificationError(
                "loss is not a finite number",
                where=f"run.close {name}",
                expected="a number",
                actual=f"{value!r:.40}",
            )
        found.append(number)
    return found[0], found[1]


def _count_changed(case: Case, log: Log, lineage: Lineage) -> tuple[int, int] | None:
    """(pairs that change the model, all pairs) of the logged adapter; None if it is not at hand."""
    inspector, adapter = case.verifier.inspector, log.evidence.adapter()
    if inspector is None or adapter is None:
        return None
    if str(content_digest(adapter)) != lineage.merge.fields["adapter"]:
        return None  # another adapter: it says nothing about this run
    return inspector.changed_pairs(adapter)


def _require_learned(
    lineage: Lineage,
    fed: FedFacts,
    logged: tuple[int, int],
    counted: tuple[int, int] | None,
) -> None:
    if counted is not None and counted != logged:
        raise VerificationError(
            "adapter changes another number of tensors than the log says",
            where="run.close tensors_changed",
            expected=f"{counted[0]} of {counted[1]}",
            actual=f"{logged[0]} of {logged[1]}",
        )
    merge = lineage.merge.fields
    for what, where, holds in (
        ("no token was to be predicted", "run.open fed.predicted", fed.counts["predicted"] > 0),
        ("adapter changes nothing: every B is zero", "run.close", logged[0] > 0),
        ("merged weights equal the base", "merge", merge["merged"] != merge["base"]),
    ):
        if not holds:
            raise VerificationError(f"training learned nothing: {what}", where=where)
