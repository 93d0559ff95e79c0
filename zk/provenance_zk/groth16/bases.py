"""Reads the bases of positions of an epoch key, with which P is recomputed.

Source: docs/formats/proofs.md ("Verifying key"); docs/security-model.md ("Refused keys").
"""

from __future__ import annotations

from collections.abc import Sequence

from eth_utils.crypto import keccak
from py_ecc.optimized_bn128 import optimized_curve as curve

from provenance.errors import InputError, VerificationError
from provenance.ids import to_hex
from provenance_zk.groth16.key import Key
from provenance_zk.groth16.points import Point, parse_g1
from provenance_zk.proof_file import point_ints

_POINT_BYTES = 64
_HINT = "refuse this key"


def parse_position_bases(key: Key, data: bytes) -> list[Point]:
    """Read and check K_0 .. K_n, the bases of P and that of gnark's mask.

    The digest alone does not show that they are sound: whoever made the key chose both. With a
    repeated base, or with an I_0 that is not the sum of i*K_i, P of another order could match.

    Args:
        key: of kind `epoch`.
        data: 64 bytes a base, slots + 1 of them; attacker-controlled.

    Returns:
        slots + 1 points.

    Raises:
        VerificationError: the digest is not the key's.
        InputError: another kind of key or number of bases; a base off the curve, at infinity, equal
            or opposite to another; I_0 or S of the key is not the sum over the bases.
    """
    if key.identity is None or key.total is None:
        raise InputError("key has no bases of positions", expected="epoch", actual=key.kind)
    digest = bytes(keccak(data))
    if digest != key.bases[2]:
        raise VerificationError(
            "bases of P are not the key's", expected=to_hex(key.bases[2]), actual=to_hex(digest)
        )
    if len(data) != _POINT_BYTES * (key.slots + 1):
        raise InputError(
            "bases of P have the wrong length",
            expected=f"{_POINT_BYTES * (key.slots + 1)} bytes",
            actual=f"{len(data)} bytes",
            hint=_HINT,
        )
    bases = [
        _parse_base(data[_POINT_BYTES * i : _POINT_BYTES * (i + 1)], f"base {i} of P")
        for i in range(key.slots + 1)
    ]
    # Only x is compared: a point and its negative count as the same.
    if len({data[i : i + 32] for i in range(0, len(data), _POINT_BYTES)}) < len(bases):
        raise InputError("two bases of P are equal or opposite", hint=_HINT)
    weighted, total = _sums(bases[:-1])
    for name, expected, actual in (("I_0", key.identity, weighted), ("S", key.total, total)):
        if not curve.eq(expected, actual):
            raise InputError(
                f"{name} of the key is not the sum over the bases of P",
                where=f"key {key.vk_id}",
                hint=_HINT,
            )
    return bases


def _parse_base(data: bytes, where: str) -> Point:
    point = parse_g1(point_ints(data), where)
    if curve.is_inf(point):
        raise InputError("base is infinity", where=where, hint=_HINT)
    return point


def _sums(bases: Sequence[Point]) -> tuple[Point, Point]:
    """I_0 = sum i*K_i, which is the sum of K_i + .. + K_(n-1) over all i > 0; and S = sum K_i."""
    tail = weighted = curve.Z1
    for base in reversed(bases[1:]):
        tail = curve.add(tail, base)
        weighted = curve.add(weighted, tail)
    return weighted, curve.add(tail, bases[0])
