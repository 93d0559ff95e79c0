"""Checks an epoch: what the log says was fed is the dataset, in the order of the run's seed.

D commits to the dataset's leaves, U to the leaves as they were fed, P to their positions. The
product a is over pairs of a leaf of D and its position of P, the product b over the leaves of U.
They are equal if U is D in the order of P. If it is not, they are equal with a probability of at
most N / r over the challenge. The checker recomputes P from the seed and b from the log.

Source: Schwartz, "Fast Probabilistic Algorithms for Verification of Polynomial Identities" (J. ACM
27, 1980), lemma 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from provenance.errors import VerificationError
from provenance.ids import RunId, from_hex
from provenance.verify.protocols import EpochEvidence
from provenance_zk.checker.engine import Engine
from provenance_zk.checker.requirements import Wanted, require_equal, require_key, require_valid
from provenance_zk.field import R
from provenance_zk.proof_file import ProofFile, point_bytes
from provenance_zk.statements import (
    EPOCH_MASK,
    EpochAnchor,
    challenges,
    leaves_to_ints,
    points_hash,
    product_from,
)


def check_epoch(engine: Engine, evidence: EpochEvidence) -> None:
    """Check the seed, P, the products of the logged leaves, and every chunk's proof.

    Args:
        evidence: its files are attacker-controlled.

    Raises:
        InputError: a malformed key, base or proof.
        VerificationError: the first check that fails.
        MissingEvidence: a proof is missing.
    """
    facts, where = evidence.dataset, f"epoch {evidence.epoch}"
    require_key(evidence.words, facts.epoch_key)
    proofs = Wanted(facts.chunks, "epoch", f"{where} proof", facts.epoch_key).parse(evidence.proofs)
    _require_commitments(evidence, proofs, where)
    require_equal(
        "order committed in P and the seed's order",
        where,
        points_hash(engine.positions(evidence.words, evidence.p_bases, evidence.order)),
        evidence.p_hash,
    )
    require_equal("epoch seed", where, _anchor(evidence).seed, evidence.anchoring.seed)
    _require_rearrangement(evidence, proofs, where)
    require_valid(engine, evidence.words, proofs, EPOCH_MASK, f"{where} proof")


def _require_commitments(evidence: EpochEvidence, proofs: Sequence[ProofFile], where: str) -> None:
    """Require that the proofs' D are the registered points, and their U and P the anchored ones."""
    points = [[point_bytes(p) for p in proof.commitments] for proof in proofs]
    bound = (("D", evidence.dataset.d_hash), ("U", evidence.u_hash), ("P", evidence.p_hash))
    for i, (name, expected) in enumerate(bound):
        actual = points_hash(chunk[i] for chunk in points)
        require_equal(f"hash of the {name} points", where, expected, actual)


def _require_rearrangement(
    evidence: EpochEvidence, proofs: Sequence[ProofFile], where: str
) -> None:
    """Require that each b is the product of the logged leaves, and that all a and all b agree."""
    slots = evidence.dataset.slots
    gamma, delta = challenges(evidence.anchoring.seed)
    leaves = _require_elements(leaves_to_ints(evidence.leaves), where)
    product_a = product_b = 1
    for c, proof in enumerate(proofs):
        start = c * slots
        chunk = leaves[start : start + slots]
        b = product_from(gamma, delta, chunk + [0] * (slots - len(chunk)), start)
        a = proof.public_value("a")
        require_equal(
            "public inputs (b is the product of the logged leaves)",
            f"{where} proof {c}",
            (gamma, delta, start, a, b),
            proof.public,
        )
        product_a, product_b = product_a * a % R, product_b * b % R
    if product_a != product_b or product_a == 0:
        raise VerificationError(
            "what was used is not a rearrangement of the dataset",
            where=where,
            expected=hex(product_a),
            actual=hex(product_b),
        )


def _require_elements(leaves: list[int], where: str) -> list[int]:
    """Require logged leaves below r.

    A leaf L + r gives the same product as L, but whoever searches the log for L misses it.
    """
    for position, leaf in enumerate(leaves):
        if leaf >= R:
            raise VerificationError(
                "logged leaf is not a field element",
                where=f"{where} position {position}",
                expected="below r",
                actual=hex(leaf),
            )
    return leaves


def _anchor(evidence: EpochEvidence) -> EpochAnchor:
    facts, anchoring, identity = evidence.dataset, evidence.anchoring, evidence.identity
    return EpochAnchor(
        chain_id=identity.chain_id,
        ledger=from_hex(identity.contracts["ledger"].address, 20),
        registry=from_hex(identity.contracts["registry"].address, 20),
        epoch_key=facts.epoch_key,
        dataset_id=anchoring.dataset_id,
        run_id=RunId(evidence.run_id),
        run_seed=evidence.seed,
        epoch=evidence.epoch,
        number=evidence.number,
        count=facts.count,
        consumed=anchoring.consumed,
        slots=facts.slots,
        log_size=anchoring.log_size,
        log_root=anchoring.log_root,
        d_hash=facts.d_hash,
        u_hash=evidence.u_hash,
        p_hash=evidence.p_hash,
    )
