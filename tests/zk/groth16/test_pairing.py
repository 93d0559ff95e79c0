"""The pairing and its parts give what py_ecc gives, which works them out in another way."""

from __future__ import annotations

import random

import pytest
from py_ecc.fields import optimized_bn128_FQ12 as FQ12
from py_ecc.optimized_bn128 import G1, G2, Z1, Z2, add, eq, multiply, neg, normalize
from py_ecc.optimized_bn128 import optimized_pairing as reference

from provenance_zk.field import Q as P
from provenance_zk.field import R
from provenance_zk.groth16.fields import (
    ONE,
    Element,
    frobenius,
    inverse,
    pair_over,
    pair_times,
    times,
)
from provenance_zk.groth16.multiples import is_multiple_infinity, sum_of_multiples
from provenance_zk.groth16.pairing import final_exponentiate, is_pairing_one, unreduced

DRAW = random.Random("pairings")
LARGEST = (P - 1,) * 12
W = (0, 1, *[0] * 10)


def element() -> Element:
    return tuple(DRAW.randrange(P) for _ in range(12))


def of(f: FQ12) -> Element:
    return tuple(map(int, f.coeffs))


ELEMENTS = (element(), element(), ONE, W, LARGEST, (P - 1, *[0] * 11))


@pytest.mark.parametrize("f", ELEMENTS)
def test_products_and_inverses_are_py_eccs(f: Element) -> None:
    for g in (*ELEMENTS, (0,) * 12):
        assert times(f, g) == of(FQ12(f) * FQ12(g))
    assert inverse(f) == of(FQ12.one() / FQ12(f))


@pytest.mark.parametrize("f", ELEMENTS)
def test_the_frobenius_map_is_the_power_of_the_modulus(f: Element) -> None:
    assert frobenius(f) == of(FQ12(f) ** P)


def test_a_quotient_of_pairs_is_undone_by_its_product() -> None:
    for f, g in (((3, P - 4), (5, 6)), ((0, 1), (P - 1, 0)), ((2, 0), (0, P - 1))):
        assert pair_times(pair_over(f, g), g) == f


def test_the_final_power_in_parts_is_the_whole_one() -> None:
    f = element()
    assert final_exponentiate(f) == of(reference.final_exponentiate(FQ12(f)))


@pytest.mark.parametrize(
    ("a", "b"), [(1, 1), (5, 7), (1, R - 1), (R - 1, 2), *((DRAW.randrange(R),) * 2,)]
)
def test_the_pairing_is_py_eccs(a: int, b: int) -> None:
    first, second = multiply(G1, a), multiply(G2, b)
    own = final_exponentiate(unreduced(first, second))
    assert own == of(reference.pairing(second, first, final_exponentiate=True))
    assert own != ONE


@pytest.mark.parametrize(("a", "b"), [(1, 1), (2, R - 1), (R // 3, R // 7)])
def test_a_product_of_pairings_is_one_where_the_exponents_cancel(a: int, b: int) -> None:
    first, second = multiply(G1, a), multiply(G2, b)
    product = neg(multiply(G1, a * b % R))
    assert is_pairing_one(iter([(first, second), (product, G2)]))
    assert not is_pairing_one(iter([(first, second), (multiply(product, 2), G2)]))


def test_a_pairing_with_infinity_is_one() -> None:
    assert is_pairing_one(iter([(Z1, G2), (G1, Z2)]))
    assert not is_pairing_one(iter([(Z1, G2), (G1, G2)]))


@pytest.mark.parametrize("factor", [0, 1, 2, 3, R - 1, R, R + 1, 2**256 - 1, DRAW.randrange(R)])
def test_multiples_are_py_eccs(factor: int) -> None:
    point = multiply(G1, 11)
    assert eq(sum_of_multiples([(factor, point)]), multiply(point, factor))
    x, y = (tuple(map(int, c.coeffs)) for c in normalize(multiply(G2, 11)))
    assert is_multiple_infinity(factor, x, y) is (factor % R == 0)


def test_sums_of_equal_opposite_and_infinite_points_are_py_eccs() -> None:
    point, other = multiply(G1, 3), multiply(G1, 10)
    for terms in (
        [],
        [(5, Z1)],
        [(1, point), (1, point)],  # a doubling
        [(1, point), (1, neg(point))],  # infinity
        [(1, point), (1, neg(point)), (1, other)],  # on from infinity
        [(3, point), (1, neg(multiply(G1, 9)))],  # infinity at the last step
        [(7, point), (R - 2, other), (0, other), (2**64, Z1), (R - 1, multiply(G1, 20))],
    ):
        expected = Z1
        for factor, term in terms:
            expected = add(expected, multiply(term, factor))
        assert eq(sum_of_multiples(terms), expected)
