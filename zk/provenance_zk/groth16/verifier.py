"""Groth16 with Pedersen commitments, verified in plain Python: slow, obvious, and independent of
prover and contracts.

Equations, one pairing product each (G2 points marked ' are stored negated in the key):

    main          e(A, B) e(alpha, beta') e(X, gamma') e(C, delta') = 1,  X = IC_0 + sum public_i
    IC_i + sum commitments knowledge i   e(commitment_i, GSigmaNeg_i) e(pok_i, G_i) = 1, for each
    bit i of the mask, never folded

What is NOT checked here: that commitments are the registered or anchored points, and that public
inputs are what the statement says; without both, a valid proof says nothing.

Source: Groth, "On the Size of Pairing-Based Non-interactive Arguments" (EUROCRYPT 2016), section
3.2; EIP-197 for the encoding of G2 and its subgroup check; docs/formats/proofs.md for keys and
proofs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from eth_utils.crypto import keccak
from py_ecc.fields import optimized_bn128_FQ as FQ
from py_ecc.fields import optimized_bn128_FQ2 as FQ2
from py_ecc.fields import optimized_bn128_FQ12 as FQ12
from py_ecc.optimized_bn128 import optimized_curve as curve
from py_ecc.optimized_bn128.optimized_pairing import final_exponentiate, pairing

from provenance.errors import InputError
from provenance_zk.field import Q, R
from provenance_zk.kinds import KINDS, by_number
from provenance_zk.statements import ProofFile

KEY_VERSION = 1
_MAX_KEY_BYTES = 1 << 16
_HEADER_WORDS = 7

Point = Any  # a projective point of py_ecc, whose types are private to it


@dataclass(frozen=True)
class Key:
    """A verifying key whose every point was checked; G2 points are negated as the layout says."""

    vk_id: bytes
    kind: str
    slots: int
    depth: int
    alpha: Point
    beta_neg: Point
    gamma_neg: Point
    delta_neg: Point
    ic: tuple[Point, ...]
    knowledge: tuple[tuple[Point, Point], ...]  # (G, GSigmaNeg) of each commitment
    bases: tuple[bytes, ...]  # keccak of the D, U and P bases
    identity: Point | None  # I_0
    total: Point | None  # S


class _Reader:
    """Takes points off the words of a key and checks each."""

    def __init__(self, words: Sequence[int]) -> None:
        self._words = words
        self._at = _HEADER_WORDS

    def word(self) -> int:
        self._at += 1
        return self._words[self._at - 1]

    def g1(self, name: str) -> Point:
        return _require_finite(_g1((self.word(), self.word()), f"key {name}"), name)

    def g2(self, name: str) -> Point:
        return _require_finite(
            _g2((self.word(), self.word(), self.word(), self.word()), f"key {name}"), name
        )


def _require_finite(point: Point, name: str) -> Point:
    if curve.is_inf(point):
        raise InputError("key has a point at infinity", where=f"key {name}", hint="refuse this key")
    return point


def _coordinate(value: int, where: str) -> int:
    if not 0 <= value < Q:
        raise InputError(
            "coordinate is not below the base field's order", where=where, actual=hex(value)
        )
    return value


def _g1(words: Sequence[int], where: str) -> Point:
    x, y = (_coordinate(word, where) for word in words)
    if x == y == 0:
        return curve.Z1
    point = (FQ(x), FQ(y), FQ.one())
    if not curve.is_on_curve(point, curve.b):
        raise InputError("point is not on the curve", where=where)
    return point  # the curve's order is r: every point on it lies in the group


def _g2(words: Sequence[int], where: str) -> Point:
    x1, x0, y1, y0 = (_coordinate(word, where) for word in words)
    if x1 == x0 == y1 == y0 == 0:
        return curve.Z2
    point = (FQ2([x0, x1]), FQ2([y0, y1]), FQ2.one())
    if not curve.is_on_curve(point, curve.b2):
        raise InputError("point is not on the twist", where=where)
    if not curve.is_inf(
        curve.multiply(point, R)
    ):  # the twist is larger than the group; py_ecc does not look
        raise InputError("point is not in the subgroup", where=where)
    return point


def _words_of(data: bytes) -> list[int]:
    if len(data) % 32 or not 32 * _HEADER_WORDS <= len(data) <= _MAX_KEY_BYTES:
        raise InputError("key is not a list of 32-byte words", actual=f"{len(data)} bytes")
    return [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)]


def _expected_words(public: int, commitments: int, epoch: bool) -> int:
    return _HEADER_WORDS + 14 + 2 * (1 + public) + 8 * commitments + (7 if epoch else 0)


@lru_cache(maxsize=16)
def parse_key(words: bytes) -> Key:
    """Read and check a verifying key (attacker-controlled). Its id is the keccak-256 of `words`.

    Raises:
        InputError: another layout (keys flagged `lookup` included: no statement uses lookups), a
            point off its curve or
            subgroup, or a key that nobody may trust: points at infinity, two equal sigma keys or
            sigma = +-1, gamma = delta, delta = generator, public inputs that share a base, another
            number of inputs than the statement has.
    """
    values = _words_of(words)
    version, number, slots, depth, public, commitments, flags = values[:_HEADER_WORDS]
    if version != KEY_VERSION:
        raise InputError("unknown version of key", expected=KEY_VERSION, actual=f"{version}"[:80])
    kind = by_number(number)
    if not KINDS[kind].fits(slots, depth):
        raise InputError(
            "key has an impossible shape", where=kind, actual=f"{slots} slots, depth {depth}"[:80]
        )
    wanted = (len(KINDS[kind].public(slots)), len(KINDS[kind].commitments), 0)
    if (public, commitments, flags) != wanted:
        raise InputError(
            "key does not fit its statement",
            where=kind,
            expected=f"inputs, commitments, flags {wanted}",
            actual=f"{public}, {commitments}, {flags}"[:80],
        )
    expected = _expected_words(public, commitments, kind == "epoch")
    if len(values) != expected:
        raise InputError(
            "key has the wrong length", expected=f"{expected} words", actual=f"{len(values)} words"
        )
    key = _read_points(_Reader(values), bytes(keccak(words)), (kind, slots, depth))
    _require_trustworthy(key)
    return key


def _read_points(reader: _Reader, vk_id: bytes, shape: tuple[str, int, int]) -> Key:
    kind = shape[0]
    public = len(KINDS[kind].public(shape[1]))
    alpha = reader.g1("alpha")
    beta, gamma, delta = reader.g2("-beta"), reader.g2("-gamma"), reader.g2("-delta")
    ic = tuple(reader.g1(f"IC_{i}") for i in range(1 + public))
    knowledge = tuple(
        (reader.g2(f"G_{i}"), reader.g2(f"GSigmaNeg_{i}"))
        for i in range(len(KINDS[kind].commitments))
    )
    if kind != "epoch":
        return Key(vk_id, *shape, alpha, beta, gamma, delta, ic, knowledge, (), None, None)
    bases = tuple(reader.word().to_bytes(32, "big") for _ in knowledge)
    return Key(
        vk_id,
        *shape,
        alpha,
        beta,
        gamma,
        delta,
        ic,
        knowledge,
        bases,
        reader.g1("I_0"),
        reader.g1("S"),
    )


def _require_trustworthy(key: Key) -> None:
    """What makes a well-formed key worthless (docs/security-model.md, "Refused keys")."""
    bases = [
        int(curve.normalize(point)[0]) for point in key.ic
    ]  # x alone: a point and its negative count as the same
    sigmas = [str(curve.normalize(sigma)[0]) for _, sigma in key.knowledge]
    known = [curve.eq(sigma, g) or curve.eq(sigma, curve.neg(g)) for g, sigma in key.knowledge]
    refusals = (
        (curve.eq(key.gamma_neg, key.delta_neg), "gamma = delta: anyone can forge its proofs"),
        (
            curve.eq(key.delta_neg, curve.neg(curve.G2)),
            "delta is the generator: the key never saw a second phase",
        ),
        (
            len(set(bases)) < len(bases),
            "public inputs share a base or its negative: they could be exchanged",
        ),
        (
            len(set(sigmas)) < len(sigmas),
            "equal or opposite sigma keys: commitments could be swapped",
        ),
        (any(known), "sigma is 1 or -1: knowledge of a commitment shows nothing"),
        (
            any(not curve.eq(g, key.knowledge[0][0]) for g, _ in key.knowledge),
            "commitment keys have different G",
        ),
        (len(set(key.bases)) < len(key.bases), "equal commitment bases"),
    )
    for bad, why in refusals:
        if bad:
            raise InputError(
                f"key is unsound: {why}", where=f"key 0x{key.vk_id.hex()}", hint="refuse this key"
            )


@dataclass(frozen=True)
class ProofPoints:
    """The points of a proof, each in its group."""

    a: Point
    b: Point
    c: Point
    commitments: tuple[Point, ...]
    poks: tuple[Point, ...]


def proof_points(key: Key, proof: ProofFile, mask: int) -> ProofPoints:
    """The points of a proof (attacker-controlled) of this key; whether it holds is `verify_proof`'s
    to say.

    Raises:
        InputError: as `verify_proof`.
    """
    _require_fits(key, proof, mask)
    return ProofPoints(
        _g1(proof.a, "a"),
        _g2(proof.b, "b"),
        _g1(proof.c, "c"),
        tuple(_g1(point, f"commitments[{i}]") for i, point in enumerate(proof.commitments)),
        tuple(_g1(point, f"poks[{i}]") for i, point in enumerate(proof.poks)),
    )


def _require_fits(key: Key, proof: ProofFile, mask: int) -> None:
    if proof.kind != key.kind or proof.vk_id != key.vk_id:
        raise InputError(
            "proof belongs to another key",
            expected=f"0x{key.vk_id.hex()}",
            actual=f"0x{proof.vk_id.hex()}",
        )
    if len(proof.public) != len(key.ic) - 1 or not len(proof.commitments) == len(proof.poks) == len(
        key.knowledge
    ):
        raise InputError("proof has another number of inputs or commitments than its key")
    for i, value in enumerate(proof.public):
        if not 0 <= value < R:
            raise InputError(
                "public input is not a field element",
                where=f"public[{i}]",
                expected=f"< {R}",
                actual=hex(value),
            )
    if not 0 <= mask < 1 << len(key.knowledge):
        raise InputError("knowledge mask names commitments the key does not have", actual=mask)


def verify_proof(words: bytes, proof: ProofFile, mask: int) -> bool:
    """Whether the main equation and the knowledge of every commitment in `mask` hold.

    About 0.7 s, 0.4 s more per bit of mask.

    A commitment at infinity has no knowledge to show: it fails where the mask asks for it.

    Args:
        words: bytes of the verifying key; the caller has pinned their keccak-256.
        proof: attacker-controlled.
        mask: bit i asks for the separate proof of knowledge of commitment i (`EPOCH_MASK`,
            `LINK_MASK`).

    Raises:
        InputError: key or proof is malformed: other lengths, coordinates >= q, public inputs >= r,
            points off their curve or
            subgroup, a proof of another key, or what `parse_key` refuses.
    """
    key = parse_key(words)
    points = proof_points(key, proof, mask)
    if not is_pairing_one(_main_equation(key, proof.public, points)):
        return False
    return all(
        _knows(key, i, points.commitments[i], points.poks[i])
        for i in range(len(key.knowledge))
        if mask >> i & 1
    )


def verify_knowledge(
    words: bytes, index: int, commitment: tuple[int, int], pok: tuple[int, int]
) -> bool:
    """Whether `pok` shows knowledge of commitment number `index` (registering D asks for index 0).

    Raises:
        InputError: as `verify_proof`.
    """
    key = parse_key(words)
    if not 0 <= index < len(key.knowledge):
        raise InputError(
            "key has no such commitment", expected=f"0..{len(key.knowledge) - 1}", actual=index
        )
    return _knows(key, index, _g1(commitment, "commitment"), _g1(pok, "pok"))


def _knows(key: Key, index: int, commitment: Point, pok: Point) -> bool:
    g, sigma_neg = key.knowledge[index]
    return not curve.is_inf(commitment) and is_pairing_one(
        iter([(commitment, sigma_neg), (pok, g)])
    )


def _main_equation(
    key: Key, public: Sequence[int], points: ProofPoints
) -> Iterator[tuple[Point, Point]]:
    x = key.ic[0]
    for value, base in zip(public, key.ic[1:], strict=True):
        x = curve.add(x, curve.multiply(base, value))
    for commitment in points.commitments:
        x = curve.add(x, commitment)
    yield points.a, points.b
    yield key.alpha, key.beta_neg
    yield x, key.gamma_neg
    yield points.c, key.delta_neg


def is_pairing_one(pairs: Iterator[tuple[Point, Point]]) -> bool:
    """Whether the product of the pairings e(P, Q) is one; (P in G1, Q in G2) each."""
    product = FQ12.one()
    for first, second in pairs:
        product = product * pairing(second, first, final_exponentiate=False)
    return bool(final_exponentiate(product) == FQ12.one())
