"""Draws changes of keys, of proofs' words and of proofs' texts, for the differential fuzzer.

Nothing here says which of them are valid: the three verifiers are compared with each other.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from provenance_zk.field import Q, R
from provenance_zk.proof_file import ProofFile

Words = list[int]
HEADER, IC = 7, 21
SPECIAL = (0, 1, R - 1, R, R + 1, Q - 1, Q, 2**255, 2**256 - 1)
G2_POINTS = (9, 13, 17)  # first words of -beta, -gamma and -delta in a key
GENERATOR = (
    0x198E9393920D483A7260BFB731FB5D25F1AA493335A9E71297E485B7AEF312C2,
    0x1800DEEF121F1E76426A00665E5C4479674322D4F75EDADD46DEBD5CD992F6ED,
    0x090689D0585FF075EC9E99AD690C3395BC4B313370B38EF355ACDADCD122975B,
    0x12C85EA5DB8C6DEB4AAB71808DCB408FE3D1E7690C43D37B4CE6CC0166FA7DAA,
)


def special(draw: random.Random, words: Words, at: int) -> None:
    """Put a number in the place of a word at which ranges end, or one that stands elsewhere."""
    words[at] = draw.choice((*SPECIAL, draw.choice(words), draw.randrange(2**256)))


def alias(draw: random.Random, words: Words, at: int) -> None:
    """Add a modulus: another integer for the same element."""
    words[at] = (words[at] + draw.choice((Q, R, 2 * R))) % 2**256


def bit(draw: random.Random, words: Words, at: int) -> None:
    words[at] ^= 1 << draw.randrange(256)


def negate(draw: random.Random, words: Words, at: int) -> None:
    """Negate a coordinate: of a y, that gives the opposite point."""
    words[at] = (Q - words[at]) % 2**256


WORD_CHANGES: tuple[Callable[[random.Random, Words, int], None], ...] = (
    special,
    alias,
    bit,
    negate,
)


def points_of(words: Words, commitments: int) -> tuple[list[int], list[int]]:
    """First words of a key's points of G1 and of G2."""
    ic_end = IC + 2 * (words[4] + 1)
    g1 = [HEADER, *range(IC, ic_end, 2)]
    return g1, [*G2_POINTS, *range(ic_end, ic_end + 8 * commitments, 4)]


def negate_g2(words: Words, at: int) -> None:
    words[at + 2 : at + 4] = [(Q - y) % Q for y in words[at + 2 : at + 4]]


def change_key(draw: random.Random, key: bytes, commitments: int) -> bytes:
    """A key with one to three changes; the header stays, so contracts can judge it by itself."""
    words = [int.from_bytes(key[i : i + 32], "big") for i in range(0, len(key), 32)]
    g1, g2 = points_of(words, commitments)
    for _ in range(draw.choice((1, 1, 2, 3))):
        kind = draw.randrange(6)
        if kind == 0:
            at = draw.randrange(HEADER, len(words))
            draw.choice(WORD_CHANGES)(draw, words, at)
        elif kind == 1:
            to, source = draw.choice(g1), draw.choice(g1)
            words[to : to + 2] = words[source : source + 2]
        elif kind == 2:
            at = draw.choice(g1)
            words[at + 1] = (Q - words[at + 1]) % Q
        elif kind == 3:
            to, source = draw.choice(g2), draw.choice(g2)
            words[to : to + 4] = words[source : source + 4]
        elif kind == 4:
            negate_g2(words, draw.choice(g2))
        else:  # G, gamma or delta of a ceremony, in some places or in all
            for to in draw.sample(g2, draw.randrange(1, len(g2) + 1)):
                words[to : to + 4] = GENERATOR
                if to in G2_POINTS:
                    negate_g2(words, to)
    return b"".join(word.to_bytes(32, "big") for word in words)


def change_proof(draw: random.Random, proof: dict[str, Any]) -> None:
    """Change words of a proof's JSON value, which stays one of the right form."""
    lists = [proof["a"], proof["b"], proof["c"], proof["public"]]
    points = [*proof["commitments"], *proof["poks"]]
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        if points and draw.random() < 0.4:
            to, source = draw.choice(points), draw.choice((*points, proof["a"], proof["c"]))
            if draw.random() < 0.3:
                to[:], source[:] = list(source), list(to)
            else:
                to[:] = source
        elif draw.random() < 0.2:  # (-A, -B, C) is another valid form
            for name in ("a", "b"):
                half = len(proof[name]) // 2
                proof[name][half:] = [_hex((Q - int(y, 16)) % Q) for y in proof[name][half:]]
        else:
            chosen = draw.choice((*lists, *points))
            numbers = [int(word, 16) for word in chosen]
            at = draw.randrange(len(chosen))
            draw.choice(WORD_CHANGES)(draw, numbers, at)
            chosen[:] = [_hex(number) for number in numbers]


def _hex(number: int) -> str:
    return f"0x{number:064x}"


def change_text(draw: random.Random, text: str) -> bytes:
    """The text of a proof, changed as JSON or byte by byte."""
    value = json.loads(text)
    name = draw.choice(list(value))
    member = f"{json.dumps(name)}: {json.dumps(draw.choice((value[name], None, [], '', 0, {})))}"
    twin = member.replace(
        name, draw.choice((name, name.upper(), name.title(), f"\\u0070{name}")), 1
    )
    kind = draw.randrange(6)
    if kind == 0:
        return f"{text[:-1]},{twin}}}".encode()
    if kind == 1:
        return f"{{{twin},{text[1:]}".encode()
    if kind == 2:
        del value[name]
        return f"{{{twin},{json.dumps(value)[1:]}".encode()
    if kind == 3:
        return (
            draw.choice((" ", "\n", "\ufeff", "\0", "")) + text + draw.choice(" \n,}0")
        ).encode()
    data = bytearray(text.encode())
    at = draw.randrange(len(data))
    if kind == 4:
        data[at] = draw.choice((draw.randrange(256), 0x20, 0x22, 0x5C, 0x2C, 0x46))
    else:
        del data[at : at + draw.choice((1, 2, 66))]
    return bytes(data)


def proof_words(proof: ProofFile) -> Words:
    """A, B, C, commitments, proofs of knowledge and public inputs."""
    flat = [word for point in (*proof.commitments, *proof.poks) for word in point]
    return [*proof.a, *proof.b, *proof.c, *flat, *proof.public]
