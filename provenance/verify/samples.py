"""Step 6 for weights: sampled blocks of the merge and of the quantization, proven without the weights.

What is at hand decides how far the committed roots are tied to files: a root that somebody recomputed from the file is `recomputed`,
any other tie stays `declared` and the verdict shows it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

from provenance.artifacts.content import content_digest
from provenance.artifacts.tensors import SCALE_UNIT, STAGES, DType, Layout, Tensor, TensorTable
from provenance.errors import NotFound, VerificationError
from provenance.judgement.facts import ModelAnchoringFacts, TableFacts
from provenance.judgement.verdict import Edge, Grade
from provenance.log.record import Record
from provenance.verify.context import Context, Finding, need
from provenance.verify.protocols import SampleEvidence, Sampling

TEXT = {
    "merge": "sampled blocks of every adapted tensor are the exactly rounded merge of base and adapter",
    "quantize": "sampled blocks of every adapted tensor of the file are the nearest codes of the merged weights",
}
# What `quantize` records call a file's format, and the kind of key that proves about it (docs/formats/statements.md, "Kinds").
KINDS = {"Q8_0": 6, "int8": 7}
_INT8_LIMIT = "; that each row's stored maximum is that of the whole row is not shown by them"
_EDGES = {"merge": "merged_from", "quantize": "quantized_from"}
_PLAIN_DECIMAL = re.compile(r"[0-9]{1,6}(\.[0-9]{1,40})?")
_TABLES = {"merge": ("base", "adapter", "merged"), "quantize": ("merged",)}


def check_samples(ctx: Context) -> None:
    """Claims `merge.proven` and `quantize.proven`, and the edges that show what they rest on."""
    for stage in STAGES:
        record = _last_sample(ctx, stage)
        if record is None:
            ctx.unchecked(
                f"{stage}.proven",
                TEXT[stage],
                "proofs of sampled blocks (provenance prove RUN --weights)",
            )
        elif stage == "quantize" and (ctx.artifact.path is None or ctx.inspector is None):
            ctx.unchecked(
                f"{stage}.proven",
                TEXT[stage],
                "the file itself, whose codes the proofs are compared with",
            )
        else:
            ctx.guarded(f"{stage}.proven", partial(_check, ctx, stage, record))


def _last_sample(ctx: Context, stage: str) -> Record | None:
    """The last anchoring of the lineage's merge or quantization: those of an earlier or later one are about other weights."""
    lineage = need(ctx.lineage)
    begin = next(
        i
        for i, r in enumerate(ctx.records)
        if r is (lineage.merge if stage == "merge" else lineage.quantize)
    )
    end = next(
        (i for i in range(begin + 1, len(ctx.records)) if ctx.records[i].type == stage),
        len(ctx.records),
    )
    return next(
        (
            r
            for r in reversed(ctx.records[begin:end])
            if r.type == "sample" and r.fields["stage"] == stage
        ),
        None,
    )


def _check(ctx: Context, stage: str, record: Record) -> Finding:
    facts = _anchoring(ctx, stage, record)
    tables = _tables(ctx, stage, record, facts)
    _require_subject(ctx, stage, facts, tables["merged"])
    evidence = _evidence(ctx, stage, record, facts, tables)
    sampling = ctx.prover.check_samples(evidence)
    ctx.samplings.append((f"{stage}.proven", sampling))
    ctx.edges += [
        _tie(ctx, what, table) for what, table in tables.items() if not _is_tied(ctx, table)
    ]
    if (opening := ctx.options.openings.get(stage)) is not None:
        ctx.guarded(
            "openings.proven",
            lambda: _check_opening(ctx, stage, replace(evidence, opening=opening)),
        )
    how = (
        f"{need(ctx.lineage).quantize.fields['quantization']}, sampled"
        if stage == "quantize"
        else "sampled"
    )
    ctx.upgrade(_EDGES[stage], Grade.PROVEN, f"{how}: {describe(sampling)}")
    limit = _INT8_LIMIT if stage == "quantize" and facts.kind == KINDS["int8"] else ""
    return Finding(f"{TEXT[stage]}: {describe(sampling)}{limit}", _figures(sampling))


def _check_opening(ctx: Context, stage: str, evidence: SampleEvidence) -> Finding:
    sampling = ctx.prover.check_samples(evidence)
    ctx.samplings.append(("openings.proven", sampling))
    return Finding(
        f"{stage}: blocks drawn at the caller's own nonce hold as well: {describe(sampling)}",
        _figures(sampling),
    )


