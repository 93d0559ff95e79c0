"""Checks sampled statements about weights off chain: draw, public inputs, every group's proof.

Public inputs are recomputed, not taken from a proof: block numbers from the draw, codes from the
deployed file, roots from the anchored tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provenance.errors import MissingEvidence, VerificationError
from provenance.ids import from_hex
from provenance.judgement.facts import ModelAnchoringFacts
from provenance.verify.protocols import SampleEvidence, Sampling
from provenance_zk.checker.engine import Engine
from provenance_zk.checker.requirements import Wanted, require_equal, require_key, require_valid
from provenance_zk.groth16.key import parse_outline
from provenance_zk.kinds import KINDS, RANKS
from provenance_zk.weights import samples
from provenance_zk.weights.detection import detection
from provenance_zk.weights.merge_tables import MergeTables
from provenance_zk.weights.samples import Anchoring, Group


def check_samples(engine: Engine, evidence: SampleEvidence) -> Sampling:
    """Check all that an accepted anchoring rests on; returns what its draw detects.

    Args:
        evidence: its files are attacker-controlled.

    Raises:
        InputError: a malformed key or proof.
        VerificationError: the first check that fails.
        MissingEvidence: a table or a proof is missing.
    """
    check = _Check.of(evidence)
    check.anchoring.require_content()
    seed = check.draw_seed()
    require_equal("draw seed", check.where, evidence.anchoring.seed, seed)
    draws, given, opening = evidence.anchoring.draws, evidence.proofs, evidence.opening
    if opening is not None:
        seed = samples.opening_seed(check.digest, opening.nonce)
        draws, given = opening.draws, opening.proofs
    groups = samples.groups(seed, evidence.merged, draws, evidence.anchoring.slots)
    wanted = Wanted(len(groups), check.anchoring.kind, f"{check.where} proof")
    proofs = wanted.parse(given)
    rank = check.rank()
    if opening is None:
        check.require_codes(groups)
    for i, (group, proof) in enumerate(zip(groups, proofs, strict=True)):
        require_equal("public inputs", f"{wanted.where} {i}", check.inputs(group), proof.public)
    for vk_id in sorted({proof.vk_id for proof in proofs}):
        words = require_key(evidence.words(vk_id, wanted.kind), vk_id)
        own = [(g, p) for g, p in zip(groups, proofs, strict=True) if p.vk_id == vk_id]
        check.require_shape(words, [group for group, _ in own], rank)
        require_valid(engine, words, [proof for _, proof in own], 0, wanted.where)
    return _sampling(evidence, groups, draws)


@dataclass(frozen=True)
class _Check:
    """What the chain says was anchored, and the evidence about it; `where` is the stage."""

    evidence: SampleEvidence
    anchoring: Anchoring
    where: str

    @classmethod
    def of(cls, evidence: SampleEvidence) -> _Check:
        anchoring = _anchoring_of(evidence.anchoring)
        return cls(evidence, anchoring, anchoring.stage)

    @property
    def digest(self) -> bytes:
        facts = self.evidence.anchoring
        return self.anchoring.digest(facts.log_size, facts.log_root)

    def draw_seed(self) -> bytes:
        evidence = self.evidence
        draw = samples.Draw(
            evidence.chain_id,
            from_hex(evidence.contract, 20),
            evidence.run_id,
            self.anchoring.stage_number,
            evidence.number,
        )
        return draw.seed(self.digest, evidence.draw_hash)

    def rank(self) -> int:
        """Padded rank of the adapter; any rank for a kind whose keys have none."""
        if not KINDS[self.anchoring.kind].ranked:
            return RANKS[0]
        return self._merge_tables().require_one_merge()

    def _merge_tables(self) -> MergeTables:
        evidence = self.evidence
        if evidence.base is None or evidence.adapter is None:
            raise MissingEvidence("evidence lacks the tables of base and adapter", where=self.where)
        return MergeTables(evidence.base, evidence.adapter, evidence.merged)

    def inputs(self, group: Group) -> tuple[int, ...]:
        """Public inputs that a group's proof must have."""
        makers = {"merge": self._merge_inputs, "quantize": self._quantize_inputs}
        if self.anchoring.stage not in makers:
            raise VerificationError(
                "nothing is known about proofs of this stage",
                where=self.where,
                expected=" or ".join(makers),
            )
        return makers[self.anchoring.stage](group)

    def _merge_inputs(self, group: Group) -> tuple[int, ...]:
        return self._merge_tables().inputs(group, self.anchoring.scale)

    def _quantize_inputs(self, group: Group) -> tuple[int, ...]:
        codes = self.evidence.codes
        if codes is None:
            raise VerificationError(
                "the deployed file is needed to compare codes", where=self.where
            )
        tensor = self.evidence.merged.tensors[group.tensor]
        return samples.sampled_inputs(self.anchoring.kind, tensor, group, codes)

    def require_codes(self, groups: Sequence[Group]) -> None:
        """Require that the codes the contract accepted are those of the deployed file."""
        if "code" not in KINDS[self.anchoring.kind].words:
            return
        start = 1 + len(samples.index_words(range(self.anchoring.slots)))
        codes = samples.codes_hash(self.inputs(group)[start:] for group in groups)
        accepted = self.evidence.anchoring.codes_hash
        require_equal("hash of the accepted codes", self.where, accepted, codes)

    def require_shape(self, words: bytes, groups: Sequence[Group], rank: int) -> None:
        """Require a key that opens as many blocks as anchored, in trees of the tensors' depth."""
        key, slots = parse_outline(words), self.evidence.anchoring.slots
        for group in groups:
            tensor = self.evidence.merged.tensors[group.tensor]
            depth = samples.key_depth(self.anchoring.kind, tensor, rank)
            require_equal(
                "shape of the key (blocks, depth)",
                f"{self.where} tensor {group.tensor}",
                (slots, depth),
                (key.slots, key.depth),
            )


def _anchoring_of(facts: ModelAnchoringFacts) -> Anchoring:
    """The anchoring that the chain's facts describe.

    Raises:
        VerificationError: its kind is of no stage.
    """
    kind = next((k for k in samples.STAGE_OF if KINDS[k].number == facts.kind), None)
    if kind is None:
        raise VerificationError(
            "anchoring names a kind that proves nothing about weights", actual=facts.kind
        )
    return Anchoring(
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


def _sampling(evidence: SampleEvidence, groups: Sequence[Group], draws: int) -> Sampling:
    slots = evidence.anchoring.slots
    anchorings = 1 if evidence.opening is not None else evidence.anchorings
    found = detection(evidence.merged, draws, slots, anchorings)
    return Sampling(
        len(groups),
        len(groups) * slots,
        anchorings,
        found.worst,
        found.draws,
        found.at_95,
        found.at_99,
        found.overall_99,
    )
