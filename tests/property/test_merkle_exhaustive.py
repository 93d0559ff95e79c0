"""RFC 6962 trees against the RFC's own recursive definitions, exhaustively for small sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import VerificationError
from provenance.merkle import Tree, verify_inclusion
from tests.support import plain
from tests.support.core.consistency import verify_consistency

SIZES = 130
ENTRIES = [plain.h(bytes([i])) for i in range(SIZES)]
TREE = Tree(ENTRIES)
ROOTS = [plain.mth(ENTRIES[:n]) for n in range(SIZES + 1)]


def test_roots_of_every_size_are_those_of_the_rfc() -> None:
    assert [TREE.root(n) for n in range(SIZES + 1)] == ROOTS


def test_every_inclusion_proof_is_that_of_the_rfc_and_verifies() -> None:
    for n in range(1, SIZES + 1):
        for i in range(0, n, 1 if n < 40 else 7):
            proof = TREE.inclusion_proof(i, n)
            if n < 40:
                assert proof == plain.path(i, ENTRIES[:n])
            verify_inclusion(ENTRIES[i], i, n, proof, ROOTS[n])


def test_a_proof_for_one_index_verifies_for_no_other() -> None:
    for n in (1, 2, 3, 5, 8, 13, 64, 65, 129):
        for i in range(n):
            proof = TREE.inclusion_proof(i, n)
            for j in {(i + 1) % n, (i + 2) % n, n - 1 - i, n, n + 1} - {i}:
                with pytest.raises(VerificationError):
                    verify_inclusion(ENTRIES[i], j, n, proof, ROOTS[n])


def test_an_entry_verifies_nowhere_but_at_its_place() -> None:
    for n in (2, 3, 7, 8, 33):
        for i in range(n):
            for j in range(n):
                if i != j:
                    with pytest.raises(VerificationError, match="another root"):
                        verify_inclusion(ENTRIES[i], j, n, TREE.inclusion_proof(j, n), ROOTS[n])


def test_consistency_holds_for_all_pairs_of_sizes() -> None:
    for new in range(SIZES + 1):
        for old in range(new + 1):
            verify_consistency(old, new, TREE.consistency_proof(old, new), ROOTS[old], ROOTS[new])


def test_consistency_proofs_are_those_of_the_rfc() -> None:
    for new in range(1, 34):
        for old in range(new + 1):
            assert TREE.consistency_proof(old, new) == plain.proof(old, ENTRIES[:new])


def test_no_consistency_proof_serves_another_pair_of_roots() -> None:
    for new in range(2, 34):
        for old in range(1, new):
            proof = TREE.consistency_proof(old, new)
            with pytest.raises(VerificationError):
                verify_consistency(old, new, proof, ROOTS[old - 1], ROOTS[new])
            with pytest.raises(VerificationError):
                verify_consistency(old, new, proof, ROOTS[old], ROOTS[new - 1])


def test_a_log_that_drops_or_rewrites_an_entry_is_not_consistent() -> None:
    for n in range(2, 20):
        for changed in range(n):
            rewritten = Tree(
                [*ENTRIES[:changed], plain.h(b"other"), *ENTRIES[changed + 1 : n], ENTRIES[n]]
            )
            with pytest.raises(VerificationError, match="another"):
                verify_consistency(
                    n, n + 1, rewritten.consistency_proof(n, n + 1), ROOTS[n], rewritten.root()
                )


@pytest.mark.parametrize(
    "change",
    [lambda p: p[:-1], lambda p: [*p, p[0]], lambda p: [*p[:-1], p[-1][:31]]],
    ids=["short", "long", "narrow"],
)
def test_proofs_of_another_length_are_refused_before_hashing(change: object) -> None:
    proof = change(TREE.inclusion_proof(5, 100))  # type: ignore[operator]
    with pytest.raises(VerificationError, match="wrong length"):
        verify_inclusion(ENTRIES[5], 5, 100, proof, ROOTS[100])
    proof = change(TREE.consistency_proof(5, 100))  # type: ignore[operator]
    with pytest.raises(VerificationError, match="wrong length"):
        verify_consistency(5, 100, proof, ROOTS[5], ROOTS[100])


@given(st.data())
def test_any_flipped_bit_of_an_inclusion_proof_fails(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, SIZES))
    i = data.draw(st.integers(0, n - 1))
    proof = TREE.inclusion_proof(i, n)
    node, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
    proof[node] = flip(proof[node], bit)
    with pytest.raises(VerificationError, match="another root"):
        verify_inclusion(ENTRIES[i], i, n, proof, ROOTS[n])


@given(st.data())
def test_any_flipped_bit_of_a_consistency_proof_fails(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, SIZES))
    old = data.draw(st.integers(1, new - 1))
    proof = TREE.consistency_proof(old, new)
    node, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
    proof[node] = flip(proof[node], bit)
    with pytest.raises(VerificationError, match="root"):
        verify_consistency(old, new, proof, ROOTS[old], ROOTS[new])


@given(st.binary(min_size=32, max_size=32), st.integers(0, 255))
def test_a_flipped_bit_of_entry_or_root_fails(entry: bytes, bit: int) -> None:
    tree = Tree([entry, *ENTRIES[:6]])
    proof = tree.inclusion_proof(0)
    verify_inclusion(entry, 0, 7, proof, tree.root())
    with pytest.raises(VerificationError):
        verify_inclusion(flip(entry, bit), 0, 7, proof, tree.root())
    with pytest.raises(VerificationError):
        verify_inclusion(entry, 0, 7, proof, flip(tree.root(), bit))


def test_an_odd_leaf_is_never_duplicated() -> None:
    a, b, c = ENTRIES[:3]
    assert Tree([a, b, c]).root() != Tree([a, b, c, c]).root()


def test_a_shrunk_log_is_refused() -> None:
    with pytest.raises(VerificationError, match="shrank"):
        verify_consistency(5, 4, [], ROOTS[5], ROOTS[4])


def test_two_roots_of_one_size_are_refused() -> None:
    with pytest.raises(VerificationError, match="different roots"):
        verify_consistency(5, 5, [], ROOTS[5], ROOTS[4])


def test_an_empty_log_has_one_root_only() -> None:
    verify_consistency(0, 0, [], ROOTS[0], ROOTS[0])
    with pytest.raises(VerificationError, match="different roots"):
        verify_consistency(0, 0, [], ROOTS[0], ROOTS[1])


def test_a_proof_where_none_belongs_is_refused() -> None:
    with pytest.raises(VerificationError, match="must be empty"):
        verify_consistency(0, 4, [ROOTS[1]], ROOTS[0], ROOTS[4])


def flip(data: bytes, bit: int) -> bytes:
    return bytes(b ^ (1 << (bit % 8)) if i == bit // 8 else b for i, b in enumerate(data))
