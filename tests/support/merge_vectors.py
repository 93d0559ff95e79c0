"""Entries of exactly rounded merges, worked out in fractions.

`python -m tests.support.merge_vectors` writes tests/vectors/zk/merge.json. The rounding is looked
up in the table of all finite bfloat16 numbers, so nothing here resembles the arithmetic of the
product or of the circuit.
"""

from __future__ import annotations

import bisect
import json
import random
from fractions import Fraction
from typing import Any

from tests.support.places import ZK_VECTORS

PATH = ZK_VECTORS / "merge.json"
RANK = 8
ONE = 1 << 16  # scale of 1
FACTORS, WEIGHTS = (-40, 4), (-100, 8)  # exponents e of the windows 2^e1 <= |x| < 2^e2

Case = dict[str, Any]


def value_of(bits: int) -> Fraction:
    """The number a finite pattern stands for, from the definition of the format."""
    sign, exponent, fraction = bits >> 15, bits >> 7 & 0xFF, bits & 0x7F
    significand = fraction + 128 * (exponent > 0)  # times 2^-7
    power_of_two = max(exponent, 1) - 127 - 7
    size = Fraction(significand << max(power_of_two, 0), 1 << max(-power_of_two, 0))
    return -size if sign else size


TABLE = [value_of(bits) for bits in range(0x7F80)]


def nearest(value: Fraction) -> int:
    """Nearest pattern, ties to the even one, exact zero as +0."""
    sign, size = (0x8000, -value) if value < 0 else (0, value)
    above = bisect.bisect_left(TABLE, size)
    if TABLE[above] == size:
        return sign | above if above else 0
    down, up = size - TABLE[above - 1], TABLE[above] - size
    return sign | (above - 1 if down < up or (down == up and above % 2 == 1) else above)


def in_window(bits: int, window: tuple[int, int]) -> bool:
    size = abs(value_of(bits))
    return size == 0 or Fraction(2) ** window[0] <= size < Fraction(2) ** window[1]


def entry(name: str, weight: int, b: list[int], a: list[int], scale: int = ONE) -> Case:
    """`merged` is None outside the window, where the statement has no proof."""
    b, a = b + [0] * (RANK - len(b)), a + [0] * (RANK - len(a))
    if not (
        in_window(weight, WEIGHTS)
        and all(in_window(x, FACTORS) for x in b + a)
        and 0 <= scale < 1 << 32
    ):
        raise ValueError(name)
    total = value_of(weight) + Fraction(scale, ONE) * sum(
        (value_of(x) * value_of(y) for x, y in zip(b, a, strict=True)), Fraction(0)
    )
    merged = nearest(total)
    return {
        "name": name,
        "scale": scale,
        "weight": weight,
        "b": b,
        "a": a,
        "merged": merged if in_window(merged, WEIGHTS) else None,
    }


def bf16(value: float | Fraction) -> int:
    """Pattern of a number that bfloat16 holds."""
    bits = nearest(Fraction(value))
    if value_of(bits) != Fraction(value):
        raise ValueError(value)
    return bits


def power(exponent: int) -> Fraction:
    return Fraction(2) ** exponent


def split(exponent: int) -> tuple[int, int]:
    """Two factors of the window whose product is 2^exponent."""
    half = exponent // 2
    return bf16(power(half)), bf16(power(exponent - half))


def with_terms(name: str, weight: Fraction, *terms: tuple[int, int]) -> Case:
    """weight plus terms sign * 2^exponent, each a product of B and A."""
    b, a = [], []
    for sign, exponent in terms:
        x, y = split(exponent)
        b.append(x | (0x8000 if sign < 0 else 0))
        a.append(y)
    return entry(name, bf16(weight), b, a)


def ties() -> list[Case]:
    """Around half a unit in the last place of even, odd and power-of-two weights: below, at and
    above it, at four exponents.
    """
    out = []
    for exponent in (-60, -20, 0, 7):
        ulp = exponent - 7
        for fraction in (0, 1, 2, 126, 127):
            weight = power(exponent) * (1 + Fraction(fraction, 128))
            for sign in (1, -1):
                for half in (ulp - 1, ulp - 2):  # below a power of two numbers lie twice as close
                    for nudge in (0, 1, -1):
                        terms = [(sign, half)] + ([(nudge, max(half - 40, -80))] if nudge else [])
                        name = (
                            f"2^{exponent} * (1 + {fraction}/128) {'+-'[sign < 0]} "
                            f"2^{half}, nudged by {nudge}"
                        )
                        out.append(with_terms(name, weight, *terms))
                        negated = [(-s, e) for s, e in terms]
                        out.append(with_terms(f"minus the same: {name}", -weight, *negated))
    return out