def _figures(sampling: Sampling) -> dict[str, str]:
    """For programs; fractions in full."""
    return {
        "proofs": str(sampling.proofs),
        "draws": str(sampling.draws),
        "anchorings": str(sampling.anchorings),
        "caught_99": repr(sampling.overall_99),
        "worst_tensor": sampling.worst,
        "worst_draws": str(sampling.worst_draws),
        "worst_caught_99": repr(sampling.worst_99),
        "worst_caught_95": repr(sampling.worst_95),
    }


def describe(sampling: Sampling) -> str:
    """The confidence that a report must print."""
    again = f", misses times {sampling.anchorings} anchorings" if sampling.anchorings > 1 else ""
    return (
        f"{sampling.proofs} proofs over {sampling.draws} drawn blocks; tampering with {sampling.overall_99:.2%} of all blocks is "
        f"caught with 99 %, in the worst tensor ({sampling.worst}, {sampling.worst_draws} draws) only from {sampling.worst_99:.0%} "
        f"of its blocks (95 %: {sampling.worst_95:.0%}){again}"
    )


def _anchoring(ctx: Context, stage: str, record: Record) -> ModelAnchoringFacts:
    run, number = need(ctx.run), record.fields["number"]
    models = ctx.trust.contracts.get("models")
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
    facts = need(ctx.snapshot).model_anchoring(run.run_id, STAGES[stage], number)
    if facts is None or facts.void or not facts.accepted:
        state = (
            "unknown"
            if facts is None
            else "its draw was missed"
            if facts.void
            else "not every drawn block is proven"
        )
        raise VerificationError(
            "anchoring is not accepted on chain", where=where, expected="accepted", actual=state
        )
    return facts


def _tables(
    ctx: Context, stage: str, record: Record, facts: ModelAnchoringFacts
) -> dict[str, TensorTable]:
    """The tables that the anchoring names, from evidence."""
    number = record.fields["number"]
    value = need(ctx.evidence).sample_tables(stage, number)
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
    return f"0x{table.root.hex()}, {table.entries} tensors"


def _require_subject(
    ctx: Context, stage: str, facts: ModelAnchoringFacts, merged: TensorTable
) -> None:
    """The anchoring is about this file or merge, and its table leaves out no adapted tensor."""
    lineage = need(ctx.lineage)
    fields = lineage.merge.fields
    expected = lineage.release.fields["model"] if stage == "quantize" else fields["merged"]
    if (actual := "sha256:" + facts.artifact.hex()) != expected:
        raise VerificationError(
            "anchoring is about another artifact", where=stage, expected=expected, actual=actual
        )
    quantization = lineage.quantize.fields["quantization"]
    if stage == "quantize" and facts.kind != KINDS.get(quantization):
        raise VerificationError(
            "anchoring's proofs are about another format than the file's",
            where=stage,
            expected=f"{quantization}: kind {KINDS.get(quantization)}",
            actual=f"kind {facts.kind}",
        )
    if any((tensor.dtype, tensor.layout) != (DType.BF16, Layout.ROWS) for tensor in merged.tensors):
        raise VerificationError(
            "proofs are about bfloat16 tensors, row by row", where=stage, expected="BF16, rows"
        )
    names = [tensor.name for tensor in merged.tensors]
    if names != sorted(fields["adapted"], key=str.encode):
        raise VerificationError(
            "table does not hold exactly the adapted tensors",
            where=stage,
            expected=f"{len(fields['adapted'])} tensors",
            actual=f"{len(names)} tensors",
        )
    if stage == "merge" and facts.scale != (scale := _scale(fields["scale"])):
        raise VerificationError(
            "anchored scale is not the merge's",
            where=stage,
            expected=str(scale),
            actual=facts.scale,
        )
    if facts.blocks != merged.blocks:
        raise VerificationError(
            "anchoring counts other blocks than its table",
            where=stage,
            expected=merged.blocks,
            actual=facts.blocks,
        )
    other = _other_merged(ctx, stage)
    if other is not None and other != facts.merged:
        raise VerificationError(
            "merge and quantization are about different merged weights",
            where=stage,
            expected=_shown(other),
            actual=_shown(facts.merged),
        )


