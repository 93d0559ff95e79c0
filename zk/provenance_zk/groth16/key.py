"""Reads verifying keys: checks the layout, every point, and that the key is no worthless one.

Source: docs/formats/proofs.md ("Verifying key"); docs/security-model.md ("Refused keys").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from eth_utils.crypto import keccak
from py_ecc.optimized_bn128 import optimized_curve as curve

from provenance.errors import InputError
from provenance.ids import KeyId
from provenance_zk.groth16.points import Point, parse_g1, parse_g2
from provenance_zk.kinds import KINDS, by_number

KEY_VERSION = 1
_MAX_KEY_BYTES = 1 << 16
_HEADER_WORDS = 7
_WORDS_OF_SUMS = 4  # I_0 and S, which end the words of an epoch key


@dataclass(frozen=True)
class Outline:
    """What a verifying key is for.

    `parse_outline` looks neither at its other points nor at whether it is sound. Whoever compares
    public inputs needs no more. The engine that then checks the proofs reads the whole key, and
    refuses what `parse_key` refuses.

    Attributes:
        identity: I_0, the sum of i*K_i over the bases K_i of P; None unless of kind `epoch`.
        total: S, the sum of K_i; None unless of kind `epoch`.
    """

    vk_id: KeyId
    kind: str
    slots: int
    depth: int
    identity: Point | None
    total: Point | None


@dataclass(frozen=True)
class Key(Outline):
    """A verifying key whose points were all checked.

    Attributes:
        beta_neg: -beta; `gamma_neg` and `delta_neg` are negated, too, as in the file.
        knowledge: (G, GSigmaNeg) of each commitment.
        bases: keccak-256 of the bases of D, of U and of P; empty unless of kind `epoch`.
    """

    alpha: Point
    beta_neg: Point
    gamma_neg: Point
    delta_neg: Point
    ic: tuple[Point, ...]
    knowledge: tuple[tuple[Point, Point], ...]
    bases: tuple[bytes, ...]


class _Reader:
    """Reads points from the words of a key, one after the other, and checks each."""

    def __init__(self, words: Sequence[int], at: int = _HEADER_WORDS) -> None:
        self._words = words
        self._at = at

    def word(self) -> int:
        self._at += 1
        return self._words[self._at - 1]

    def g1(self, name: str) -> Point:
        where = f"key {name}"
        return _require_finite(parse_g1((self.word(), self.word()), where), where)

    def g2(self, name: str) -> Point:
        where = f"key {name}"
        words = (self.word(), self.word(), self.word(), self.word())
        return _require_finite(parse_g2(words, where), where)


def _require_finite(point: Point, where: str) -> Point:
    if curve.is_inf(point):
        raise InputError("key has a point at infinity", where=where, hint="refuse this key")
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
        InputError: another layout (also a key flagged `lookup`: no statement uses lookups); another
            number of public inputs than the statement has; a point off its curve or subgroup; or a
            key that nobody may trust. Such keys have a point at infinity, two equal or opposite
            sigma keys, sigma = +-1, different G, gamma = delta, delta = generator, public inputs
            that share a base, or digests of bases that are equal or 0.
    """
    values = _words_of(words)
    key = _read_points(_Reader(values), KeyId(keccak(words)), _read_shape(values))
    _require_trustworthy(key)
    return key


def parse_outline(words: bytes) -> Outline:
    """Read what a verifying key (attacker-controlled) is for; takes no multiplication of points.

    Raises:
        InputError: another layout or number of public inputs than the statement has; I_0 or S is
            at infinity or not on the curve.
    """
    values = _words_of(words)
    kind, slots, depth = _read_shape(values)
    identity = total = None
    if kind == "epoch":
        reader = _Reader(values, len(values) - _WORDS_OF_SUMS)
        identity, total = reader.g1("I_0"), reader.g1("S")
    return Outline(KeyId(keccak(words)), kind, slots, depth, identity, total)


def _read_shape(values: Sequence[int]) -> tuple[str, int, int]:
    """Check header and length; returns (kind, slots, depth)."""
    kind, slots, depth = _read_header(values)
    expected = _expected_words(
        len(KINDS[kind].public(slots)), len(KINDS[kind].commitments), kind == "epoch"
    )
    if len(values) != expected:
        raise InputError(
            "key has the wrong length", expected=f"{expected} words", actual=f"{len(values)} words"
        )
    return kind, slots, depth


def _read_header(values: Sequence[int]) -> tuple[str, int, int]:
    """Check every word of the header; returns (kind, slots, depth)."""
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
    return kind, slots, depth


def _read_points(reader: _Reader, vk_id: KeyId, shape: tuple[str, int, int]) -> Key:
    kind, slots, _ = shape
    alpha = reader.g1("alpha")
    beta, gamma, delta = reader.g2("-beta"), reader.g2("-gamma"), reader.g2("-delta")
    ic = tuple(reader.g1(f"IC_{i}") for i in range(1 + len(KINDS[kind].public(slots))))
    knowledge = tuple(
        (reader.g2(f"G_{i}"), reader.g2(f"GSigmaNeg_{i}"))
        for i in range(len(KINDS[kind].commitments))
    )
    bases: tuple[bytes, ...] = ()
    identity = total = None
    if kind == "epoch":
        bases = tuple(reader.word().to_bytes(32, "big") for _ in knowledge)
        identity, total = reader.g1("I_0"), reader.g1("S")
    return Key(vk_id, *shape, identity, total, alpha, beta, gamma, delta, ic, knowledge, bases)


def _require_trustworthy(key: Key) -> None:
    """Refuse a well-formed key that is worthless (docs/security-model.md, "Refused keys")."""
    # Only x is compared: a point and its negative count as the same.
    bases = [int(curve.normalize(point)[0]) for point in key.ic]
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
        (bytes(32) in key.bases, "a digest of commitment bases is 0"),
    )
    for bad, why in refusals:
        if bad:
            raise InputError(
                f"key is unsound: {why}", where=f"key {key.vk_id}", hint="refuse this key"
            )
