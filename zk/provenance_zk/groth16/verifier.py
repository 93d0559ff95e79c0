"""Groth16 with Pedersen commitments in plain Python: slow, obvious, and independent.

It shares no code with the prover or the contracts. Each equation is one product of pairings. Points
marked ' are in G2 and stored negated in the key:

    main          e(A, B) e(alpha, beta') e(X, gamma') e(C, delta') = 1
                  X = IC_0 + sum public_i IC_i + sum commitments
    knowledge i   e(commitment_i, GSigmaNeg_i) e(pok_i, G_i) = 1, for each bit i of the mask

NOT checked here: that the commitments are the registered or anchored points, and that the public
inputs are what the statement says. The caller must check both; else a valid proof says nothing.

Source: Groth, "On the Size of Pairing-Based Non-interactive Arguments" (EUROCRYPT 2016), section
3.2; EIP-197 for the pairing; docs/formats/proofs.md for keys and proofs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from py_ecc.optimized_bn128 import optimized_curve as curve

from provenance.errors import InputError
from provenance_zk.field import R
from provenance_zk.groth16.key import Key, parse_key
from provenance_zk.groth16.multiples import sum_of_multiples
from provenance_zk.groth16.pairing import is_pairing_one
from provenance_zk.groth16.points import Point, parse_g1, parse_g2
from provenance_zk.proof_file import ProofFile


@dataclass(frozen=True)
class ProofPoints:
    """The points of a proof, each in its group."""

    a: Point
    b: Point
    c: Point
    commitments: tuple[Point, ...]
    poks: tuple[Point, ...]


def proof_points(key: Key, proof: ProofFile, mask: int) -> ProofPoints:
    """Read the points of a proof (attacker-controlled) under this key.

    Does not check whether the proof holds: `is_valid_proof` does.

    Raises:
        InputError: as `is_valid_proof`.
    """
    _require_fits(key, proof, mask)
    return ProofPoints(
        parse_g1(proof.a, "a"),
        parse_g2(proof.b, "b"),
        parse_g1(proof.c, "c"),
        tuple(parse_g1(point, f"commitments[{i}]") for i, point in enumerate(proof.commitments)),
        tuple(parse_g1(point, f"poks[{i}]") for i, point in enumerate(proof.poks)),
    )


def _require_fits(key: Key, proof: ProofFile, mask: int) -> None:
    if proof.kind != key.kind or proof.vk_id != key.vk_id:
        raise InputError("proof belongs to another key", expected=key.vk_id, actual=proof.vk_id)
    commitments = len(key.knowledge)
    if (len(proof.public), len(proof.commitments), len(proof.poks)) != (
        len(key.ic) - 1,
        commitments,
        commitments,
    ):
        raise InputError("proof has another number of inputs or commitments than its key")
    for i, value in enumerate(proof.public):
        if not 0 <= value < R:
            raise InputError(
                "public input is not a field element",
                where=f"public[{i}]",
                expected=f"< {R}",
                actual=hex(value),
            )
    if not 0 <= mask < 1 << commitments:
        raise InputError("knowledge mask names commitments the key does not have", actual=mask)


def is_valid_proof(words: bytes, proof: ProofFile, mask: int) -> bool:
    """Whether the main equation and the knowledge of every commitment in `mask` hold.

    Takes about 0.1 s, and half as much again per bit of the mask. A commitment at infinity commits
    to nothing, so a proof with one fails where the mask asks for it.

    Args:
        words: bytes of the verifying key; the caller has pinned their keccak-256.
        proof: attacker-controlled.
        mask: bit i asks for the proof of knowledge of commitment i (`EPOCH_MASK`, `D_MASK`).

    Raises:
        InputError: a malformed proof (other lengths, coordinates >= q, public inputs >= r, points
            off their curve or subgroup), a proof of another key, or a key that `parse_key` refuses.
    """
    key = parse_key(words)
    points = proof_points(key, proof, mask)
    if not is_pairing_one(_main_equation(key, proof.public, points)):
        return False
    return all(
        _is_known(key, i, points.commitments[i], points.poks[i])
        for i in range(len(key.knowledge))
        if mask >> i & 1
    )


def is_known(words: bytes, index: int, commitment: tuple[int, int], pok: tuple[int, int]) -> bool:
    """Whether `pok` shows that its maker knows what commitment number `index` holds.

    Args:
        words: bytes of the verifying key.
        index: 0 for D, which is checked at registration.
        commitment: attacker-controlled, as `pok` is.

    Raises:
        InputError: as `is_valid_proof`.
    """
    key = parse_key(words)
    if not 0 <= index < len(key.knowledge):
        raise InputError(
            "key has no such commitment", expected=f"0..{len(key.knowledge) - 1}", actual=index
        )
    return _is_known(key, index, parse_g1(commitment, "commitment"), parse_g1(pok, "pok"))


def _is_known(key: Key, index: int, commitment: Point, pok: Point) -> bool:
    g, sigma_neg = key.knowledge[index]
    return not curve.is_inf(commitment) and is_pairing_one(
        iter([(commitment, sigma_neg), (pok, g)])
    )


def _main_equation(
    key: Key, public: Sequence[int], points: ProofPoints
) -> Iterator[tuple[Point, Point]]:
    x = curve.add(key.ic[0], sum_of_multiples(zip(public, key.ic[1:], strict=True)))
    for commitment in points.commitments:
        x = curve.add(x, commitment)
    yield points.a, points.b
    yield key.alpha, key.beta_neg
    yield x, key.gamma_neg
    yield points.c, key.delta_neg
