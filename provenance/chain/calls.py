"""What the contracts are told about proofs: the arguments of their calls, as values.

The order of fields is that of the contracts (contracts/interfaces). `proof` is the contract's
`Proof` tuple, `(a, b, c)` as lists of integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from provenance.ids import DatasetId, RunId

Point = tuple[int, int]
"""Affine coordinates of a point of BN254's G1."""


@dataclass(frozen=True)
class LinkProof:
    """Link proof of chunk `c`: the commitment D, `d`, is to the very leaves of the tree.

    `a`, `b` are the proof's public products.
    """

    c: int
    d: Point
    a: int
    b: int
    proof: Any


@dataclass(frozen=True)
class SortedProof:
    """Proof that chunk `k` is sorted; `first` and `following` are its inputs `first` and `next`."""

    k: int
    first: int
    following: int
    proof: Any


@dataclass(frozen=True)
class EpochPoints:
    """Commitments of an epoch, one point per chunk of each.

    `u` are the points U, to the leaves as fed; `p` the points P, to the positions of the order.
    """

    dataset_id: DatasetId
    consumed: int
    u: Sequence[Point]
    p: Sequence[Point]


@dataclass(frozen=True)
class EpochProof:
    """Proof of chunk `c` of anchoring `number` of an epoch: the contract's `EpochItem`.

    `commitments` are D, U and P of the chunk; `poks` the proofs of knowledge of U and P.
    """

    run_id: RunId
    epoch: int
    number: int
    c: int
    a: int
    b: int
    commitments: Sequence[Point]
    poks: Sequence[Point]
    proof: Any

    @property
    def chunk(self) -> tuple[Any, ...]:
        """The contract's `ProvedChunk`: what `EpochsAtOnce` says of a chunk."""
        return (self.a, self.b, list(self.poks), self.proof)

    def calldata(self) -> tuple[Any, ...]:
        """The fields in the contract's order."""
        chunk = (self.run_id, self.epoch, self.number, self.c, self.a, self.b)
        return (*chunk, list(self.commitments), list(self.poks), self.proof)


@dataclass(frozen=True)
class EpochAtOnce:
    """An epoch to anchor and prove in one call: the contract's `ProvedEpoch`.

    `number` is that of the anchoring to come, and `seed` the seed that then follows, with whose
    challenges the `proofs` of all chunks were made.
    """

    epoch: int
    number: int
    seed: bytes
    points: EpochPoints
    proofs: Sequence[EpochProof]

    def calldata(self) -> tuple[Any, ...]:
        """The fields in the contract's order."""
        points = self.points
        names = (self.epoch, self.number, points.consumed)
        return (*names, list(points.u), list(points.p), [proof.chunk for proof in self.proofs])


@dataclass(frozen=True)
class EpochsAtOnce:
    """Epochs of a run to anchor and prove in one call.

    `head_seq` is the number of the run's head that the seeds were computed with. `d` are all points
    D of the dataset.
    """

    run_id: RunId
    dataset_id: DatasetId
    head_seq: int
    d: Sequence[Point]
    epochs: Sequence[EpochAtOnce]
