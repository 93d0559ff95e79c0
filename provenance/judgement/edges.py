"""The table of edges: which record makes each, what it links, who speaks about it, what proves it.

Lineage, proofs, policies and docs/formats/verdict.md read it. No edge is graded above its `best`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from provenance.judgement.verdict import Edge, Grade


@dataclass(frozen=True)
class EdgeRow:
    """One kind of edge, from `parent` to `child`, which are roles of artifacts.

    record: type of the record that makes it.
    first: the grade that the records alone give; best: the highest that any check gives.
    claims: ids of the claims that speak about it.
    recomputed: how a verifier computes it again; empty if nobody can.
    statements: kinds of proofs that show it.
    """

    kind: str
    record: str
    parent: str
    child: str
    first: Grade
    best: Grade
    claims: tuple[str, ...] = ()
    recomputed: str = ""
    statements: tuple[str, ...] = ()

    def edge(self, nodes: Mapping[str, str], note: str | None = None) -> Edge:
        """The edge between two artifacts, with the grade that the records alone give.

        nodes: name of each artifact by its role.
        """
        return Edge(self.kind, nodes[self.parent], nodes[self.child], self.first, note)


EDGE_TABLE: tuple[EdgeRow, ...] = (
    EdgeRow(
        "trained_on",
        "batch",
        "dataset",
        "batches",
        Grade.ANCHORED,
        Grade.RECOMPUTED,
        (
            "dataset.registered",
            "epoch.proven",
            "order.recomputed",
            "batches.recomputed",
            "data.fed",
        ),
        "the records are tokenized again",
        ("epoch", "tree"),
    ),
    EdgeRow(
        "adapter_from",
        "checkpoint",
        "batches",
        "adapter",
        Grade.ANCHORED,
        Grade.RECOMPUTED,
        ("history.consistent", "training.learned", "training.replayed"),
        "training is replayed",
    ),
    EdgeRow(
        "finetuned_from",
        "run.open",
        "base",
        "adapter",
        Grade.ANCHORED,
        Grade.ANCHORED,
        ("run.preregistered", "files.bound", "base.traced"),
    ),
    EdgeRow(
        "merged_from",
        "merge",
        "adapter",
        "merged",
        Grade.DECLARED,
        Grade.RECOMPUTED,
        ("merge.proven", "merge.recomputed"),
        "base and adapter are merged again",
        ("merge",),
    ),
    EdgeRow(
        "merged_from",
        "merge",
        "base",
        "merged",
        Grade.DECLARED,
        Grade.RECOMPUTED,
        ("merge.proven", "merge.recomputed", "base.recomputed"),
        "base and adapter are merged again",
        ("merge",),
    ),
    EdgeRow(
        "quantized_from",
        "quantize",
        "merged",
        "file",
        Grade.DECLARED,
        Grade.RECOMPUTED,
        ("quantize.proven", "file.recomputed"),
        "the merged model is quantized again",
        ("q8_0", "int8"),
    ),
    EdgeRow(
        "committed_as",
        "sample",
        "weights",
        "table",
        Grade.DECLARED,
        Grade.RECOMPUTED,
        ("merge.proven", "quantize.proven"),
        "the tensors' roots are computed again",
    ),
    EdgeRow("derived_from", "step", "input", "output", Grade.ANCHORED, Grade.ANCHORED),
)
"""All kinds of edges; there are no others. `derived_from` is whatever a `step` says was done."""

EDGES = tuple(dict.fromkeys(row.kind for row in EDGE_TABLE))
"""The kinds of edges by name."""
BEST = {row.kind: row.best for row in EDGE_TABLE}
"""The highest grade of each kind."""
