"""Arithmetic of the fields of bn254 on whole numbers: that of p, that of p^2, and that of p^12.

An element of the field of p^2 is a pair (a, b), for a + b i with i^2 = -1. An element of the field
of p^12 is given by its twelve coefficients c_i, as in py_ecc: sum c_i w^i, with
w^12 = 18 w^6 - 82. So i = w^6 - 9.

Source: EIP-197 (the fields).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeVar

from provenance_zk.field import Q as P

Pair = tuple[int, int]
Element = tuple[int, ...]
T = TypeVar("T")

DEGREE = 12
ONE: Element = (1, *[0] * (DEGREE - 1))
_BYTES = 64  # hold a sum of twelve products of coefficients


def power(base: T, exponent: int, one: T, times: Callable[[T, T], T]) -> T:
    """base^exponent, for an exponent >= 0."""
    result = one
    for bit in f"{exponent:b}":
        result = times(result, result)
        if bit == "1":
            result = times(result, base)
    return result


def pair_times(f: Pair, g: Pair) -> Pair:
    """f g."""
    (a, b), (c, d) = f, g
    return (a * c - b * d) % P, (a * d + b * c) % P


def pair_minus(f: Pair, g: Pair) -> Pair:
    """f - g."""
    return (f[0] - g[0]) % P, (f[1] - g[1]) % P


def pair_over(f: Pair, g: Pair) -> Pair:
    """f / g, for g other than 0."""
    c, d = g
    factor = pow(c * c + d * d, -1, P)
    return pair_times(f, (c * factor, -d * factor))


def times(f: Element, g: Element) -> Element:
    """f g, by one multiplication of integers in which the coefficients lie side by side."""
    data = (_joined(f) * _joined(g)).to_bytes(_BYTES * 2 * DEGREE, "little")
    c = [int.from_bytes(data[i : i + _BYTES], "little") for i in range(0, len(data), _BYTES)]
    for i in range(2 * DEGREE - 2, DEGREE - 1, -1):
        c[i - 6] += 18 * c[i]
        c[i - 12] -= 82 * c[i]
    return tuple([value % P for value in c[:DEGREE]])


def _joined(f: Element) -> int:
    return int.from_bytes(b"".join([c.to_bytes(_BYTES, "little") for c in f]), "little")


@cache
def _images() -> tuple[Element, ...]:
    """The coefficients of (w^i)^p for i = 0 .. 11."""
    image = power((0, 1, *[0] * (DEGREE - 2)), P, ONE, times)
    powers = [ONE]
    for _ in range(DEGREE - 1):
        powers.append(times(powers[-1], image))
    return tuple(powers)


def frobenius(f: Element) -> Element:
    """f^p, which is linear in f: sum c_i (w^i)^p."""
    columns = zip(*_images(), strict=True)
    return tuple(
        sum(c * image for c, image in zip(f, column, strict=True)) % P for column in columns
    )


def inverse(f: Element) -> Element:
    """1 / f, for f other than 0: its eleven other conjugates over their product with f."""
    others = conjugate = frobenius(f)
    for _ in range(DEGREE - 2):
        conjugate = frobenius(conjugate)
        others = times(others, conjugate)
    norm = times(f, others)  # lies in the field of p
    factor = pow(norm[0], -1, P)
    return tuple(c * factor % P for c in others)
