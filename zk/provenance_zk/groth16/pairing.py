"""The pairing of bn254 for products of pairings.

Points are those of py_ecc. Its own pairing takes ten times as long, since it computes with twelve
coefficients where those of a point have two.

A point (x, y) of G2 stands for the point (x w^2, y w^3) of G1's curve over the field of p^12.

Source: EIP-197 (the pairing); Beuchat et al., "High-Speed Software Implementation of the Optimal
Ate Pairing over Barreto-Naehrig Curves" (Pairing 2010), algorithm 1 (Miller's loop), and section 2
(the final exponent's parts).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from py_ecc.optimized_bn128 import optimized_curve as curve

from provenance_zk.field import Q as P
from provenance_zk.field import R
from provenance_zk.groth16.fields import (
    ONE,
    Element,
    Pair,
    frobenius,
    inverse,
    pair_minus,
    pair_over,
    pair_times,
    power,
    times,
)
from provenance_zk.groth16.points import Point

_LOOP = 6 * 4965661367192848881 + 2  # 6 u + 2, for the u that makes the curve
_HARD = (P**4 - P**2 + 1) // R  # (p^12 - 1) / r = (p^6 - 1) (p^2 + 1) _HARD


def final_exponentiate(f: Element) -> Element:
    """f^((p^12 - 1) / r), for f other than 0."""
    conjugate = f
    for _ in range(6):
        conjugate = frobenius(conjugate)
    f = times(conjugate, inverse(f))
    f = times(frobenius(frobenius(f)), f)
    return _hard_power(f)


def _hard_power(f: Element) -> Element:
    """f^_HARD by the digits of _HARD to the base p, since f^p costs next to nothing."""
    digits, rest = [], _HARD
    while rest:
        rest, digit = divmod(rest, P)
        digits.append(digit)
    table = [ONE]  # at index i is the product of f^(p^k) over the bits k of i
    for _ in digits:
        table += [times(product, f) for product in table]
        f = frobenius(f)
    result = ONE
    for bit in reversed(range(P.bit_length())):
        result = times(result, result)
        index = sum((digit >> bit & 1) << k for k, digit in enumerate(digits))
        if index:
            result = times(result, table[index])
    return result


@cache
def _twists() -> tuple[Pair, Pair]:
    """w^(2 (p - 1)) and w^(3 (p - 1)): powers of w^6 = 9 + i, in the field of p^2."""
    square, cube = (power((9, 1), (P - 1) // n, (1, 0), pair_times) for n in (3, 2))
    return square, cube


class _Loop:
    """Miller's loop at a point (x, y) of G1, beginning with T = (tx, ty) of G2.

    Each step adds a point to T and multiplies `f` by the line through both, at (x, y).
    """

    def __init__(self, x: int, y: int, tx: Pair, ty: Pair) -> None:
        self.f = ONE
        self._x, self._y = x, y
        self._tx, self._ty = tx, ty

    def double(self) -> None:
        a, b = pair_times(self._tx, self._tx)
        slope = pair_over((3 * a, 3 * b), (2 * self._ty[0], 2 * self._ty[1]))
        self.f = times(self.f, self.f)
        self._step(slope, self._tx)

    def add(self, qx: Pair, qy: Pair) -> None:
        """Add a point whose x is not that of T."""
        slope = pair_over(pair_minus(self._ty, qy), pair_minus(self._tx, qx))
        self._step(slope, qx)

    def _step(self, slope: Pair, qx: Pair) -> None:
        """Add a point of this x, through which and T goes the line of this slope.

        The line is slope w (X - tx w^2) - (Y - ty w^3), in which a + b i is a - 9 b + b w^6.
        """
        (a, b), (c, d) = slope, pair_minus(self._ty, pair_times(slope, self._tx))
        w1, w7 = (a - 9 * b) * self._x % P, b * self._x % P
        line = (-self._y % P, w1, 0, (c - 9 * d) % P, 0, 0, 0, w7, 0, d, 0, 0)
        self.f = times(self.f, line)
        third = pair_minus(pair_minus(pair_times(slope, slope), self._tx), qx)
        self._ty = pair_minus(pair_times(slope, pair_minus(self._tx, third)), self._ty)
        self._tx = third


def unreduced(first: Point, second: Point) -> Element:
    """The pairing of points of G1 and G2 before its final power."""
    if curve.is_inf(first) or curve.is_inf(second):
        return ONE
    x, y = map(int, curve.normalize(first))
    qx, qy = ((int(c.coeffs[0]), int(c.coeffs[1])) for c in curve.normalize(second))
    loop = _Loop(x, y, qx, qy)
    for bit in f"{_LOOP:b}"[1:]:
        loop.double()
        if bit == "1":
            loop.add(qx, qy)
    twist_x, twist_y = _twists()
    for sign in (1, -1):  # plus the point with both coordinates to the p, minus that to the p^2
        qx = pair_times((qx[0], -qx[1]), twist_x)
        qy = pair_times((qy[0], -qy[1]), twist_y)
        loop.add(qx, (sign * qy[0], sign * qy[1]))
    return loop.f


def is_pairing_one(pairs: Iterator[tuple[Point, Point]]) -> bool:
    """Whether the product of e(first, second) over pairs of (G1, G2) is 1.

    Args:
        pairs: points that are known to be in their groups, which nothing here checks.
    """
    product = ONE
    for first, second in pairs:
        product = times(product, unreduced(first, second))
    return final_exponentiate(product) == ONE
