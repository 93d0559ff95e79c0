"""The independent verifier against keys whose secrets are known.

Some attacks can be built exactly only with such a key.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from py_ecc.optimized_bn128 import optimized_curve as curve

from provenance.errors import InputError
from provenance_zk.field import Q, R
from provenance_zk.groth16.key import parse_key
from provenance_zk.groth16.verifier import is_known, is_valid_proof
from provenance_zk.proof_file import ProofFile
from provenance_zk.prover.keys import vk_id
from provenance_zk.statements import FULL_MASK
from tests.support.places import ZK_VECTORS

NO_MASK = 0  # no proof of knowledge is checked
PUBLIC = (11, 12, 13, 14, 15)
D, U, P = 101, 202, 303
Points = tuple[Callable[[int], tuple[int, int]], Callable[[int], tuple[int, ...]]]


def test_a_simulated_proof_verifies(toy: Any) -> None:
    assert is_valid_proof(toy.words, toy.prove(PUBLIC, (D, U, P)), FULL_MASK)


def test_a_proof_does_not_verify_for_another_public_input(toy: Any) -> None:
    proof = toy.prove(PUBLIC, (D, U, P))
    assert not is_valid_proof(toy.words, replace(proof, public=(11, 12, 13, 14, 16)), NO_MASK)


def test_a_proof_of_knowledge_is_checked_for_each_bit_of_the_mask(toy: Any, points: Points) -> None:
    g1, _ = points
    proof = toy.prove(PUBLIC, (D, U, P))
    bad = replace(proof, poks=(proof.poks[0], g1(999), proof.poks[2]))
    assert is_valid_proof(toy.words, bad, 0b101)
    assert not is_valid_proof(toy.words, bad, 0b010)
    for i, (commitment, pok) in enumerate(zip(proof.commitments, proof.poks, strict=True)):
        assert is_known(toy.words, i, commitment, pok)
        assert not is_known(toy.words, (i + 1) % 3, commitment, pok)


def test_shifted_commitments_pass_only_where_knowledge_is_not_checked(
    toy: Any, points: Points
) -> None:
    """D + X and P - X pass the main equation, which sees only the sum of the commitments."""
    g1, _ = points
    proof = toy.prove(PUBLIC, (D, U, P))
    moved = replace(proof, commitments=(g1(D + 5), g1(U), g1(P - 5)))
    assert is_valid_proof(toy.words, moved, NO_MASK)
    assert not is_valid_proof(toy.words, moved, 0b001)


def test_a_forgery_by_d_passes_only_where_its_knowledge_is_not_checked(
    toy: Any, points: Points
) -> None:
    """A = alpha, B = beta, C = 0, D = -(K0 + sum pub_i K_i), where K are the key's input points.

    The main equation holds without a witness and without a secret.
    """
    g1, g2 = points
    x = toy.ic[0] + sum(p * i for p, i in zip(PUBLIC, toy.ic[1:], strict=True))
    forged = ProofFile(
        "epoch",
        vk_id(toy.words),
        g1(toy.alpha),
        tuple(g2(toy.beta)),
        (0, 0),
        (g1(-x), (0, 0), (0, 0)),  # type: ignore[arg-type]
        ((0, 0),) * 3,
        PUBLIC,
    )
    assert is_valid_proof(toy.words, forged, NO_MASK)
    assert not is_valid_proof(toy.words, forged, 0b001)
    assert not is_known(toy.words, 0, forged.commitments[0], (0, 0))


def test_infinity_shows_no_knowledge(toy: Any) -> None:
    proof = toy.prove(PUBLIC, (D, 0, P))
    assert proof.commitments[1] == proof.poks[1] == (0, 0)
    assert is_valid_proof(toy.words, proof, 0b101)
    assert not is_valid_proof(toy.words, proof, 0b010)


def test_one_proof_has_two_valid_forms(toy: Any) -> None:
    proof = toy.prove(PUBLIC, (D, U, P))
    twin = replace(
        proof, a=(proof.a[0], Q - proof.a[1]), b=(*proof.b[:2], Q - proof.b[2], Q - proof.b[3])
    )
    assert twin != proof
    assert is_valid_proof(toy.words, twin, NO_MASK)


# malformed proofs: refused before any pairing


def off_subgroup() -> tuple[int, int, int, int]:
    """A point of the twist outside the group of order r, by trying x coordinates."""
    from py_ecc.fields import optimized_bn128_FQ2 as FQ2

    for x0 in range(1, 200):
        x = FQ2([x0, 0])
        square = x * x * x + curve.b2
        root = square ** ((Q**2 + 15) // 32)
        for power in range(16):
            candidate = root * (FQ2([9, 1]) ** (power * (Q**2 - 1) // 16))
            point = (x, candidate, FQ2.one())
            if candidate * candidate == square and not curve.is_inf(curve.multiply(point, R)):
                (a0, a1), (b0, b1) = x.coeffs, candidate.coeffs
                return int(a1), int(a0), int(b1), int(b0)
    raise AssertionError("no such point found")


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("a", (1, 3), "not on the curve"),
        ("a", (1 + Q, 2), "base field"),
        ("a", (0, Q), "base field"),
        ("c", (2**256 - 1, 2), "base field"),
        ("b", (1, 2, 3, 4), "not on the twist"),
        ("b", (Q, 0, 0, 0), "base field"),
        ("public", (11, 12, 13, 14, 15 + R), "field element"),
        ("public", (R, 0, 0, 0, 0), "field element"),
        ("public", (1, 2, 3, 4), "number of inputs"),
        ("public", (1, 2, 3, 4, 5, 0), "number of inputs"),
        ("commitments", ((1, 2), (1, 2)), "number of inputs"),
        ("poks", ((1, 2), (1, 2), (0, 1)), "not on the curve"),
        ("commitments", ((1, 2), (1, 2), (1, 1)), "not on the curve"),
        ("vk_id", bytes(32), "another key"),
        ("kind", "tree", "another key"),
    ],
)
def test_a_malformed_proof_is_refused(toy: Any, field: str, value: Any, what: str) -> None:
    proof = toy.prove(PUBLIC, (D, U, P))
    with pytest.raises(InputError, match=what):
        is_valid_proof(toy.words, replace(proof, **{field: value}), FULL_MASK)


def test_a_point_outside_the_subgroup_is_refused(toy: Any) -> None:
    with pytest.raises(InputError, match="subgroup"):
        is_valid_proof(
            toy.words, replace(toy.prove(PUBLIC, (D, U, P)), b=off_subgroup()), FULL_MASK
        )


@pytest.mark.parametrize("mask", [-1, 8, 2**70])
def test_a_mask_for_commitments_that_do_not_exist_is_refused(toy: Any, mask: int) -> None:
    with pytest.raises(InputError, match="mask"):
        is_valid_proof(toy.words, toy.prove(PUBLIC, (D, U, P)), mask)


# keys that nobody may trust


def test_an_honest_key_is_read(toy: Any) -> None:
    key = parse_key(toy.words)
    assert (key.kind, key.slots, key.depth, len(key.ic), len(key.knowledge)) == (
        "epoch",
        256,
        0,
        6,
        3,
    )


def test_a_ceremony_key_with_gamma_as_generator_is_no_reason_to_refuse(toy: Any) -> None:
    assert parse_key(replace(toy, gamma=1).words)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda k: {"gamma": k.delta}, "gamma = delta"),
        (lambda k: {"delta": 1}, "generator"),
        (lambda k: {"sigmas": (k.sigmas[0], k.sigmas[1], k.sigmas[0])}, "sigma keys"),
        (lambda k: {"sigmas": (1, *k.sigmas[1:])}, "sigma is 1"),
        (lambda k: {"sigmas": (*k.sigmas[:2], R - 1)}, "sigma is 1"),
        (lambda k: {"ic": (*k.ic[:5], k.ic[1])}, "share a base"),
        (lambda k: {"ic": (*k.ic[:5], R - k.ic[1])}, "share a base"),
        (lambda k: {"ic": (*k.ic[:5], 0)}, "infinity"),
        (lambda k: {"alpha": 0}, "infinity"),
        (lambda k: {"ic": k.ic[:5]}, "length"),
        (lambda k: {"ic": (*k.ic, 9)}, "length"),
        (lambda k: {"sigmas": k.sigmas[:2]}, "length"),
        (lambda k: {"header": (2, 1, 256, 0, 5, 3, 0)}, "version"),
        (lambda k: {"header": (1, 9, 256, 0, 5, 3, 0)}, "kind"),
        (lambda k: {"header": (1, 2, 256, 5, 5, 3, 0)}, "fit its statement"),
        (lambda k: {"header": (1, 1, 256, 0, 4, 3, 0)}, "fit its statement"),
        (lambda k: {"header": (1, 1, 256, 0, 5, 2, 0)}, "fit its statement"),
        (lambda k: {"header": (1, 1, 256, 0, 5, 3, 1)}, "fit its statement"),  # lookups
        (lambda k: {"header": (1, 1, 256, 0, 2**255, 3, 0)}, "fit its statement"),
        (lambda k: {"header": (1, 1, 0, 0, 5, 3, 0)}, "shape"),
        (lambda k: {"header": (1, 1, 256, 5, 5, 3, 0)}, "shape"),
        (lambda k: {"header": (1, 1, 2**255, 0, 5, 3, 0)}, "shape"),
    ],
)
def test_an_unsound_key_is_refused(
    toy: Any, change: Callable[[Any], dict[str, Any]], what: str
) -> None:
    with pytest.raises(InputError, match=what):
        parse_key(replace(toy, **change(toy)).words)


BAD_KEYS = json.loads((ZK_VECTORS / "bad_keys.json").read_text())["cases"]


@pytest.mark.parametrize("case", BAD_KEYS, ids=lambda case: str(case["name"]))
def test_keys_of_the_shared_table_are_refused_unless_sound(case: dict[str, Any]) -> None:
    words = bytes.fromhex(case["words"][2:])
    if case["sound"]:
        assert parse_key(words).kind == "epoch"
    else:
        with pytest.raises(InputError):
            parse_key(words)


@pytest.mark.parametrize("cut", [b"", bytes(31), bytes(32 * 6), bytes(32 * 7), bytes(1 << 17)])
def test_words_of_another_length_are_refused(cut: bytes) -> None:
    with pytest.raises(InputError):
        parse_key(cut)


def test_words_after_the_key_are_refused(toy: Any) -> None:
    for words in (toy.words + bytes(32), toy.words[:-32], toy.words + b"\0"):
        with pytest.raises(InputError, match=r"length|words"):
            parse_key(words)


@pytest.mark.parametrize("word", [7, 8, 9, 12, 17, 20, 21, 25, 33, 36, 40, 60, 61, 63])
def test_any_changed_point_of_a_key_is_refused(toy: Any, word: int) -> None:
    data = bytearray(toy.words)
    data[32 * word + 31] ^= 1
    with pytest.raises(InputError):
        parse_key(bytes(data))