def _scale(text: str) -> Fraction:
    """s * 2^16 of a merge record (attacker-controlled: no exponents, whose numbers could be of any length)."""
    if not _PLAIN_DECIMAL.fullmatch(text):
        raise VerificationError(
            "merge record has a scale that no proof can hold",
            where="merge.scale",
            expected="a plain decimal",
            actual=text[:40],
        )
    return Fraction(text) * SCALE_UNIT


def _other_merged(ctx: Context, stage: str) -> TableFacts | None:
    """The merged table that the other stage's accepted anchoring names."""
    record = _last_sample(ctx, "quantize" if stage == "merge" else "merge")
    if record is None:
        return None
    facts = need(ctx.snapshot).model_anchoring(
        need(ctx.run).run_id, STAGES[record.fields["stage"]], record.fields["number"]
    )
    return facts.merged if facts is not None and facts.accepted else None


def _evidence(
    ctx: Context,
    stage: str,
    record: Record,
    facts: ModelAnchoringFacts,
    tables: dict[str, TensorTable],
) -> SampleEvidence:
    run, identity = need(ctx.run), need(ctx.identity)
    deployed = (
        need(ctx.inspector).deployed(need(ctx.artifact.path)) if stage == "quantize" else None
    )

    def codes(tensor: Tensor, block: int) -> bytes:
        return need(deployed).block(tensor.name, tensor.rows, tensor.row_blocks, block)

    return SampleEvidence(
        run_id=run.run_id,
        number=record.fields["number"],
        anchoring=facts,
        anchorings=need(ctx.snapshot).model_anchoring_count(run.run_id, STAGES[stage]),
        chain_id=identity.chain_id,
        contract=ctx.trust.contracts["models"].address,
        draw_hash=ctx.reader.block(facts.draw_block).hash,
        base=tables.get("base"),
        adapter=tables.get("adapter"),
        merged=tables["merged"],
        words=ctx.pinned_key,
        codes=codes if deployed is not None else None,
        proofs=need(ctx.evidence).sample_proofs(stage, record.fields["number"]),
    )


def _table_name(table: TensorTable) -> str:
    return f"table 0x{table.root.hex()}"


def _is_tied(ctx: Context, table: TensorTable) -> bool:
    """Whether the other stage has looked at this table already."""
    return any(
        edge.kind == "committed_as" and edge.child == _table_name(table) for edge in ctx.edges
    )


def _tie(ctx: Context, what: str, table: TensorTable) -> Edge:
    """How the weights' content digest is known to belong to the committed roots."""
    digest = need(ctx.lineage).merge.fields[what]
    root = _table_name(table)
    folder = {
        "base": ctx.options.base,
        "adapter": need(ctx.evidence).adapter(),
        "merged": need(ctx.evidence).merged(),
    }[what]
    if folder is None or ctx.inspector is None:
        return Edge(
            "committed_as",
            digest,
            root,
            Grade.DECLARED,
            f"nobody recomputed the {what} weights' roots here",
        )
    if str(content_digest(folder)) != digest:
        raise VerificationError(
            f"{what} weights at hand are not the logged ones",
            where=str(folder),
            expected=digest,
            actual=str(content_digest(folder)),
        )
    try:
        files = sorted(set(ctx.inspector.tensor_files(folder).values()))
        made = ctx.prover.commit_tensors(files, _sources(ctx, what, folder, table))
    except NotFound as error:
        return Edge("committed_as", digest, root, Grade.DECLARED, str(error))
    for expected, actual in zip(table.tensors, made, strict=True):
        if expected != actual:
            raise VerificationError(
                f"committed root is not that of the {what} weights",
                where=expected.name,
                expected=f"0x{actual.root:064x}",
                actual=f"0x{expected.root:064x}",
            )
    return Edge(
        "committed_as",
        digest,
        root,
        Grade.RECOMPUTED,
        f"{table.size} roots recomputed from the {what} weights",
    )


def _sources(
    ctx: Context, what: str, folder: Path, table: TensorTable
) -> Sequence[tuple[str, Tensor]]:
    """(name in the files, entry) of each tensor of a table."""
    if what != "adapter":
        return [(tensor.name, tensor) for tensor in table.tensors]
    factors = need(ctx.inspector).adapter_factors(folder)
    sources = []
    for tensor in table.tensors:
        target, _, side = tensor.name.rpartition(":")
        if target not in factors or side not in ("lora_a", "lora_b"):
            raise VerificationError(
                "table names a factor that the adapter lacks", where=tensor.name
            )
        sources.append((factors[target][side == "lora_b"], tensor))
    return sources
