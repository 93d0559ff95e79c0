"""Keys whose secrets are known, and proofs made from the secrets.

The proofs verify for any public inputs, so tests reach what contracts do after a valid proof
without a prover. The twin of contracts/test/support/Simulator.sol.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from provenance_zk.field import R
from provenance_zk.kinds import KINDS
from tests.support.trapdoor import g1, g2

ALPHA, BETA, GAMMA, DELTA = 0xA1FA, 3, 5, 7


def ic(i: int) -> int:
    return 1000003 * (i + 1) ** 3 % R


@dataclass(frozen=True)
class SimulatedKey:
    kind: str
    slots: int
    depth: int

    @cached_property
    def words(self) -> bytes:
        count = len(KINDS[self.kind].public(self.slots))
        header = [1, KINDS[self.kind].number, self.slots, self.depth, count, 0, 0]
        points = [*g1(ALPHA), *g2(-BETA), *g2(-GAMMA), *g2(-DELTA)]
        bases = [word for i in range(count + 1) for word in g1(ic(i))]
        return b"".join(word.to_bytes(32, "big") for word in [*header, *points, *bases])


def prove(public: Sequence[int]) -> Any:
    """The contract's `Proof` tuple for these public inputs: B is the generator, A is fixed and C
    solves the equation.
    """
    x = ic(0) + sum(value * ic(i + 1) for i, value in enumerate(public))
    a = 0xA
    c = (a - ALPHA * BETA - x * GAMMA) * pow(DELTA, -1, R)
    return (g1(a), g2(1), g1(c))
