"""Reads points of BN254 from words that an attacker may have chosen.

Each is checked to lie in its group.

Source: EIP-196 and EIP-197 (the two curves, order of coordinates, infinity as zeros).
"""

from __future__ import annotations

from collections.abc import Sequence

from py_ecc.fields import optimized_bn128_FQ as FQ
from py_ecc.fields import optimized_bn128_FQ2 as FQ2
from py_ecc.optimized_bn128 import optimized_curve as curve

from provenance.errors import InputError
from provenance_zk.field import Q, R
from provenance_zk.groth16.multiples import Point as Point
from provenance_zk.groth16.multiples import is_multiple_infinity


def _coordinate(value: int, where: str) -> int:
    if not 0 <= value < Q:
        raise InputError(
            "coordinate is not below the base field's order", where=where, actual=hex(value)
        )
    return value


def parse_g1(words: Sequence[int], where: str) -> Point:
    """A point of G1 from (x, y), attacker-controlled; (0, 0) is infinity.

    Raises:
        InputError: a coordinate >= q, or a point that is not on the curve.
    """
    x, y = (_coordinate(word, where) for word in words)
    if x == y == 0:
        return curve.Z1
    point = (FQ(x), FQ(y), FQ.one())
    if not curve.is_on_curve(point, curve.b):
        raise InputError("point is not on the curve", where=where)
    return point  # the curve's order is r: every point on it lies in the group


def parse_g2(words: Sequence[int], where: str) -> Point:
    """A point of G2 from (x1, x0, y1, y0), attacker-controlled; zeros are infinity.

    Raises:
        InputError: a coordinate >= q, or a point that is not on the twist or not in the subgroup.
    """
    x1, x0, y1, y0 = (_coordinate(word, where) for word in words)
    if x1 == x0 == y1 == y0 == 0:
        return curve.Z2
    point = (FQ2([x0, x1]), FQ2([y0, y1]), FQ2.one())
    if not curve.is_on_curve(point, curve.b2):
        raise InputError("point is not on the twist", where=where)
    # The twist has more points than the group, and py_ecc does not check that.
    if not is_multiple_infinity(R, (x0, x1), (y0, y1)):
        raise InputError("point is not in the subgroup", where=where)
    return point
