"""Sampled blocks of the merge and of the quantization, proven without the weights."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from provenance.artifacts.tensors import Tensor
from provenance.errors import VerificationError
from provenance.judgement.verdict import Edge, Grade
from provenance.log.record import Record
from provenance.statements import kind_numbered
from provenance.text.shown import quoted, told
from provenance.verify.claims import Stopped
from provenance.verify.protocols import NonceOpening, SampleEvidence, Sampling
from provenance.verify.s08_proofs.anchored import Anchored, last_sample, read_anchored
from provenance.verify.s08_proofs.run import Run
from provenance.verify.s08_proofs.stages import Stage, all_stages
from provenance.verify.s08_proofs.ties import add_ties, weakest_tie


def check_samples(run: Run) -> None:
    """Make the claims `merge.proven` and `quantize.proven`, and the edges that they rest on."""
    ties: dict[str, Edge] = {}
    for stage in all_stages():
        record = last_sample(run, stage)
        if stage.name in run.case.options.openings and record is None:
            _refuse_openings(run, stage)
        if record is None:
            needs = "proofs of sampled blocks (provenance prove RUN --weights)"
            run.case.notes.unchecked(stage.claim, stage.shows, needs)
        elif stage.reads_file and run.case.file is None:
            needs = "the file itself, whose codes the proofs are compared with"
            run.case.notes.unchecked(stage.claim, stage.shows, needs)
        else:
            with suppress(Stopped):  # the other stage's claim may hold; the policy judges both
                _check_stage(run, stage, record, ties)


def _check_stage(run: Run, stage: Stage, record: Record, ties: dict[str, Edge]) -> None:
    """ties: of the tables of earlier stages; those of this stage are added."""
    notes, id_ = run.case.notes, stage.claim
    with notes.guarded(id_):
        anchored = read_anchored(run, stage, record)
        evidence = _evidence(anchored)
        sampling = run.case.verifier.prover.check_samples(evidence)
        notes.found_sampling(id_, sampling)
        add_ties(anchored, ties)
        opening = run.case.options.openings.get(stage.name)
        if opening is not None:
            with suppress(Stopped):  # a failed opening does not touch the claim on drawn blocks
                _check_opening(run, stage, evidence, opening)
        _grade_edge(anchored, sampling, weakest_tie(anchored, ties))
        not_shown = kind_numbered(anchored.facts.kind).not_shown
        limit = f"; {not_shown} is not shown by them" if not_shown else ""
        text = f"{stage.shows}: {_describe(sampling)}{limit}"
        notes.holds(id_, text, **_figures(sampling))


def _grade_edge(anchored: Anchored, sampling: Sampling, tie: Grade) -> None:
    """Grade the stage's edges: sampled, or less where a table is tied to its weights by less."""
    run, stage = anchored.run, anchored.stage
    prefix = f"{told(stage.quantization(run.lineage))}, " if stage.quantization is not None else ""
    untied = "" if tie.rank >= Grade.SAMPLED.rank else "; a table is not tied to the logged weights"
    note = f"{prefix}sampled: {_describe(sampling)}{untied}"
    run.case.notes.upgrade(stage.edge, Grade.least(Grade.SAMPLED, tie), note)


def _refuse_openings(run: Run, stage: Stage) -> None:
    """Openings add to anchored samples; without an anchoring they are about nothing."""
    run.case.notes.fails(
        "openings.proven",
        VerificationError(
            "openings were given of a stage whose samples were never proven",
            where=stage.name,
            expected="a sample record of the stage in the log",
            actual="none",
        ),
    )


def _check_opening(run: Run, stage: Stage, evidence: SampleEvidence, opening: NonceOpening) -> None:
    """Make the claim `openings.proven` about the blocks that follow from the caller's nonce."""
    notes = run.case.notes
    with notes.guarded("openings.proven"):
        sampling = run.case.verifier.prover.check_samples(replace(evidence, opening=opening))
        notes.found_sampling("openings.proven", sampling)
        notes.holds(
            "openings.proven",
            f"{stage.name}: blocks drawn at the caller's own nonce hold as well: "
            f"{_describe(sampling)}",
            **_figures(sampling),
        )


def _figures(sampling: Sampling) -> dict[str, str]:
    """The same for programs, with fractions in full precision."""
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


def _describe(sampling: Sampling) -> str:
    """What the draws detect, in words; every verdict prints it."""
    tries = sampling.anchorings
    again = f", counting {tries} anchorings as {tries} tries" if tries > 1 else ""
    return (
        f"{sampling.proofs} proofs over {sampling.draws} drawn blocks; "
        f"tampering with {sampling.overall_99:.2%} of each tensor's blocks is caught with 99 %, "
        f"in the worst tensor ({quoted(sampling.worst)}, {sampling.worst_draws} draws) "
        f"only from {sampling.worst_99:.0%} of its blocks (95 %: {sampling.worst_95:.0%}){again}"
    )


def _codes(run: Run) -> Callable[[Tensor, int], bytes] | None:
    """Reads a block of the deployed file by tensor and block number; None without the file."""
    if run.case.file is None:
        return None
    inspector, path = run.case.file
    deployed = inspector.deployed(path)
    return lambda tensor, block: deployed.block(tensor.name, tensor.rows, tensor.row_blocks, block)


def _evidence(anchored: Anchored) -> SampleEvidence:
    run, facts, tables = anchored.run, anchored.facts, anchored.tables
    verifier, run_id = run.case.verifier, run.log.run.run_id
    snapshot, stage = run.chain.snapshot, anchored.stage
    return SampleEvidence(
        run_id=run_id,
        number=anchored.number,
        anchoring=facts,
        anchorings=snapshot.model_anchoring_count(run_id, stage.number),
        chain_id=run.chain.identity.chain_id,
        contract=anchored.contract,
        draw_hash=verifier.reader.block(facts.draw_block).hash,
        base=tables.get("base"),
        adapter=tables.get("adapter"),
        merged=anchored.merged,
        words=run.pinned_key,
        codes=_codes(run) if stage.reads_file else None,
        proofs=run.log.evidence.sample_proofs(stage.name, anchored.number),
    )
