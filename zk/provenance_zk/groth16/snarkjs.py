"""Keys and proofs in the form of snarkjs, so that a foreign verifier can check a proof.

snarkjs has no commitments. So the export adds their sum to IC[0], and an exported key belongs to
one proof. An export does NOT show that the prover knows what the commitments hold. Without that, an
`epoch` proof shows nothing: anyone can make one whose main equation holds (docs/security-model.md,
"Rules of proof verification"). Proofs of the other kinds have no commitments and lose nothing.

Source: snarkjs 0.7.6, src/groth16_verify.js and src/zkey_export_verificationkey.js; numbers are
decimal strings, points projective.
"""

from __future__ import annotations

from typing import Any

from py_ecc.optimized_bn128 import optimized_curve as curve

from provenance_zk.groth16.key import parse_key
from provenance_zk.groth16.points import Point
from provenance_zk.groth16.verifier import proof_points
from provenance_zk.proof_file import ProofFile

KEY_FILE, PROOF_FILE, PUBLIC_FILE = "verification_key.json", "proof.json", "public.json"
_HEAD = {"protocol": "groth16", "curve": "bn128"}


def _g1(point: Point) -> list[str]:
    if curve.is_inf(point):
        return ["0", "1", "0"]
    return [*(str(int(coordinate)) for coordinate in curve.normalize(point)), "1"]


def _g2(point: Point) -> list[list[str]]:
    """A G2 point with the real part first; this project's files have it last."""
    if curve.is_inf(point):
        return [["0", "0"], ["1", "0"], ["0", "0"]]
    return [
        *([str(int(part)) for part in coordinate.coeffs] for coordinate in curve.normalize(point)),
        ["1", "0"],
    ]


def export(words: bytes, proof: ProofFile) -> dict[str, Any]:
    """The files of snarkjs: the key, the proof and its public inputs.

    Does not check whether the proof holds.

    Args:
        words: bytes of the verifying key.
        proof: attacker-controlled.

    Returns:
        JSON value by file name.

    Raises:
        InputError: as `verifier.is_valid_proof`.
    """
    key = parse_key(words)
    points = proof_points(key, proof, 0)
    constant = key.ic[0]
    for commitment in points.commitments:
        constant = curve.add(constant, commitment)
    return {
        KEY_FILE: _HEAD
        | {
            "nPublic": len(proof.public),
            "vk_alpha_1": _g1(key.alpha),
            "vk_beta_2": _g2(curve.neg(key.beta_neg)),
            "vk_gamma_2": _g2(curve.neg(key.gamma_neg)),
            "vk_delta_2": _g2(curve.neg(key.delta_neg)),
            "IC": [_g1(point) for point in (constant, *key.ic[1:])],
        },
        PROOF_FILE: _HEAD | {"pi_a": _g1(points.a), "pi_b": _g2(points.b), "pi_c": _g1(points.c)},
        PUBLIC_FILE: [str(value) for value in proof.public],
    }
