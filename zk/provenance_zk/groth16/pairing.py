"""The pairing of bn254 for products of pairings, on the arithmetic of py_ecc.

py_ecc raises to the power of the field's modulus bit by bit, which takes half of a pairing's time.
That power is the Frobenius map, which is linear: f^p = sum c_i (w^i)^p for f = sum c_i w^i.

Source: EIP-197 (the pairing); Beuchat et al., "High-Speed Software Implementation of the Optimal
Ate Pairing over Barreto-Naehrig Curves" (Pairing 2010), section 2 (the final exponent's parts).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from py_ecc.fields import optimized_bn128_FQ12 as FQ12
from py_ecc.optimized_bn128 import optimized_curve as curve
from py_ecc.optimized_bn128.optimized_pairing import cast_point_to_fq12, miller_loop

from provenance_zk.groth16.points import Point

P, R = curve.field_modulus, curve.curve_order
_HARD = (P**4 - P**2 + 1) // R  # (p^12 - 1) / r = (p^6 - 1) (p^2 + 1) _HARD
_DEGREE = 12


class _Fast(FQ12):
    """An element whose power of the modulus is its image under the Frobenius map."""

    def __pow__(self, exponent: int) -> _Fast:
        return _Fast(frobenius(self).coeffs) if exponent == P else super().__pow__(exponent)


@cache
def _images() -> tuple[tuple[int, ...], ...]:
    """The coefficients of (w^i)^p for i = 0 .. 11."""
    image = FQ12([0, 1] + [0] * (_DEGREE - 2)) ** P
    powers = [FQ12.one()]
    for _ in range(_DEGREE - 1):
        powers.append(powers[-1] * image)
    return tuple(tuple(map(int, power.coeffs)) for power in powers)


def frobenius(f: FQ12) -> FQ12:
    """f^p."""
    columns = zip(*_images(), strict=True)
    given = [int(c) for c in f.coeffs]
    return FQ12(
        [sum(c * image for c, image in zip(given, column, strict=True)) % P for column in columns]
    )


def final_exponentiate(f: FQ12) -> FQ12:
    """f^((p^12 - 1) / r), for f other than 0."""
    conjugate = f
    for _ in range(_DEGREE // 2):
        conjugate = frobenius(conjugate)
    f = conjugate / f
    f = frobenius(frobenius(f)) * f
    return f**_HARD


def unreduced(first: Point, second: Point) -> FQ12:
    """The pairing of points of G1 and G2 before its final power."""
    if curve.is_inf(first) or curve.is_inf(second):
        return FQ12.one()
    x, y, z = (_Fast(c.coeffs) for c in curve.twist(second))
    return miller_loop((x, y, z), cast_point_to_fq12(first), final_exponentiate=False)


def is_pairing_one(pairs: Iterator[tuple[Point, Point]]) -> bool:
    """Whether the product of e(first, second) over pairs of (G1, G2) is 1.

    Args:
        pairs: points that are known to be on their curves, which nothing here checks.
    """
    product = FQ12.one()
    for first, second in pairs:
        product = product * unreduced(first, second)
    return bool(final_exponentiate(product) == FQ12.one())
