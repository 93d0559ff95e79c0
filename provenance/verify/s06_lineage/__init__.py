"""Step 6: the records from dataset to released file, each linked to the next by a digest."""

from __future__ import annotations

from dataclasses import dataclass

from provenance.artifacts.identity import NamedFolder
from provenance.ids import to_hex
from provenance.judgement.edges import EDGE_TABLE
from provenance.judgement.verdict import Edge
from provenance.log.graph.folders import binds_files, folder_of
from provenance.log.history import History, Placed
from provenance.log.record import Record
from provenance.text.counted import counted
from provenance.text.shown import quoted
from provenance.verify.case import Case
from provenance.verify.s04_log import Log

UNBOUND = (
    "tokenizer, chat template and settings beside the weights are not bound by this log, which an "
    "earlier release wrote"
)


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

    @property
    def binds_files(self) -> bool:
        """Whether the log binds what lies beside the weights: tokenizer, template, settings."""
        return binds_files(self.run_open)

    def folder(self, what: str) -> NamedFolder:
        """The `base`, `adapter` or `merged` model as the merge names it."""
        return folder_of(self.merge.record, what)


def check_lineage(case: Case, log: Log, history: History) -> Lineage:
    """Digests link dataset, last checkpoint, adapter, merged weights and file.

    Raises:
        Stopped: the record is no release, or the run was fed nothing.
    """
    notes = case.notes
    with notes.guarded("lineage.complete"):
        path = history.path(log.claim.index)
    lineage = Lineage(history, path.checkpoint, path.merge, path.quantize, path.release)
    notes.called(lineage.release.fields["name"])
    notes.adds_edges(edges_of(log, lineage))
    unbound = "" if lineage.binds_files else f"; {UNBOUND}"
    notes.holds(
        "lineage.complete",
        f"dataset, last checkpoint (record {lineage.checkpoint.index}), adapter, merged weights "
        f"and file are linked by digest{unbound}",
    )
    if lineage.binds_files:
        notes.holds("files.bound", _bound(lineage))
    return lineage


def _bound(lineage: Lineage) -> str:
    """What the fold compared, in words."""
    files = lineage.folder("base").files or {}
    return (
        f"the log binds the {counted(len(files), 'file')} beside the base's weights from its first "
        "record on; "
        "the merged model has the same ones, and the adapter those of the last checkpoint"
    )


def edges_of(log: Log, lineage: Lineage) -> list[Edge]:
    """The edges with the grades that the records alone give; later steps raise the grades."""
    opening, quantize = lineage.run_open.fields, lineage.quantize.fields
    nodes = {what: lineage.folder(what).name for what in ("base", "adapter", "merged")} | {
        "dataset": f"dataset {opening['dataset'].get('root')}",
        "batches": f"batches of run {to_hex(log.run.run_id)}",
        "file": quantize["file"],
    }
    name = opening["base"].get("name")
    notes = {
        "adapter_from": "nobody replayed the training",
        "finetuned_from": f"called {quoted(str(name))} by the publisher" if name else None,
        "quantized_from": f"{quoted(str(quantize['quantization']))} by the log",
    }
    rows = (row for row in EDGE_TABLE if {row.parent, row.child} <= nodes.keys())
    return [row.edge(nodes, notes.get(row.kind)) for row in rows]
