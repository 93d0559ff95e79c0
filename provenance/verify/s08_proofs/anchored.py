"""Anchorings of a run's merge and quantization: what the chain holds, and what it is about."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from provenance.artifacts.tensors import SCALE_UNIT, DType, Layout, TensorTable
from provenance.digest import Digest
from provenance.errors import VerificationError
from provenance.ids import to_hex
from provenance.judgement.facts import ModelAnchoringFacts, TableFacts
from provenance.log.record import Record
from provenance.statements import STAGES, quantization_kind
from provenance.verify.s08_proofs.run import Run

_PLAIN_DECIMAL = re.compile(r"[0-9]{1,6}(\.[0-9]{1,40})?")
_TABLES = {"merge": ("base", "adapter", "merged"), "quantize": ("merged",)}


@dataclass(frozen=True)
class Anchored:
    """The accepted anchoring of a stage (`merge` or `quantize`) of a run.

    record: the `sample` record that names the anchoring.
    tables: the tables of tensors that the anchoring names: `merged`, for a merge also `base` and
        `adapter`.
    """

    run: Run
    stage: str
    record: Record
    facts: ModelAnchoringFacts
    tables: Mapping[str, TensorTable]

    @property
    def number(self) -> int:
        """The anchoring's number among those of its stage, from 0."""
        return int(self.record.fields["number"])

    @property
    def contract(self) -> str:
        """Address of the pinned contract that holds it."""
        return str(self.record.fields["ledger"])

    @property
    def merged(self) -> TensorTable:
        """The table of the merged weights, which every stage names."""
        return self.tables["merged"]


def last_sample(run: Run, stage: str) -> Record | None:
    """The last `sample` record of the merge or quantization that the lineage contains.

    Samples of an earlier or later merge or quantization are about other weights.
    """
    records, lineage = run.log.records, run.lineage
    begin = (lineage.merge if stage == "merge" else lineage.quantize).index
    later = (i for i in range(begin + 1, len(records)) if records[i].type == stage)
    own = records[begin : next(later, len(records))]
    return next(
        (r for r in reversed(own) if r.type == "sample" and r.fields["stage"] == stage), None
    )


def read_anchored(run: Run, stage: str, record: Record) -> Anchored:
    """What a `sample` record names: the chain's anchoring, and the evidence's tables of it.

    Raises:
        VerificationError: not accepted, about other weights than the lineage's, or the tables are
            not the anchored ones.
    """
    facts = _accepted(run, stage, record)
    tables = _tables(run, stage, record.fields["number"], facts)
    anchored = Anchored(run, stage, record, facts, tables)
    _check_artifact(anchored)
    _check_tensors(anchored)
    _check_counts(anchored)
    return anchored


def _accepted(run: Run, stage: str, record: Record) -> ModelAnchoringFacts:
    number, models = record.fields["number"], run.case.verifier.trust.contracts.get("models")
    where = f"{stage} anchoring {number}"
    if models is None:
        raise VerificationError(
            "the trust file pins no contract for statements about weights",
            where=where,
            expected="models: address and code_hash",
        )
    if record.fields["ledger"] != models.address:
        raise VerificationError(
            "sample record names another contract",
            where=where,
            expected=models.address,
            actual=record.fields["ledger"],
        )
    facts = run.chain.snapshot.model_anchoring(run.log.run.run_id, STAGES[stage], number)
    if facts is None or facts.void or not facts.accepted:
        raise VerificationError(
            "anchoring is not accepted on chain",
            where=where,
            expected="accepted",
            actual=_state(facts),
        )
    return facts


def _state(facts: ModelAnchoringFacts | None) -> str:
    """Why an anchoring is not accepted."""
    if facts is None:
        return "unknown"
    return "its draw was missed" if facts.void else "not every drawn block is proven"


