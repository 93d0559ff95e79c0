"""Multiples of points and sums of them, several times as fast as py_ecc's.

Inside, a point is (X, Y, Z) for x = X / Z^2 and y = Y / Z^3 on a curve y^2 = x^3 + b, or None for
infinity. The formulas are the same for G1 and G2; they differ in the field.

Source: Cohen, Miyaji, Ono, "Efficient Elliptic Curve Exponentiation Using Mixed Coordinates"
(ASIACRYPT 1998), section 2 (Jacobian coordinates).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from py_ecc.fields import optimized_bn128_FQ as FQ
from py_ecc.optimized_bn128 import optimized_curve as curve

from provenance_zk.field import Q as P
from provenance_zk.groth16.fields import Pair, pair_minus, pair_times

Point = Any  # a projective point of py_ecc, whose types are private to it
_Jacobian = tuple[Any, Any, Any] | None


class _Field(NamedTuple):
    one: Any
    times: Callable[[Any, Any], Any]
    minus: Callable[[Any, Any], Any]
    scaled: Callable[[Any, int], Any]


def _scaled(value: Pair, factor: int) -> Pair:
    return value[0] * factor % P, value[1] * factor % P


_G1 = _Field(1, lambda f, g: f * g % P, lambda f, g: (f - g) % P, lambda f, k: f * k % P)
_G2 = _Field((1, 0), pair_times, pair_minus, _scaled)


def _double(field: _Field, point: _Jacobian) -> _Jacobian:
    """2 point; the groups have no point with y = 0, and the twist's order is odd, too."""
    if point is None:
        return None
    (_, times, minus, scaled), (x, y, z) = field, point
    square = times(y, y)
    s = scaled(times(x, square), 4)
    m = scaled(times(x, x), 3)
    doubled = minus(times(m, m), scaled(s, 2))
    height = minus(times(m, minus(s, doubled)), scaled(times(square, square), 8))
    return doubled, height, scaled(times(y, z), 2)


def _add(field: _Field, point: _Jacobian, other: tuple[Any, Any]) -> _Jacobian:
    """point + other, which is given by its x and y."""
    (one, times, minus, scaled), (x, y) = field, other
    if point is None:
        return x, y, one
    px, py, pz = point
    square = times(pz, pz)
    h = minus(times(x, square), px)
    r = minus(times(y, times(square, pz)), py)
    if h == minus(one, one):  # the same x
        return _double(field, point) if r == h else None
    h_square = times(h, h)
    h_cube, v = times(h, h_square), times(px, h_square)
    third = minus(minus(times(r, r), h_cube), scaled(v, 2))
    return third, minus(times(r, minus(v, third)), times(py, h_cube)), times(pz, h)


def _sum(field: _Field, terms: list[tuple[int, tuple[Any, Any]]]) -> _Jacobian:
    total: _Jacobian = None
    for bit in reversed(range(max((k.bit_length() for k, _ in terms), default=0))):
        total = _double(field, total)
        for factor, point in terms:
            if factor >> bit & 1:
                total = _add(field, total, point)
    return total


def sum_of_multiples(terms: Iterable[tuple[int, Point]]) -> Point:
    """The sum of factor * point over terms, for points of G1 and factors >= 0."""
    given = []
    for factor, point in terms:
        if not curve.is_inf(point):
            x, y = map(int, curve.normalize(point))
            given.append((factor, (x, y)))
    total = _sum(_G1, given)
    if total is None:
        return curve.Z1
    x, y, z = total
    # py_ecc's points stand for (x / z, y / z).
    return FQ(x * z), FQ(y), FQ(z**3)


def is_multiple_infinity(factor: int, x: Pair, y: Pair) -> bool:
    """Whether factor * (x, y) is infinity, for a point of the twist and a factor >= 0."""
    return _sum(_G2, [(factor, (x, y))]) is None
