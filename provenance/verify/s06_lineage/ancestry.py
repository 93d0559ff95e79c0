"""What other runs say about the base: which run made it, who released it, what of it was revoked.

What is not at hand is not reached, and the edge to the base says so. `walk.py` goes back.
"""

from __future__ import annotations

from dataclasses import replace

from provenance.errors import ProvenanceError, UnavailableError
from provenance.judgement.verdict import Edge
from provenance.verify.case import Case
from provenance.verify.s02_chain import Chain
from provenance.verify.s06_lineage import Lineage
from provenance.verify.s06_lineage.found import Ancestry
from provenance.verify.s06_lineage.walk import Walk


def trace_base(case: Case, chain: Chain, lineage: Lineage) -> Ancestry:
    """Walk back from the run's base through the runs at hand that made it, and add what they say.

    Raises:
        UnavailableError: chain or prover cannot be reached.
    """
    walk = Walk(case, chain)
    try:
        walk.back(lineage, (), case.report.draw_block or 0)
    except UnavailableError:
        raise
    except ProvenanceError as error:
        walk.found.fault = error
    found, report = walk.found, case.report
    report.ancestors = [_noted(edge, found) for edge in found.edges]
    report.development += found.development
    report.edges = [_noted(edge, found, lineage.binds_files) for edge in report.edges]
    partly = found.partly.get(lineage.folder("base").name)
    if found.fault is not None:
        report.fails("base.traced", found.fault)
    elif found.runs:
        report.holds("base.traced", _told(found), runs=", ".join(found.runs))
    elif partly is not None:
        report.unchecked("base.traced", f"of the base: {partly.said}", partly.needs)
    return found


def _told(found: Ancestry) -> str:
    first, *others = found.runs.values()
    more = f", which goes back through {len(others)} more: {', '.join(others)}" if others else ""
    return f"the base was made by {first}{more}; release, log, history and proofs of each checked"


def _noted(edge: Edge, found: Ancestry, binds_files: bool = True) -> Edge:
    """An edge from a base says whether a run at hand made that base."""
    if edge.kind != "finetuned_from":
        return edge
    partly = found.partly.get(edge.parent)
    made = "no run at hand made it" if partly is None else partly.said
    if edge.parent in found.bases:
        made = "made by another run"
    if not binds_files:
        made = "nobody looked for a run that made it: this log binds no files beside weights"
    return replace(edge, note=f"{edge.note}; {made}" if edge.note else made)