def _tables(
    run: Run, stage: str, number: int, facts: ModelAnchoringFacts
) -> dict[str, TensorTable]:
    """The tables that the anchoring names, from evidence."""
    value = run.log.evidence.sample_tables(stage, number)
    if value is None:
        raise VerificationError(
            "evidence lacks the tables of tensors", where=f"samples/{stage}-{number}/tables.json"
        )
    tables = {}
    for what in _TABLES[stage]:
        table = TensorTable.from_json(value.get(what) or {})
        expected, actual = getattr(facts, what), TableFacts(table.root, table.size)
        if expected != actual:
            raise VerificationError(
                "table is not the anchored one",
                where=f"samples/{stage} {what}",
                expected=_shown(expected),
                actual=_shown(actual),
            )
        tables[what] = table
    return tables


def _shown(table: TableFacts) -> str:
    return f"{to_hex(table.root)}, {table.entries} tensors"


def _check_artifact(anchored: Anchored) -> None:
    """The anchoring is about the lineage's merge or file; for a file, in the file's format."""
    stage, facts, lineage = anchored.stage, anchored.facts, anchored.run.lineage
    quantizes = stage == "quantize"
    expected = lineage.release.fields["model"] if quantizes else lineage.merge.fields["merged"]
    if (actual := str(Digest(facts.artifact))) != expected:
        raise VerificationError(
            "anchoring is about another artifact", where=stage, expected=expected, actual=actual
        )
    if not quantizes:
        return
    quantization = lineage.quantize.fields["quantization"]
    kind = quantization_kind(quantization)
    if facts.kind != kind.number:
        raise VerificationError(
            "anchoring's proofs are about another format than the file's",
            where=stage,
            expected=f"{quantization}: kind {kind.number}",
            actual=f"kind {facts.kind}",
        )


def _check_tensors(anchored: Anchored) -> None:
    """The merged table holds exactly the adapted tensors, none left out."""
    stage, tensors = anchored.stage, anchored.merged.tensors
    if any((tensor.dtype, tensor.layout) != (DType.BF16, Layout.ROWS) for tensor in tensors):
        raise VerificationError(
            "proofs are about bfloat16 tensors, row by row", where=stage, expected="BF16, rows"
        )
    names, adapted = [t.name for t in tensors], anchored.run.lineage.merge.fields["adapted"]
    if names != sorted(adapted, key=str.encode):
        raise VerificationError(
            "table does not hold exactly the adapted tensors",
            where=stage,
            expected=f"{len(adapted)} tensors",
            actual=f"{len(names)} tensors",
        )


def _check_counts(anchored: Anchored) -> None:
    """Scale and number of blocks agree with record and table; both stages have one merged table."""
    stage, facts = anchored.stage, anchored.facts
    if stage == "merge":
        scale = _scale(anchored.run.lineage.merge.fields["scale"])
        if facts.scale != scale:
            raise VerificationError(
                "anchored scale is not the merge's",
                where=stage,
                expected=scale,
                actual=facts.scale,
            )
    if facts.blocks != anchored.merged.blocks:
        raise VerificationError(
            "anchoring counts other blocks than its table",
            where=stage,
            expected=anchored.merged.blocks,
            actual=facts.blocks,
        )
    other = _other_merged(anchored)
    if other is not None and other != facts.merged:
        raise VerificationError(
            "merge and quantization are about different merged weights",
            where=stage,
            expected=_shown(other),
            actual=_shown(facts.merged),
        )


def _scale(text: str) -> Fraction:
    """The scale s of a merge record as proofs have it: s * 2^16.

    The text is attacker-controlled, and an exponent in it could make a number of any length.
    """
    if not _PLAIN_DECIMAL.fullmatch(text):
        raise VerificationError(
            "merge record has a scale that no proof can hold",
            where="merge.scale",
            expected="a plain decimal",
            actual=text[:40],
        )
    return Fraction(text) * SCALE_UNIT


def _other_merged(anchored: Anchored) -> TableFacts | None:
    """The merged table that the other stage's accepted anchoring names."""
    run, stage = anchored.run, "quantize" if anchored.stage == "merge" else "merge"
    record = last_sample(run, stage)
    if record is None:
        return None
    facts = run.chain.snapshot.model_anchoring(
        run.log.run.run_id, STAGES[stage], record.fields["number"]
    )
    return facts.merged if facts is not None and facts.accepted else None
