"""Batches of Groth16 proofs of one key in plain Python: the twin of Groth16Batch.sol.

Each equation of `verifier` is raised to a weight of its own, and all are multiplied: w_j is the
weight of proof j's main equation, v_jk that of the knowledge of its commitment k. Points marked '
are in G2 and stored negated in the key.

    prod_j e(w_j A_j, B_j) * e(sum w_j C_j, delta') * e((sum w_j) alpha, beta') * e(X, gamma')
      * prod_k e(sum_j v_jk commitment_jk, GSigmaNeg_k) * e(sum_j v_jk pok_jk, G_k) = 1
    X = (sum w_j) IC_0 + sum_i (sum_j w_j public_ji) IC_i + sum_j w_j (sum_k commitment_jk)

Source: Bellare, Garay, Rabin, "Fast Batch Verification for Modular Exponentiation and Digital
Signatures" (EUROCRYPT 1998), section 3, the small exponents test; docs/formats/proofs.md
("Batches") for the weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from eth_utils.crypto import keccak
from py_ecc.optimized_bn128 import optimized_curve as curve

from provenance.errors import InputError
from provenance.ids import KeyId
from provenance_zk.field import R
from provenance_zk.groth16.key import Key, parse_key
from provenance_zk.groth16.pairing import is_pairing_one
from provenance_zk.groth16.points import Point
from provenance_zk.groth16.verifier import ProofPoints, proof_points
from provenance_zk.proof_file import ProofFile

MAX_PROOFS = 64


def batch_words(proof: ProofFile) -> bytes:
    """A proof as words of 32 bytes: A, B, C, commitments, proofs of knowledge, public inputs."""
    points = [x for point in (*proof.commitments, *proof.poks) for x in point]
    return b"".join(
        x.to_bytes(32, "big") for x in (*proof.a, *proof.b, *proof.c, *points, *proof.public)
    )


def batch_seed(vk_id: KeyId, proofs: Sequence[ProofFile]) -> bytes:
    """keccak256(key id || words of every proof): the weights depend on all that provers chose."""
    return bytes(keccak(vk_id + b"".join(batch_words(proof) for proof in proofs)))


def batch_weights(seed: bytes, proofs: int, commitments: int) -> list[list[int]]:
    """Weights of 128 bits, never 0.

    Returns:
        A row per proof: the weight of its main equation, then one for each commitment.
    """
    draws = [keccak(seed + i.to_bytes(32, "big"))[:16] for i in range(proofs * (1 + commitments))]
    weights = [int.from_bytes(draw, "big") or 1 for draw in draws]
    return [weights[i : i + 1 + commitments] for i in range(0, len(weights), 1 + commitments)]


def is_valid_batch(words: bytes, proofs: Sequence[ProofFile], mask: int) -> bool:
    """Whether all proofs hold, each with the knowledge of every commitment in `mask`.

    Takes about 0.5 s, and 0.2 s more per proof.

    Args:
        words: bytes of the verifying key; the caller has pinned their keccak-256.
        proofs: attacker-controlled.
        mask: as `verifier.is_valid_proof` takes it.

    Raises:
        InputError: no proofs or more than 64, or what `is_valid_proof` refuses of one of them.
    """
    key = parse_key(words)
    if not 1 <= len(proofs) <= MAX_PROOFS:
        raise InputError("not a batch", expected=f"1..{MAX_PROOFS} proofs", actual=len(proofs))
    points = [proof_points(key, proof, mask) for proof in proofs]
    asked = [k for k in range(len(key.knowledge)) if mask >> k & 1]
    if any(curve.is_inf(p.commitments[k]) for p in points for k in asked):
        return False  # infinity commits to nothing: refused as in `is_valid_proof`
    weights = batch_weights(batch_seed(key.vk_id, proofs), len(proofs), len(key.knowledge))
    return is_pairing_one(_pairs(key, points, [proof.public for proof in proofs], weights, asked))


def _sum(weights: Iterable[int], points: Iterable[Point]) -> Point:
    total = curve.Z1
    for weight, point in zip(weights, points, strict=True):
        total = curve.add(total, curve.multiply(point, weight))
    return total


def _pairs(
    key: Key,
    points: Sequence[ProofPoints],
    public: Sequence[Sequence[int]],
    weights: Sequence[Sequence[int]],
    asked: Sequence[int],
) -> Iterator[tuple[Point, Point]]:
    main = [row[0] for row in weights]
    for weight, proof in zip(main, points, strict=True):
        yield curve.multiply(proof.a, weight), proof.b
    yield _sum(main, [proof.c for proof in points]), key.delta_neg
    yield curve.multiply(key.alpha, sum(main)), key.beta_neg
    inputs = [
        sum(weight * value for weight, value in zip(main, column, strict=True)) % R
        for column in zip(*public, strict=True)
    ]
    x = _sum([sum(main), *inputs], key.ic)
    for k in range(len(key.knowledge)):
        x = curve.add(x, _sum(main, [proof.commitments[k] for proof in points]))
    yield x, key.gamma_neg
    for k in asked:
        column = [row[1 + k] for row in weights]
        g, sigma_neg = key.knowledge[k]
        yield _sum(column, [proof.commitments[k] for proof in points]), sigma_neg
        yield _sum(column, [proof.poks[k] for proof in points]), g
