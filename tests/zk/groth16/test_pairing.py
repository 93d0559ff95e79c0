"""The pairing's short cuts give what py_ecc gives without them."""

from __future__ import annotations

import random

import pytest
from py_ecc.fields import optimized_bn128_FQ12 as FQ12
from py_ecc.optimized_bn128 import G1, G2, Z1, Z2, multiply, neg
from py_ecc.optimized_bn128 import optimized_pairing as reference

from provenance_zk.groth16.pairing import (
    P,
    R,
    final_exponentiate,
    frobenius,
    is_pairing_one,
    unreduced,
)

DRAW = random.Random("pairings")


def element() -> FQ12:
    return FQ12([DRAW.randrange(P) for _ in range(12)])


def test_the_frobenius_map_is_the_power_of_the_modulus() -> None:
    for f in (element(), element(), FQ12.one(), FQ12([0, 1] + [0] * 10)):
        assert frobenius(f) == f**P


def test_the_final_power_in_parts_is_the_whole_one() -> None:
    f = element()
    assert final_exponentiate(f) == reference.final_exponentiate(f)


def test_the_pairing_is_py_eccs() -> None:
    first, second = multiply(G1, 5), multiply(G2, 7)
    own = final_exponentiate(unreduced(first, second))
    assert own == reference.pairing(second, first, final_exponentiate=True)


@pytest.mark.parametrize(("a", "b"), [(1, 1), (2, R - 1), (R // 3, R // 7)])
def test_a_product_of_pairings_is_one_where_the_exponents_cancel(a: int, b: int) -> None:
    first, second = multiply(G1, a), multiply(G2, b)
    product = neg(multiply(G1, a * b % R))
    assert is_pairing_one(iter([(first, second), (product, G2)]))
    assert not is_pairing_one(iter([(first, second), (multiply(product, 2), G2)]))


def test_a_pairing_with_infinity_is_one() -> None:
    assert is_pairing_one(iter([(Z1, G2), (G1, Z2)]))
    assert not is_pairing_one(iter([(Z1, G2), (G1, G2)]))
