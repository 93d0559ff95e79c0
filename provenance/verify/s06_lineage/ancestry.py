"""What other runs say about the base: which run made it, who released it, what of it was revoked.

What is not at hand is not reached, and the edge to the base says so. `walk.py` goes back.
"""

from __future__ import annotations

from functools import partial

from provenance.errors import MissingEvidence, ProvenanceError, UnavailableError
from provenance.verify.case import Case
from provenance.verify.claims import annotated, sentence_of
from provenance.verify.s02_chain import Chain
from provenance.verify.s04_log import Log
from provenance.verify.s06_lineage import Lineage, edges_of
from provenance.verify.s06_lineage.found import Ancestry
from provenance.verify.s06_lineage.walk import Walk

_TO_BASE = "finetuned_from"
_TRUE_PROOFS = "have the evidence of that run's publisher at hand, or take away what is false"
_NOT_SOUGHT = "nobody looked for a run that made it: this log binds no files beside weights"


def trace_base(case: Case, chain: Chain, log: Log, lineage: Lineage) -> Ancestry:
    """Walk back from the run's base through the runs at hand that made it, and add what they say.

    Raises:
        UnavailableError: chain or prover cannot be reached.
    """
    walk = Walk(case, chain, edges_of(log, lineage))
    try:
        walk.back(lineage, (), log.run.draw_block)
    except UnavailableError:
        raise
    except ProvenanceError as error:
        walk.found.fault = error
    found, notes = walk.found, case.notes
    said = partial(_said, found)
    notes.adds_ancestors(
        [annotated(e, said(e.parent)) if e.kind == _TO_BASE else e for e in found.edges]
    )
    notes.develops(*found.development)
    notes.annotate(_TO_BASE, said if lineage.binds_files else lambda _: _NOT_SOUGHT)
    partly = found.partly.get(lineage.folder("base").name)
    doubts = [error for artifact, error in found.doubted.items() if artifact not in found.bases]
    if found.fault is not None:
        notes.fails("base.traced", found.fault)
    elif doubts:
        lacking = MissingEvidence(
            f"proofs at hand are false: {sentence_of(doubts[0])}", hint=_TRUE_PROOFS
        )
        notes.lacks("base.traced", lacking)
    elif found.runs:
        notes.holds("base.traced", _told(found), runs=", ".join(found.runs))
    elif partly is not None:
        notes.unchecked("base.traced", f"of the base: {partly.said}", partly.needs)
    return found


def _told(found: Ancestry) -> str:
    makers = [found.runs[run_id] for run_id in found.makers]
    earlier = [called for run_id, called in found.runs.items() if run_id not in found.makers]
    more = f"; {len(earlier)} more made what that was made of: {', '.join(earlier)}"
    logs = "its log" if len(makers) == 1 else "their logs"
    by = f"by {logs}, the base was made by {' and by '.join(makers)}{more if earlier else ''}"
    return f"{by}; release, log, history and proofs of each checked, no weight was compared"


def _said(found: Ancestry, base: str) -> str:
    """Whether a run at hand made a base."""
    if base in found.bases:
        return "made by another run, by its log"
    partly = found.partly.get(base)
    return "no run at hand made it" if partly is None else partly.said
