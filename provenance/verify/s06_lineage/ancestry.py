"""What other runs say about the base: which run made it, who released it, what of it was revoked.

What is not at hand is not reached, and the edge to the base says so. `walk.py` goes back.
"""

from __future__ import annotations

from provenance.errors import MissingEvidence
from provenance.judgement.verdict import Edge
from provenance.verify.case import Case
from provenance.verify.claims import annotated, sentence_of
from provenance.verify.s02_chain import Chain
from provenance.verify.s04_log import Log
from provenance.verify.s06_lineage import Lineage, edges_of
from provenance.verify.s06_lineage.found import Ancestry
from provenance.verify.s06_lineage.makers import Asked
from provenance.verify.s06_lineage.walk import Walk

_TO_BASE = "finetuned_from"
_BY_STEP = "derived_from"
_NOBODY = "no run at hand made it"
_NAME = "name the folder that counts (--evidence FOLDER)"
_TRUE_PROOFS = "have the evidence of that run's publisher at hand, or take away what is false"
_NOT_SOUGHT = "nobody looked for a run that made it: this log binds no files beside weights"


def trace_base(case: Case, chain: Chain, log: Log, lineage: Lineage) -> Ancestry:
    """Walk back from the run's base through the runs at hand that made it, and add what they say.

    Raises:
        UnavailableError: chain or prover cannot be reached.
    """
    base, opened = lineage.folder("base").name, log.run.draw_block
    walk = Walk(case, chain, edges_of(log, lineage), base)
    found, notes = walk.begin(lineage, lineage.folder("merged").name, opened), case.notes
    found.revoked.sort(key=str)  # whatever the order in which the runs were visited
    notes.adds_ancestors([_annotated(found, edge) for edge in found.edges])
    notes.develops(*found.development)
    own = found.said(Asked(base, opened)) or _NOBODY
    notes.annotate(_TO_BASE, lambda _: own if lineage.binds_files else _NOT_SOUGHT)
    partly = found.partly.get(Asked(base, opened))
    lacking = _lacking(found)
    if found.fault is not None:
        notes.fails("base.traced", found.fault)
    elif lacking is not None:
        notes.lacks("base.traced", lacking)
    elif found.runs:
        notes.holds("base.traced", _told(found), runs=", ".join(found.runs))
    elif partly is not None:
        notes.unchecked("base.traced", f"of the base: {partly.said}", partly.needs)
    return found


def _annotated(found: Ancestry, edge: Edge) -> Edge:
    """An edge with what is known of whoever made its parent."""
    if edge.kind not in (_TO_BASE, _BY_STEP):
        return edge
    said = found.said(Asked(edge.parent, found.asked[(edge.kind, edge.parent, edge.child)]))
    if said is None:
        return annotated(edge, _NOBODY) if edge.kind == _TO_BASE else edge
    return annotated(edge, said)


def _lacking(found: Ancestry) -> MissingEvidence | None:
    """Evidence that is false, or was not looked at, where no other of the same run is good."""
    for asked, what in found.cut.items():
        if asked not in found.made:
            return MissingEvidence(what, hint=_NAME)
    for asked, error in found.doubted.items():
        if asked not in found.made:
            return MissingEvidence(
                f"proofs at hand are false: {sentence_of(error)}", hint=_TRUE_PROOFS
            )
    return None


def _told(found: Ancestry) -> str:
    makers = [found.runs[run_id] for run_id in found.makers]
    earlier = [called for run_id, called in found.runs.items() if run_id not in found.makers]
    more = f"; {len(earlier)} more made what that was made of: {', '.join(earlier)}"
    logs = "its log" if len(makers) == 1 else "their logs"
    by = f"by {logs}, the base was made by {' and by '.join(makers)}{more if earlier else ''}"
    return f"{by}; release, log, history and proofs of each checked, no weight was compared"
