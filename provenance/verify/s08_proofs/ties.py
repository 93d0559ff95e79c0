"""Ties: how a verifier knows that the tables commit to the very weights that the log names.

Each tie is a `committed_as` edge. It is `recomputed` if the verifier computed the roots from the
weights, else `declared`, and the verdict shows which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from provenance.artifacts.tensors import Tensor, TensorTable
from provenance.errors import NotFound, VerificationError
from provenance.ids import to_hex, to_word
from provenance.judgement.verdict import Edge, Grade
from provenance.text.shown import told
from provenance.verify.at_hand import require_logged, weights_beside
from provenance.verify.claims import sentence_of
from provenance.verify.protocols import CommittedTensors, FormatInspector
from provenance.verify.s08_proofs.anchored import Anchored
from provenance.verify.s08_proofs.run import Run

_KIND = "committed_as"


def add_ties(anchored: Anchored, ties: dict[str, Edge]) -> None:
    """Add a `committed_as` edge for each table, unless the other stage has added it already.

    ties: the edges added so far, by table; this stage's are added.

    Raises:
        VerificationError: weights at hand are not the logged ones, or have other roots.
    """
    new = {
        _name(table): _tie(anchored.run, what, table)
        for what, table in anchored.tables.items()
        if _name(table) not in ties
    }
    ties |= new
    anchored.run.case.notes.adds_edges(list(new.values()))


def weakest_tie(anchored: Anchored, ties: Mapping[str, Edge]) -> Grade:
    """The least grade of the ties of a stage's tables: what proofs show is no better."""
    return Grade.least(*(ties[_name(table)].grade for table in anchored.tables.values()))


def _name(table: TensorTable) -> str:
    return f"table {to_hex(table.root)}"


def _tie(run: Run, what: str, table: TensorTable) -> Edge:
    named = run.lineage.folder(what)
    folder, inspector = _folder(run, what), run.case.verifier.inspector
    if folder is None or inspector is None:
        note = f"nobody recomputed the {what} weights' roots here"
        return Edge(_KIND, named.name, _name(table), Grade.DECLARED, note)
    require_logged(named, folder)
    try:
        files = sorted(set(inspector.tensor_files(folder).values()))
        sources = _sources(inspector, what, folder, table)
        made = run.case.verifier.prover.commit_tensors(files, sources)
    except NotFound as error:
        return Edge(_KIND, named.name, _name(table), Grade.DECLARED, sentence_of(error))
    _check_roots(what, table, made.tensors)
    note = f"{table.size} roots recomputed from the {what} weights{_earlier(made)}"
    return Edge(_KIND, named.name, _name(table), Grade.RECOMPUTED, note)


def _earlier(made: CommittedTensors) -> str:
    """How many roots were not computed now, if any."""
    if not made.kept:
        return ""
    return f", {made.kept} of them on this machine earlier, since {made.since}"


def _folder(run: Run, what: str) -> Path | None:
    """The weights at hand: the caller's base, the evidence's adapter and merged model."""
    if what == "base":
        return run.case.options.base
    evidence = run.log.evidence
    folder = evidence.adapter() if what == "adapter" else evidence.merged()
    return weights_beside(run.case, folder)


def _check_roots(what: str, table: TensorTable, made: Sequence[Tensor]) -> None:
    """The table's entries are equal to those computed from the weights."""
    for actual, expected in zip(table.tensors, made, strict=True):
        if expected != actual:
            raise VerificationError(
                f"committed root is not that of the {what} weights",
                where=told(actual.name),
                expected=to_word(expected.root),
                actual=to_word(actual.root),
            )


def _sources(
    inspector: FormatInspector, what: str, folder: Path, table: TensorTable
) -> list[tuple[str, Tensor]]:
    """(name in the files, entry) of each tensor of a table."""
    if what != "adapter":
        return [(tensor.name, tensor) for tensor in table.tensors]
    factors = inspector.adapter_factors(folder)
    return [(_factor(factors, tensor.name), tensor) for tensor in table.tensors]


def _factor(factors: Mapping[str, tuple[str, str]], name: str) -> str:
    """Name in the adapter's file of `<target>:lora_a` or `<target>:lora_b`."""
    target, _, side = name.rpartition(":")
    if target not in factors or side not in ("lora_a", "lora_b"):
        raise VerificationError("table names a factor that the adapter lacks", where=told(name))
    return factors[target][side == "lora_b"]
