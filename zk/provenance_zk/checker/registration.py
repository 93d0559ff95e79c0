"""Checks a dataset's registration: each chunk's D commits to the leaves under the root.

The link proof of a chunk shows a product of the leaves that D commits to. Tree proofs show the same
product of the leaves under the root (docs/formats/proofs.md, "Accumulators").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from py_ecc.optimized_bn128 import optimized_curve as curve

from provenance.errors import VerificationError
from provenance.ids import from_hex
from provenance.judgement.facts import ChainIdentity, DatasetFacts
from provenance.verify.protocols import RegistrationEvidence
from provenance_zk.checker.engine import Engine, affine_bytes
from provenance_zk.checker.requirements import Wanted, require_equal, require_key, require_valid
from provenance_zk.field import R
from provenance_zk.groth16.key import Outline, parse_outline
from provenance_zk.proof_file import ProofFile, point_bytes
from provenance_zk.statements import (
    D_MASK,
    Registration,
    challenges,
    points_hash,
    product_from,
    used_leaves,
)


def check_registration(engine: Engine, evidence: RegistrationEvidence) -> None:
    """Check the link seed, the dataset id, every tree and link proof, and that products agree.

    Args:
        evidence: its files are attacker-controlled.

    Raises:
        InputError: a malformed key, point or proof.
        VerificationError: the first check that fails.
        MissingEvidence: a proof is missing.
    """
    facts = evidence.dataset
    d_points = [point_bytes(p) for p in evidence.points]
    require_equal("number of D points", "registration", facts.chunks, len(d_points))
    require_equal("hash of the D points", "registration", facts.d_hash, points_hash(d_points))
    registration = _registration(facts, evidence.identity)
    require_equal("link seed", "registration", facts.link_seed, registration.link_seed)
    require_equal("dataset id", "registration", evidence.dataset_id, registration.dataset_id)
    check = _Check(
        facts,
        parse_outline(require_key(evidence.epoch_words, facts.epoch_key)),
        parse_outline(require_key(evidence.tree_words, facts.tree_key)),
        challenges(facts.link_seed),
    )
    tree_count = -(-facts.count // check.tree_key.slots)
    trees = Wanted(tree_count, "tree", "tree proof", check.tree_key.vk_id).parse(evidence.trees)
    links = Wanted(facts.chunks, "epoch", "link proof", check.epoch_key.vk_id).parse(evidence.links)
    for k, proof in enumerate(trees):
        check.tree(k, proof, k == len(trees) - 1)
    for c, proof in enumerate(links):
        check.link(c, proof, d_points[c])
        check.products(c, proof, trees)
    require_valid(engine, evidence.tree_words, trees, 0, "tree proof")
    require_valid(engine, evidence.epoch_words, links, D_MASK, "link proof")


@dataclass(frozen=True)
class _Check:
    """Compares public inputs and commitments with the registration; verifies no proof itself."""

    facts: DatasetFacts
    epoch_key: Outline
    tree_key: Outline
    challenge: tuple[int, int]

    def tree(self, k: int, proof: ProofFile, last: bool) -> None:
        """Check the public inputs of tree proof k; only the product t is the prover's choice."""
        gamma, delta = self.challenge
        used = used_leaves(self.facts.count, k, self.tree_key.slots)
        z = product_from(gamma, delta, [0] * used, k * self.tree_key.slots)
        t = proof.public_value("t")
        expected = (self.facts.root, k, used, int(last), gamma, delta, t, z)
        require_equal("public inputs", f"tree proof {k}", expected, proof.public)

    def link(self, c: int, proof: ProofFile, d_point: bytes) -> None:
        """Check the link proof of chunk c; only the product a is the prover's choice.

        D must be the registered point and U the point at infinity. P must commit to the leaves' own
        positions, unblinded.
        """
        gamma, delta = self.challenge
        key, where = self.epoch_key, f"link proof {c}"
        start = c * key.slots
        b = product_from(gamma, delta, [0] * key.slots, start)
        inputs = (gamma, delta, start, proof.public_value("a"), b)
        require_equal("public inputs", where, inputs, proof.public)
        if key.identity is None or key.total is None:
            raise VerificationError("not an epoch key", where=where)
        identity = curve.add(key.identity, curve.multiply(key.total, start))
        expected = (d_point, bytes(64), affine_bytes(identity))
        actual = tuple(point_bytes(p) for p in proof.commitments)
        require_equal("commitments D, U, P", where, expected, actual)

    def products(self, c: int, link: ProofFile, trees: Sequence[ProofFile]) -> None:
        """Check the products of chunk c: a_c * prod z_k = b_c * prod t_k, and neither side is 0.

        The products are over the tree chunks k that lie in chunk c. t is the product of a tree
        chunk's leaves, z what it is when all leaves are 0; a and b are the same for a chunk of D.
        """
        per_chunk = self.epoch_key.slots // self.tree_key.slots
        left, right = link.public_value("a"), link.public_value("b")
        for proof in trees[c * per_chunk : (c + 1) * per_chunk]:
            left, right = left * proof.public_value("z") % R, right * proof.public_value("t") % R
        if left != right or left == 0:
            raise VerificationError(
                "D does not commit to the leaves under the root",
                where=f"link proof {c}",
                expected=hex(right),
                actual=hex(left),
            )


def _registration(facts: DatasetFacts, identity: ChainIdentity) -> Registration:
    """The registration that the chain's facts describe."""
    return Registration(
        identity.chain_id,
        from_hex(identity.contracts["ledger"].address, 20),
        from_hex(facts.owner, 20),
        facts.epoch_key,
        facts.tree_key,
        facts.root,
        facts.depth,
        facts.count,
        facts.slots,
        facts.d_hash,
    )