def borders() -> list[Case]:
    """Zeros, cancellation, the ends of the windows."""
    top = power(7) * Fraction(255, 128)
    low = power(-100)
    return [
        with_terms("zero and nothing", Fraction(0)),
        entry("minus zero and nothing", 0x8000, [], []),
        entry("minus zero and minus zero", 0x8000, [0x8000], [bf16(1)]),
        entry("one and zeros of both signs", bf16(1), [0x8000, 0, 0x8000], [0x8000, 0x8000, 0]),
        with_terms("cancellation to zero", power(3), (-1, 3)),
        with_terms("cancellation to zero of minus", -power(3), (1, 3)),
        with_terms("cancellation of the terms", power(-90), (1, 6), (-1, 6)),
        with_terms("cancellation to the smallest term", power(3), (-1, 3), (1, -80)),
        with_terms("cancellation to minus the smallest term", power(3), (-1, 3), (-1, -80)),
        with_terms("a term alone", Fraction(0), (1, 5)),
        with_terms("a negative term alone", Fraction(0), (-1, -80)),
        with_terms("sign changes", power(-3), (-1, 2)),
        with_terms("sign changes back", -power(-3), (1, 2)),
        with_terms("tiny weight, large product", low, (1, 6)),
        with_terms("the smallest weight breaks a tie upwards", low, (1, 0), (1, -8)),
        with_terms("the smallest weight breaks a tie downwards", -low, (1, 0), (1, -7), (1, -8)),
        with_terms("the smallest weight, unchanged", low),
        entry(
            "the smallest weight and what is below half its unit",
            bf16(low),
            [bf16(power(-40))],
            [bf16(power(-40))],
            0,
        ),
        with_terms("largest weight", top),
        with_terms("largest weight and less than half a unit", top, (1, -2)),
        with_terms("largest weight and half a unit: outside", top, (1, -1)),
        with_terms("largest weight and a unit: outside", top, (1, 0)),
        with_terms("minus the largest weight less half a unit: outside", -top, (-1, -1)),
        with_terms("far outside", top, *[(1, 6)] * 8),
        entry(
            "a positive total below the window",
            bf16(power(-96) * Fraction(129, 128)),
            *edge_factors(-1),
            1,
        ),
        entry(
            "a negative total below the window",
            0x8000 | bf16(power(-96) * Fraction(129, 128)),
            *edge_factors(1),
            1,
        ),
        *(below_the_lowest(steps) for steps in range(1, 7)),
        entry(
            "largest factors",
            bf16(-top),
            [bf16(power(3) * Fraction(255, 128))] * 8,
            [bf16(power(3) * Fraction(255, 128))] * 8,
            1 << 12,
        ),
    ]


def edge_factors(sign: int) -> tuple[list[int], list[int]]:
    """Factors of the smallest product, 2^-80."""
    return [bf16(sign * power(-40))], [bf16(power(-40))]


def below_the_lowest(steps: int) -> Case:
    """A total of 2^-100 - steps * 2^-110: numbers below the lowest power of the window are spaced
    by four such steps.
    """
    for x in range(128, 256):
        for y in range(x, 256):
            units = x * y + 1024 - steps  # of 2^-110
            if units >> (units.bit_length() - 8) << (units.bit_length() - 8) == units:
                b, a = bf16(-x * power(-47)), bf16(y * power(-47))
                return entry(
                    f"{steps} steps below the lowest power", bf16(units * power(-110)), [b], [a], 1
                )
    raise AssertionError(steps)


def scales() -> list[Case]:
    """Scales: zero, the smallest, the largest, and some that are no power of two.

    The rank of 4 is filled up to 8 with zeros.
    """
    b, a = (
        [bf16(x) for x in (1.5, -0.75, 3.0, 0.0078125)],
        [bf16(x) for x in (0.25, 1.0, -0.0625, 2.0)],
    )
    steps = (
        0,
        1,
        3,
        ONE // 2,
        ONE,
        3 * ONE // 2,
        2 * ONE,
        ONE + 1,
        5 * ONE // 3,
        16 * ONE,
        (1 << 32) - 1,
    )
    return [
        entry(f"rank 4, scale {scale}/65536, weight {x}", bf16(x), b, a, scale)
        for scale in steps
        for x in (0.5, -0.09375, 100.0)
    ]


def drawn() -> list[Case]:
    """Weights of usual sizes, of all sizes of the windows, and products as large as the weight."""
    random_ = random.Random(20261125)

    def pattern(low: int, high: int) -> int:
        return (
            random_.getrandbits(1) << 15
            | (random_.randint(low, high - 1) + 127) << 7
            | random_.getrandbits(7)
        )

    out = []
    for i in range(40):
        for kind, weight, factor in (
            ("usual", (-12, 0), (-8, -2)),
            ("any", WEIGHTS, FACTORS),
            ("near", (-3, 1), (-3, 1)),
        ):
            b, a = [pattern(*factor) for _ in range(RANK)], [pattern(*factor) for _ in range(RANK)]
            out.append(
                entry(
                    f"{kind} {i}",
                    pattern(*weight),
                    b,
                    a,
                    random_.choice((ONE, 2 * ONE, ONE // 4, 3 * ONE // 2)),
                )
            )
    return out


def all_vectors() -> dict[str, Any]:
    return {
        "about": (
            "merged = bfloat16 nearest to weight + scale/2^16 * sum b[k]*a[k], all as bit "
            "patterns; null: outside the window"
        ),
        "cases": [*ties(), *borders(), *scales(), *drawn()],
    }


def main() -> None:
    text = json.dumps(all_vectors(), separators=(",", ":")).replace('},{"name"', '},\n{"name"')
    PATH.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
