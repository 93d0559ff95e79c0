"""Anchorings of a run's merge and quantization: what the chain holds, and what it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from provenance.artifacts.tensors import SCALE_UNIT, DType, Layout, TensorTable
from provenance.digest import Digest
from provenance.errors import MissingEvidence, VerificationError
from provenance.ids import to_hex
from provenance.judgement.facts import ModelAnchoringFacts, TableFacts
from provenance.log.record import Record
from provenance.statements import quantization_kind
from provenance.verify.s08_proofs.run import Run
from provenance.verify.s08_proofs.stages import Stage, all_stages

_PLAIN_DECIMAL = re.compile(r"[0-9]{1,6}(\.[0-9]{1,40})?")


@dataclass(frozen=True)
class Anchored:
    """The accepted anchoring of a stage of a run.

    record: the `sample` record that names the anchoring.
    tables: the tables of tensors that the anchoring names; `merged` is always one of them.
    """

    run: Run
    stage: Stage
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


def last_sample(run: Run, stage: Stage) -> Record | None:
    """The last `sample` record of the merge or quantization that the lineage contains.

    Samples of an earlier or later merge or quantization are about other weights.
    """
    sample = run.lineage.history.sample_of(stage.record(run.lineage))
    return None if sample is None else sample.record


def read_anchored(run: Run, stage: Stage, record: Record) -> Anchored:
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


def _accepted(run: Run, stage: Stage, record: Record) -> ModelAnchoringFacts:
    number, models = record.fields["number"], run.case.verifier.trust.contracts.get("models")
    where = f"{stage.name} anchoring {number}"
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
    facts = run.chain.snapshot.model_anchoring(run.log.run.run_id, stage.number, number)
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
    run: Run, stage: Stage, number: int, facts: ModelAnchoringFacts
) -> dict[str, TensorTable]:
    """The tables that the anchoring names, from evidence."""
    value = run.log.evidence.sample_tables(stage.name, number)
    if value is None:
        raise MissingEvidence(
            "evidence lacks the tables of tensors",
            where=f"provenance/samples/{stage.name}-{number}/tables.json",
        )
    tables = {}
    for what in stage.tables:
        table = TensorTable.from_json(value.get(what) or {})
        expected, actual = getattr(facts, what), TableFacts(table.root, table.size)
        if expected != actual:
            raise VerificationError(
                "table is not the anchored one",
                where=f"samples/{stage.name} {what}",
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
    expected = stage.artifact(lineage)
    if (actual := str(Digest(facts.artifact))) != expected:
        raise VerificationError(
            "anchoring is about another artifact",
            where=stage.name,
            expected=expected,
            actual=actual,
        )
    if stage.quantization is None:
        return
    quantization = stage.quantization(lineage)
    kind = quantization_kind(quantization)
    if facts.kind != kind.number:
        raise VerificationError(
            "anchoring's proofs are about another format than the file's",
            where=stage.name,
            expected=f"{quantization}: kind {kind.number}",
            actual=f"kind {facts.kind}",
        )


def _check_tensors(anchored: Anchored) -> None:
    """The merged table holds exactly the adapted tensors, none left out."""
    stage, tensors = anchored.stage.name, anchored.merged.tensors
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
    stage, facts, wanted = anchored.stage.name, anchored.facts, anchored.stage.scale
    if wanted is not None:
        scale = _scale(wanted(anchored.run.lineage))
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
    for other in _others_merged(anchored):
        if other != facts.merged:
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


def _others_merged(anchored: Anchored) -> Iterator[TableFacts]:
    """The merged tables that the accepted anchorings of the other stages name."""
    run = anchored.run
    for stage in all_stages():
        record = last_sample(run, stage)
        if stage == anchored.stage or record is None:
            continue
        number, run_id = record.fields["number"], run.log.run.run_id
        facts = run.chain.snapshot.model_anchoring(run_id, stage.number, number)
        if facts is not None and facts.accepted:
            yield facts.merged
