"""Step 6: the records from dataset to released file, each linked to the next by a digest."""

from __future__ import annotations

from dataclasses import dataclass

from provenance.ids import to_hex
from provenance.judgement.verdict import Edge, Grade
from provenance.log.history import History, Placed
from provenance.log.record import Record
from provenance.verify.case import Case
from provenance.verify.s04_log import Log


@dataclass(frozen=True)
class Lineage:
    """The records on the way to one release, and the history that they stand in."""

    history: History
    checkpoint: Placed
    merge: Placed
    quantize: Placed
    release: Placed

    @property
    def run_open(self) -> Record:
        """The registered `run.open` record."""
        return self.history.opening


def check_lineage(case: Case, log: Log, history: History) -> Lineage:
    """Digests link dataset, last checkpoint, adapter, merged weights and file.

    Raises:
        Stopped: the record is no release, or the run was fed nothing.
    """
    report = case.report
    with report.guarded("lineage.complete"):
        path = history.path(log.claim.index)
    lineage = Lineage(history, path.checkpoint, path.merge, path.quantize, path.release)
    report.name = lineage.release.fields["name"]
    report.edges += _edges(log, lineage)
    report.holds(
        "lineage.complete",
        f"dataset, last checkpoint (record {lineage.checkpoint.index}), adapter, merged weights "
        "and file are linked by digest",
    )
    return lineage


def _edges(log: Log, lineage: Lineage) -> list[Edge]:
    """The edges with the grades that the records alone give; later steps raise the grades."""
    opening, merge, quantize = (
        lineage.run_open.fields,
        lineage.merge.fields,
        lineage.quantize.fields,
    )
    base, adapter, merged = merge["base"], merge["adapter"], merge["merged"]
    dataset, name = f"dataset {opening['dataset'].get('root')}", opening["base"].get("name")
    batches = f"batches of run {to_hex(log.run.run_id)}"
    return [
        Edge("trained_on", dataset, batches, Grade.ANCHORED),
        Edge("adapter_from", batches, adapter, Grade.ANCHORED, "nobody replayed the training"),
        Edge("finetuned_from", base, adapter, Grade.ANCHORED, name),
        Edge("merged_from", adapter, merged, Grade.DECLARED),
        Edge("merged_from", base, merged, Grade.DECLARED),
        Edge("quantized_from", merged, quantize["file"], Grade.DECLARED, quantize["quantization"]),
    ]
