"""File, merge and base, compared with the weights at hand."""

from __future__ import annotations

from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from provenance.artifacts.content import tensor_digests
from provenance.errors import VerificationError
from provenance.judgement.verdict import Grade
from provenance.log.forms import is_number
from provenance.text.shown import quoted, told
from provenance.verify.at_hand import logged_beside, require_logged, weights_beside
from provenance.verify.case import Case
from provenance.verify.claims import Stopped
from provenance.verify.protocols import FormatInspector
from provenance.verify.s04_log import Log
from provenance.verify.s06_lineage import Lineage


@dataclass(frozen=True)
class _Adapted:
    """The adapted tensors, and what shows that they are these."""

    names: Set[str]
    by: str


def check_file(case: Case, log: Log, lineage: Lineage) -> None:
    """Quantize the merged weights again, and compare every byte of the file."""
    id_, quantization = "file.recomputed", lineage.quantize.fields["quantization"]
    text = "the file is the exact {} quantization of the merged weights"
    try:
        with case.notes.guarded(id_):
            merged = weights_beside(case, log.evidence.merged())
    except Stopped:
        return
    if case.file is None or merged is None:
        seen = case.artifact.path is not None
        needs = "the merged weights beside the evidence" if seen else "the file itself"
        case.notes.unchecked(id_, text.format(quoted(quantization)), needs)
        return
    inspector, path = case.file
    if (actual := inspector.quantization(path)) != quantization:
        case.notes.contradicts()
        case.notes.fails(
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
    case.notes.differs(id_, "file is not the quantization of the merged weights", differences)
    if not _is_logged(case, id_, "merged", merged, lineage):
        return
    if differences:
        case.notes.contradicts()
        return
    how = f"recomputed {inspector.exactness(quantization)}"
    case.notes.holds(id_, f"{text.format(told(quantization))}, {how}")
    case.notes.upgrade("quantized_from", Grade.RECOMPUTED, f"{told(quantization)}, {how}")


def check_merge(case: Case, log: Log, lineage: Lineage) -> None:
    """Merge base and adapter again, and compare every weight, the scale and the adapted tensors."""
    id_, text = (
        "merge.recomputed",
        "the merged weights are the exactly rounded merge of base and adapter",
    )
    inspector, base = case.verifier.inspector, case.options.base
    try:
        with case.notes.guarded(id_):
            merged = weights_beside(case, log.evidence.merged())
            adapter = weights_beside(case, log.evidence.adapter())
    except Stopped:
        return
    if inspector is None or base is None or merged is None or adapter is None:
        case.notes.unchecked(id_, text, "base model and adapter (--base FOLDER)")
        return
    weights = {"base": base, "adapter": adapter, "merged": merged}
    if not all(_is_logged(case, id_, what, path, lineage) for what, path in weights.items()):
        return
    if (fault := _adapter_fault(inspector, adapter, lineage)) is not None:
        case.notes.fails(id_, fault)
        return
    differences = inspector.compare_merged(base, adapter, merged)
    case.notes.differs(id_, "merged weights differ from the merge", differences)
    if differences:
        case.notes.contradicts()
    if not differences:
        case.notes.holds(id_, text)
        case.notes.upgrade("merged_from", Grade.RECOMPUTED)


def check_base(case: Case, log: Log, lineage: Lineage) -> None:
    """Compare all tensors without an adapter with the base, in full: they need no proofs.

    Which tensors these are follows from the adapter, the merged weights, or the modules that were
    registered before training. The log's own list is only compared: whoever lists all tensors would
    have none of them compared.
    """
    id_, base = "base.recomputed", case.options.base
    text = "every tensor without adapter is the exact quantization of the base's"
    if case.file is None or base is None:
        case.notes.unchecked(id_, text, "base model (--base FOLDER) and the file itself")
        return
    if not _is_logged(case, id_, "base", base, lineage):
        return
    inspector, path = case.file
    try:
        with case.notes.guarded(id_):
            adapted = _adapted(case, inspector, base, log, lineage)
    except Stopped:
        return
    if adapted is None:
        needs = "what shows which tensors are adapted: adapter, merged weights, configured modules"
        case.notes.unchecked(id_, text, needs)
        return
    differences = inspector.compare_unadapted(base, sorted(adapted.names), path)
    case.notes.differs(id_, "file differs from the base where no adapter is", differences)
    if differences:
        case.notes.contradicts()
    if not differences:
        left_out = f"{len(adapted.names)} tensors adapted {adapted.by}"
        case.notes.holds(id_, f"{text}: all but {left_out}, and the metadata")


def _adapted(
    case: Case, inspector: FormatInspector, base: Path, log: Log, lineage: Lineage
) -> _Adapted | None:
    """The adapted tensors, by the best of what is at hand; None if nothing shows them.

    Raises:
        VerificationError: the log lists other ones, or some that no training of the registered
            modules could adapt.
    """
    registered = _registered(inspector, base, lineage)
    adapter = logged_beside(case, lineage.folder("adapter"), log.evidence.adapter())
    if adapter is not None:
        if (fault := _adapter_fault(inspector, adapter, lineage)) is not None:
            raise fault
        found = _Adapted(inspector.adapter_factors(adapter).keys(), "by the adapter")
    elif merged := logged_beside(case, lineage.folder("merged"), log.evidence.merged()):
        found = _Adapted(_changed(base, merged, lineage), "by the merged weights")
    elif registered is None:
        return None
    else:
        fault = _listing_fault(registered, lineage, "the registered configuration")
        if fault is not None:
            raise fault
        return _Adapted(registered, "by the registered configuration")
    if registered is not None and (strange := sorted(found.names - registered)):
        raise VerificationError(
            "a tensor is adapted that belongs to no registered module",
            where=told(strange[0]),
            expected="the base's values",
            actual=f"adapted {found.by}",
        )
    return found


def _registered(inspector: FormatInspector, base: Path, lineage: Lineage) -> Set[str] | None:
    """The tensors of the modules that were registered before training; None if none were."""
    targets = lineage.run_open.fields["config"].get("lora_target_modules")
    if not isinstance(targets, list) or not all(isinstance(name, str) for name in targets):
        return None
    return inspector.adaptable(base, targets)


def _changed(base: Path, merged: Path, lineage: Lineage) -> Set[str]:
    """The tensors in which the merged weights differ; the log must list them all."""
    before, after = tensor_digests(base), tensor_digests(merged)
    changed = {name for name in before.keys() | after if before.get(name) != after.get(name)}
    if missing := sorted(changed - set(lineage.merge.fields["adapted"])):
        raise VerificationError(
            "merged weights differ from the base in a tensor that the log does not call adapted",
            where=told(missing[0]),
            expected="the base's values",
            actual=after.get(missing[0], "absent"),
        )
    return changed


def _listing_fault(adapted: Set[str], lineage: Lineage, by: str) -> VerificationError | None:
    """In what the log's list of adapted tensors differs; None if in nothing."""
    listed = set(lineage.merge.fields["adapted"])
    if not (other := sorted(adapted ^ listed)):
        return None
    said = {True: "adapted", False: "not adapted"}
    return VerificationError(
        f"log lists other tensors as adapted than {by}",
        where=f"merge.adapted {told(other[0])}",
        expected=said[other[0] in adapted],
        actual=said[other[0] in listed],
    )


def _adapter_fault(
    inspector: FormatInspector, adapter: Path, lineage: Lineage
) -> VerificationError | None:
    """In what the merge record says something else than the logged adapter; None if in nothing."""
    fields, factors = lineage.merge.fields, inspector.adapter_factors(adapter)
    if (fault := _listing_fault(factors.keys(), lineage, "the adapter")) is not None:
        return fault
    scale = inspector.adapter_scale(adapter)
    if not is_number(fields["scale"], scale):
        return VerificationError(
            "log names another scale than the adapter's",
            where="merge.scale",
            expected=scale,
            actual=fields["scale"],
        )
    return None


def _is_logged(case: Case, id_: str, what: str, path: Path, lineage: Lineage) -> bool:
    """Whether a folder (`base`, `adapter`, `merged`) is the merge record's; `id_` says if not."""
    with suppress(Stopped), case.notes.guarded(id_):
        require_logged(lineage.folder(what), path)
        return True
    return False
