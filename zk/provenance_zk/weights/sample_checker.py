"""Checks sampled statements about weights off chain: draw, public inputs, and every group's proof.

Nothing is taken from a proof that can be recomputed: block numbers come from the draw, codes from
the deployed file, roots from the anchored tables.
"""

from __future__ import annotations

from collections.abc import Sequence

from provenance.errors import VerificationError
from provenance.judgement.facts import ModelAnchoringFacts
from provenance.verify.protocols import SampleEvidence, Sampling
from provenance_zk.checker import Engine, equal, parse_proofs, require_key, require_valid
from provenance_zk.groth16.verifier import parse_key
from provenance_zk.kinds import KINDS, RANKS
from provenance_zk.weights import samples


def check_samples(engine: Engine, evidence: SampleEvidence) -> Sampling:
    """Everything that an accepted anchoring rests on.

    Raises:
        VerificationError: the first thing that does not hold.
    """
    facts = evidence.anchoring
    anchoring = anchoring_of(facts)
    where = samples.STAGES[anchoring.stage]
    seed = samples.draw_seed(
        evidence.chain_id,
        bytes.fromhex(evidence.contract[2:]),
        evidence.run_id,
        anchoring.stage,
        evidence.number,
        anchoring.digest(facts.log_size, facts.log_root),
        evidence.draw_hash,
    )
    equal("draw seed", where, facts.seed, seed)
    draws, given, opening = facts.draws, evidence.proofs, evidence.opening
    if opening is not None:
        seed = samples.opening_seed(anchoring.digest(facts.log_size, facts.log_root), opening.nonce)
        draws, given = opening.draws, opening.proofs
    wanted = samples.groups(seed, evidence.merged, draws, facts.slots)
    proofs = parse_proofs(given, len(wanted), anchoring.kind, f"{where} proof")
    rank = _rank(evidence)
    if opening is None:
        _check_codes(evidence, anchoring, wanted, where)
    for i, (group, proof) in enumerate(zip(wanted, proofs, strict=True)):
        equal(
            "public inputs", f"{where} proof {i}", _inputs(anchoring, evidence, group), proof.public
        )
    for vk_id in sorted({proof.vk_id for proof in proofs}):
        words = require_key(evidence.words(vk_id, anchoring.kind), vk_id)
        key, own = (
            parse_key(words),
            [(g, p) for g, p in zip(wanted, proofs, strict=True) if p.vk_id == vk_id],
        )
        for group, _ in own:
            depth = samples.key_depth(anchoring.kind, evidence.merged.tensors[group.tensor], rank)
            equal(
                "shape of the key (blocks, depth)",
                f"{where} tensor {group.tensor}",
                (facts.slots, depth),
                (key.slots, key.depth),
            )
        require_valid(engine, words, [proof for _, proof in own], 0, f"{where} proof")
    return _sampling(evidence, wanted, draws)


def anchoring_of(facts: ModelAnchoringFacts) -> samples.Anchoring:
    """What the chain says was anchored.

    Raises:
        VerificationError: a kind of key that no stage has.
    """
    kind = next((k for k in samples.STAGE_OF if KINDS[k].number == facts.kind), None)
    if kind is None:
        raise VerificationError(
            "anchoring names a kind that proves nothing about weights", actual=facts.kind
        )
    return samples.Anchoring(
        facts.base,
        facts.adapter,
        facts.merged,
        facts.artifact,
        kind,
        facts.slots,
        facts.scale,
        facts.draws,
        facts.blocks,
    )


def _rank(evidence: SampleEvidence) -> int:
    if evidence.base is None or evidence.adapter is None:
        return RANKS[0]  # only a merge key has a rank
    return samples.require_tables(evidence.base, evidence.adapter, evidence.merged)


def _inputs(
    anchoring: samples.Anchoring, evidence: SampleEvidence, group: samples.Group
) -> tuple[int, ...]:
    tensor = evidence.merged.tensors[group.tensor]
    if anchoring.stage == samples.MERGE:
        if evidence.base is None or evidence.adapter is None:
            raise VerificationError("evidence lacks the tables of base and adapter", where="merge")
        return samples.merge_inputs(
            evidence.base, evidence.adapter, evidence.merged, group, anchoring.scale
        )
    if evidence.codes is None:
        raise VerificationError("the deployed file is needed to compare codes", where="quantize")
    return samples.sampled_inputs(anchoring.kind, tensor, group, evidence.codes)


def _check_codes(
    evidence: SampleEvidence,
    anchoring: samples.Anchoring,
    wanted: Sequence[samples.Group],
    where: str,
) -> None:
    """The codes that the contract accepted are those of the file."""
    if anchoring.stage != samples.QUANTIZE:
        return
    start = 1 + len(samples.index_words(range(anchoring.slots)))
    codes = [_inputs(anchoring, evidence, group)[start:] for group in wanted]
    equal(
        "hash of the accepted codes",
        where,
        evidence.anchoring.codes_hash,
        samples.codes_hash(codes),
    )


def _sampling(evidence: SampleEvidence, wanted: Sequence[samples.Group], draws: int) -> Sampling:
    facts = evidence.anchoring
    anchorings = 1 if evidence.opening is not None else evidence.anchorings
    found = samples.confidence(evidence.merged, draws, facts.slots, anchorings)
    return Sampling(
        len(wanted),
        len(wanted) * facts.slots,
        anchorings,
        found.worst,
        found.draws,
        found.at_95,
        found.at_99,
        found.overall_99,
    )
