"""The statements `sorted`, `member` and `absent`, decided from everything that they hide.

Given a dataset's leaves, the records that open them and the public inputs, each function says
whether the statement holds: slowly, obviously, and without any circuit. A proof shows the same to
somebody who has only the public inputs, so the prover is held against these functions.

Source: docs/formats/statements.md, "sorted", "member and absent".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from provenance_zk.poseidon import poseidon
from provenance_zk.training.commitments import tree_root

HALF = 2**128


@dataclass(frozen=True)
class LeafPreimage:
    """What a leaf commits to: the halves of a record's digest and the salt."""

    hi: int
    lo: int
    salt: int

    @property
    def leaf(self) -> int:
        return poseidon([self.hi, self.lo, self.salt])


@dataclass(frozen=True)
class SortedInputs:
    """Public inputs of `sorted`."""

    root: int
    k: int
    used: int
    more: int
    first: int
    next: int


def sorted_holds(
    public: SortedInputs,
    leaves: Sequence[int],
    depth: int,
    slots: int,
    records: Sequence[LeafPreimage],
    follower: LeafPreimage | None,
) -> bool:
    """Whether the records open chunk k of these leaves, in order, and `more` and `next` are true.

    Args:
        leaves: all of the tree's.
        records: of the chunk's used leaves.
        follower: opens `next`; None where no chunk follows.
    """
    if not 0 <= public.k < 16**depth // slots or tree_root(leaves, depth) != public.root:
        return False
    chunk = list(leaves[public.k * slots : (public.k + 1) * slots])
    chunk += [0] * (slots - len(chunk))
    if not 1 <= public.used == len(records) <= slots:
        return False
    if [record.leaf for record in records] + [0] * (
        slots - public.used
    ) != chunk or public.first != chunk[0]:
        return False
    halves = [record.hi for record in records]
    if follower is None:
        continued = (public.more, public.next) == (0, 0)
    else:
        continued = (public.more, public.next) == (1, follower.leaf)
        halves.append(follower.hi)
    return (
        continued
        and all(0 <= hi < HALF for hi in halves)
        and all(a < b for a, b in pairwise(halves))
    )


def member_holds(
    root: int,
    count: int,
    hi: int,
    lo: int,
    *,
    leaves: Sequence[int],
    depth: int,
    position: int,
    salt: int,
) -> bool:
    """Whether the leaf at a position below `count` is that of the digest and the salt."""
    return (
        tree_root(leaves, depth) == root
        and 0 <= position < min(count, len(leaves))
        and leaves[position] == LeafPreimage(hi, lo, salt).leaf
    )


def absent_holds(
    root: int,
    count: int,
    hi: int,
    *,
    leaves: Sequence[int],
    depth: int,
    position: int,
    below: LeafPreimage | None,
    above: LeafPreimage | None,
) -> bool:
    """Whether `hi` lies between the first halves of the records beside the position.

    At either end of the dataset there is only one such record.
    """
    if tree_root(leaves, depth) != root or not 0 <= position <= count <= len(leaves) or count < 1:
        return False
    if (below is None) != (position == 0) or (above is None) != (position == count):
        return False
    if below is not None and (leaves[position - 1] != below.leaf or below.hi >= hi):
        return False
    return above is None or (leaves[position] == above.leaf and hi < above.hi)
