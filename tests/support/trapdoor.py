"""Verifying keys whose secrets the tests know.

With them, proofs of any statement, true or false, are made without a circuit.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from py_ecc.optimized_bn128 import optimized_curve as curve

from provenance_zk.field import R
from provenance_zk.kinds import KINDS
from provenance_zk.proof_file import ProofFile
from provenance_zk.prover.keys import vk_id


@cache
def _doublings(group: str) -> list[Any]:
    """2^i times the generator, for every bit of a scalar."""
    points = [getattr(curve, group)]
    for _ in range(R.bit_length() - 1):
        points.append(curve.double(points[-1]))
    return points


def _multiple(group: str, infinity: Any, scalar: int) -> Any:
    total = infinity
    for bit, point in enumerate(_doublings(group)):
        if scalar % R >> bit & 1:
            total = curve.add(total, point)
    return total


@cache
def g1(scalar: int) -> tuple[int, int]:
    """The multiple of G1's generator; (0, 0) for infinity."""
    point = _multiple("G1", curve.Z1, scalar)
    if curve.is_inf(point):
        return 0, 0
    x, y = curve.normalize(point)
    return int(x), int(y)


@cache
def g2(scalar: int) -> tuple[int, int, int, int]:
    x, y = curve.normalize(_multiple("G2", curve.Z2, scalar))
    (x0, x1), (y0, y1) = x.coeffs, y.coeffs
    return int(x1), int(x0), int(y1), int(y0)


@dataclass(frozen=True)
class TrapdoorKey:
    """A key without commitments of any kind; `seed` makes its secrets."""

    kind: str
    slots: int
    depth: int
    seed: int = 1

    @cached_property
    def _secrets(self) -> tuple[int, ...]:
        draw = random.Random(f"{self.kind} {self.slots} {self.depth} {self.seed}").randrange
        return tuple(draw(2, R) for _ in range(5 + len(KINDS[self.kind].public(self.slots))))

    @cached_property
    def words(self) -> bytes:
        alpha, beta, gamma, delta, *ic = self._secrets
        header = (1, KINDS[self.kind].number, self.slots, self.depth, len(ic) - 1, 0, 0)
        words = [*header, *g1(alpha), *g2(-beta), *g2(-gamma), *g2(-delta)]
        for scalar in ic:
            words += g1(scalar)
        return b"".join(word.to_bytes(32, "big") for word in words)

    @cached_property
    def vk_id(self) -> bytes:
        return vk_id(self.words)

    def prove(self, *public: int) -> ProofFile:
        alpha, beta, gamma, delta, *ic = self._secrets
        a, b = 31, 37
        x = ic[0] + sum(p * i for p, i in zip(public, ic[1:], strict=True))
        c = (a * b - alpha * beta - x * gamma) * pow(delta, -1, R)
        return ProofFile(self.kind, self.vk_id, g1(a), g2(b), g1(c), (), (), public)
