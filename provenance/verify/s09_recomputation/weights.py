"""File, merge and base, compared with the weights at hand."""

from __future__ import annotations

from pathlib import Path

from provenance.artifacts.content import content_digest
from provenance.errors import VerificationError
from provenance.judgement.verdict import Grade
from provenance.verify.case import Case
from provenance.verify.s04_log import Log
from provenance.verify.s06_lineage import Lineage


def check_file(case: Case, log: Log, lineage: Lineage) -> None:
    """Quantize the merged weights again, and compare every byte of the file."""
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


def check_merge(case: Case, log: Log, lineage: Lineage) -> None:
    """Merge base and adapter again, and compare every weight."""
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


def check_base(case: Case, lineage: Lineage) -> None:
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
