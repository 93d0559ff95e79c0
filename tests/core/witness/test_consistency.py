"""The product's check of consistency proofs agrees with the plain one of the tests, on honest
proofs and on each that was changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from provenance.errors import VerificationError
from provenance.merkle import EMPTY_ROOT, Tree, verify_consistency
from tests.support.core.consistency import verify_consistency as plain

MOST = 34
TREE = Tree(hashlib.sha256(bytes([i])).digest() for i in range(MOST))
Case = tuple[int, int, list[bytes], bytes, bytes]


def changed(case: Case) -> Iterator[Case]:
    old, size, proof, before, after = case
    other = bytes(32)
    yield old, size, [*proof, other], before, after
    yield old, size, [other, *proof], before, after
    yield old, size, proof[:-1], before, after
    yield old, size, proof[1:], before, after
    yield old, size, proof[::-1], before, after
    yield old, size, [*proof, b"short"], before, after
    yield old, size, proof, other, after
    yield old, size, proof, before, other
    yield old, size, proof, after, after
    yield old, size, proof, before, before
    yield old, size, [], before, after
    for index in range(len(proof)):
        yield old, size, [*proof[:index], other, *proof[index + 1 :]], before, after
    for near in (old - 1, old + 1):
        yield near, size, proof, before, after
    for near in (size - 1, size + 1, 2 * size, 0):
        yield old, near, proof, before, after


def accepts(check: object, case: Case) -> bool:
    try:
        check(*case)  # type: ignore[operator]
    except VerificationError:
        return False
    return True


@pytest.mark.parametrize("size", range(MOST))
def test_both_checks_say_the_same(size: int) -> None:
    refused = 0
    for old in range(size + 1):
        proof = TREE.consistency_proof(old, size)
        case = (old, size, proof, TREE.root(old), TREE.root(size))
        assert accepts(verify_consistency, case)
        assert accepts(plain, case)
        for other in changed(case):
            said = accepts(verify_consistency, other)
            assert said == accepts(plain, other), other
            refused += not said
    assert refused > 10 * size


def test_a_log_that_shrank_is_none() -> None:
    assert not accepts(verify_consistency, (2, 1, [], TREE.root(2), TREE.root(1)))
    assert not accepts(verify_consistency, (0, 0, [], EMPTY_ROOT, bytes(32)))
    assert not accepts(verify_consistency, (0, 3, [], bytes(32), TREE.root(3)))
