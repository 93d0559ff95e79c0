"""Checks a run's Groth16 evidence off chain: the `ProofVerifier` that verification is given.

Nothing is taken from a proof file that can be recomputed: challenges come from the anchored facts,
positions from the seed's order, products from the logged leaves. What is left to the proof is only
what it proves.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from py_ecc.fields import optimized_bn128_FQ as FQ
from py_ecc.optimized_bn128 import optimized_curve as curve

from provenance.artifacts.tensors import Tensor
from provenance.errors import NotFound, VerificationError
from provenance.judgement.facts import ChainIdentity, DatasetFacts
from provenance.verify.protocols import (
    EpochEvidence,
    RegistrationEvidence,
    SampleEvidence,
    Sampling,
)
from provenance_zk.field import R
from provenance_zk.groth16.verifier import Key, parse_key, verify_proof
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.keys import vk_id
from provenance_zk.statements import (
    EPOCH_MASK,
    EpochAnchor,
    ProofFile,
    Registration,
    challenges,
    chunk_count,
    inverse,
    leaves_to_ints,
    p_vector,
    point_bytes,
    points_hash,
    product_from,
    used_leaves,
)
from provenance_zk.weights import stages

KNOWS_D = 0b001


class Engine(Protocol):
    """Checks proofs and recomputes P."""

    def verify(self, words: bytes, proofs: Sequence[ProofFile], mask: int) -> list[bool]: ...
    def positions(self, words: bytes, p_bases: bytes, order: np.ndarray) -> list[bytes]: ...
    def commit_tensors(
        self, files: Sequence[Path], tensors: Sequence[tuple[str, Tensor]]
    ) -> list[Tensor]: ...


class ProverEngine:
    """The `zkprover` binary: milliseconds a proof."""

    def __init__(self, prover: ZkProver) -> None:
        self._prover = prover

    def verify(self, words: bytes, proofs: Sequence[ProofFile], mask: int) -> list[bool]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "vk.words"
            path.write_bytes(words)
            return [v.ok for v in self._prover.verify(path, proofs, mask)]

    def positions(self, words: bytes, p_bases: bytes, order: np.ndarray) -> list[bytes]:
        with tempfile.TemporaryDirectory() as folder:
            path, bases = Path(folder) / "vk.words", Path(folder) / "bases"
            path.write_bytes(words)
            bases.write_bytes(p_bases)
            return list(self._prover.recompute_order(path, bases, order).points)

    def commit_tensors(
        self, files: Sequence[Path], tensors: Sequence[tuple[str, Tensor]]
    ) -> list[Tensor]:
        return stages.commit_tensors(self._prover, files, tensors)


class SlowEngine:
    """Pure Python with py_ecc, independent of the prover: about a second a proof, and a millisecond
    a position.
    """

    def verify(self, words: bytes, proofs: Sequence[ProofFile], mask: int) -> list[bool]:
        return [verify_proof(words, proof, mask) for proof in proofs]

    def positions(self, words: bytes, p_bases: bytes, order: np.ndarray) -> list[bytes]:
        from eth_utils.crypto import keccak

        key = parse_key(words)
        if key.bases[2] != bytes(keccak(p_bases)) or len(p_bases) < 64 * key.slots:
            raise VerificationError(
                "bases of P are not the key's",
                expected="0x" + key.bases[2].hex(),
                actual="0x" + bytes(keccak(p_bases)).hex(),
            )
        bases = [_read_point(p_bases[64 * i : 64 * i + 64]) for i in range(key.slots)]
        pi = inverse([int(x) for x in order])
        return [
            _write_point(_combine(bases, p_vector(pi, c, key.slots)))
            for c in range(chunk_count(len(order), key.slots))
        ]

    def commit_tensors(
        self, files: Sequence[Path], tensors: Sequence[tuple[str, Tensor]]
    ) -> list[Tensor]:
        raise NotFound(
            "weights are not hashed in pure Python",
            hint="build zkprover (make setup) and verify without --slow",
        )


def _read_point(data: bytes) -> Any:
    x, y = int.from_bytes(data[:32], "big"), int.from_bytes(data[32:], "big")
    return (FQ(x), FQ(y), FQ.one())


def _write_point(point: Any) -> bytes:
    if curve.is_inf(point):
        return bytes(64)
    x, y = curve.normalize(point)
    return point_bytes((int(x), int(y)))


def _combine(bases: Sequence[Any], scalars: Sequence[int]) -> Any:
    total = curve.Z1
    for base, scalar in zip(bases, scalars, strict=True):
        total = curve.add(total, curve.multiply(base, scalar))
    return total


def parse_proofs(
    values: Sequence[Mapping[str, Any]], count: int, kind: str, where: str, key: bytes | None = None
) -> list[ProofFile]:
    """Exactly `count` proofs of one kind, under one key if it is given; all attacker-controlled.

    Raises:
        InputError, VerificationError: malformed, another number, kind or key.
    """
    if len(values) != count:
        raise VerificationError(
            "evidence has another number of proofs", where=where, expected=count, actual=len(values)
        )
    proofs = [ProofFile.from_json(value) for value in values]
    for i, proof in enumerate(proofs):
        if proof.kind != kind or key not in (None, proof.vk_id):
            raise VerificationError(
                "proof is for another key",
                where=f"{where} {i}",
                expected=f"{kind} {'0x' + key.hex() if key else ''}",
                actual=f"{proof.kind} 0x{proof.vk_id.hex()}",
            )
    return proofs


def require_valid(
    engine: Engine, words: bytes, proofs: Sequence[ProofFile], mask: int, where: str
) -> None:
    """Have every proof checked.

    Raises:
        VerificationError: names the first that does not hold.
    """
    for i, good in enumerate(engine.verify(words, proofs, mask)):
        if not good:
            raise VerificationError(
                "Groth16 proof does not verify",
                where=f"{where} {i}",
                expected="a valid proof",
                actual="invalid",
            )


def equal(what: str, where: str, expected: object, actual: object) -> None:
    """Raise VerificationError, with both values, unless they are equal."""
    if expected != actual:

        def show(value: object) -> str:
            return "0x" + value.hex() if isinstance(value, bytes) else str(value)

        raise VerificationError(
            f"{what} differs", where=where, expected=show(expected), actual=show(actual)
        )


def _address(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


class ProofChecker:
    """`provenance.verify.protocols.ProofVerifier` over an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def check_registration(self, evidence: RegistrationEvidence) -> None:
        """Link seed, dataset id, every tree and link proof, and the product that ties D to the
        root.
        """
        facts = evidence.dataset
        d_points = [point_bytes(p) for p in evidence.points]
        equal("number of D points", "registration", facts.chunks, len(d_points))
        equal("hash of the D points", "registration", facts.d_hash, points_hash(d_points))
        registration = _registration(facts, evidence.identity)
        equal("link seed", "registration", facts.link_seed, registration.link_seed)
        equal("dataset id", "registration", evidence.dataset_id, registration.dataset_id)
        epoch_key = parse_key(require_key(evidence.epoch_words, facts.epoch_key))
        tree_key = parse_key(require_key(evidence.tree_words, facts.tree_key))
        trees = parse_proofs(
            evidence.trees, -(-facts.count // tree_key.slots), "tree", "tree proof", facts.tree_key
        )
        links = parse_proofs(evidence.links, facts.chunks, "epoch", "link proof", facts.epoch_key)
        gamma, delta = challenges(facts.link_seed)
        for k, proof in enumerate(trees):
            used = used_leaves(facts.count, k, tree_key.slots)
            z = product_from(gamma, delta, [0] * used, k * tree_key.slots)
            expected = (
                facts.root,
                k,
                used,
                int(k == len(trees) - 1),
                gamma,
                delta,
                proof.public_value("t"),
                z,
            )
            equal("public inputs", f"tree proof {k}", expected, proof.public)
        for c, proof in enumerate(links):
            self._check_link(c, proof, d_points[c], epoch_key, (gamma, delta))
            _check_products(c, proof, trees, epoch_key.slots // tree_key.slots)
        require_valid(self._engine, evidence.tree_words, trees, 0, "tree proof")
        require_valid(self._engine, evidence.epoch_words, links, KNOWS_D, "link proof")

    def _check_link(
        self, c: int, proof: ProofFile, d_point: bytes, key: Key, challenge: tuple[int, int]
    ) -> None:
        gamma, delta = challenge
        start = c * key.slots
        b = product_from(gamma, delta, [0] * key.slots, start)
        equal(
            "public inputs",
            f"link proof {c}",
            (gamma, delta, start, proof.public_value("a"), b),
            proof.public,
        )
        if key.identity is None or key.total is None:
            raise VerificationError("not an epoch key", where=f"link proof {c}")
        identity = curve.add(key.identity, curve.multiply(key.total, start))
        expected = (d_point, bytes(64), _write_point(identity))
        equal(
            "commitments D, U, P",
            f"link proof {c}",
            expected,
            tuple(point_bytes(p) for p in proof.commitments),
        )

    def check_epoch(self, evidence: EpochEvidence) -> None:
        """Seed, P, products of the logged leaves and every chunk's proof."""
        facts, anchoring = evidence.dataset, evidence.anchoring
        where = f"epoch {evidence.epoch}"
        require_key(evidence.words, facts.epoch_key)
        proofs = parse_proofs(
            evidence.proofs, facts.chunks, "epoch", f"{where} proof", facts.epoch_key
        )
        points = [[point_bytes(p) for p in proof.commitments] for proof in proofs]
        equal("hash of the D points", where, facts.d_hash, points_hash(p[0] for p in points))
        equal("hash of the U points", where, evidence.u_hash, points_hash(p[1] for p in points))
        equal("hash of the P points", where, evidence.p_hash, points_hash(p[2] for p in points))
        equal(
            "order committed in P and the seed's order",
            where,
            points_hash(self._engine.positions(evidence.words, evidence.p_bases, evidence.order)),
            evidence.p_hash,
        )
        equal("epoch seed", where, _anchor(evidence).seed, anchoring.seed)
        gamma, delta = challenges(anchoring.seed)
        leaves = leaves_to_ints(evidence.leaves)
        for position, leaf in enumerate(leaves):
            if (
                leaf >= R
            ):  # L + r has the product of L, and would be found by nobody who looks for L
                raise VerificationError(
                    "logged leaf is not a field element",
                    where=f"{where} position {position}",
                    expected="below r",
                    actual=hex(leaf),
                )
        product_a = product_b = 1
        for c, proof in enumerate(proofs):
            start = c * facts.slots
            chunk = leaves[start : start + facts.slots]
            b = product_from(gamma, delta, chunk + [0] * (facts.slots - len(chunk)), start)
            a = proof.public_value("a")
            equal(
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
        require_valid(self._engine, evidence.words, proofs, EPOCH_MASK, f"{where} proof")

    def check_samples(self, evidence: SampleEvidence) -> Sampling:
        """Draw, public inputs and every group's proof of a sampled statement about weights."""
        from provenance_zk.weights.sample_checker import check_samples  # it uses the engines above

        return check_samples(self._engine, evidence)

    def commit_tensors(
        self, files: Sequence[Path], tensors: Sequence[tuple[str, Tensor]]
    ) -> list[Tensor]:
        """Commit anew to tensors of safetensors files."""
        return self._engine.commit_tensors(files, tensors)


def _check_products(c: int, link: ProofFile, trees: Sequence[ProofFile], per_chunk: int) -> None:
    left, right = link.public_value("a"), link.public_value("b")
    for proof in trees[c * per_chunk : (c + 1) * per_chunk]:
        left, right = left * proof.public_value("z") % R, right * proof.public_value("t") % R
    if left != right or left == 0:
        raise VerificationError(
            "commitment D is not the tree's leaves",
            where=f"link proof {c}",
            expected=hex(right),
            actual=hex(left),
        )


def _registration(facts: DatasetFacts, identity: ChainIdentity) -> Registration:
    return Registration(
        identity.chain_id,
        _address(identity.contracts["ledger"].address),
        _address(facts.owner),
        facts.epoch_key,
        facts.tree_key,
        facts.root,
        facts.depth,
        facts.count,
        facts.slots,
        facts.d_hash,
    )


def _anchor(evidence: EpochEvidence) -> EpochAnchor:
    facts, anchoring, identity = evidence.dataset, evidence.anchoring, evidence.identity
    return EpochAnchor(
        chain_id=identity.chain_id,
        ledger=_address(identity.contracts["ledger"].address),
        registry=_address(identity.contracts["registry"].address),
        epoch_key=facts.epoch_key,
        dataset_id=anchoring.dataset_id,
        run_id=evidence.run_id,
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


def require_key(words: bytes, expected: bytes) -> bytes:
    """Words that are the key of this id: evidence could bring a key of its own making, whose
    secrets its maker knows.

    Raises:
        VerificationError: another key's.
    """
    equal("key id", "vk.words", expected, vk_id(words))
    return words
