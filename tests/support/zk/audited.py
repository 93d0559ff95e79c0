"""A small dataset, and the questions that audits ask about it."""

from __future__ import annotations

import hashlib

from provenance_zk.prover.client import Question
from provenance_zk.training.commitments import tree_root
from tests.support.zk.plain_statements import (
    LeafPreimage,
)

DEPTH, SLOTS, COUNT = 2, 16, 20


def digest_bytes(hi: int, lo: int = 7) -> bytes:
    return hi.to_bytes(16, "big") + lo.to_bytes(16, "big")


class Dataset:
    """`count` records in the order of their digests; hi of record i is 1000 * (i + 1)."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.salts = [hashlib.sha256(b"salt %d" % i).digest()[:31] for i in range(count)]
        self.records = [
            LeafPreimage(1000 * (i + 1), 7, int.from_bytes(self.salts[i], "big"))
            for i in range(count)
        ]
        self.leaves = [record.leaf for record in self.records]
        self.root = tree_root(self.leaves, DEPTH)

    @property
    def leaf_bytes(self) -> bytes:
        return b"".join(leaf.to_bytes(32, "big") for leaf in self.leaves)

    @property
    def digests(self) -> bytes:
        return b"".join(digest_bytes(record.hi, record.lo) for record in self.records)

    def pair(self, i: int) -> tuple[bytes, bytes] | None:
        """(digest, salt) of record i; None where there is none."""
        if not 0 <= i < self.count:
            return None
        return digest_bytes(self.records[i].hi, self.records[i].lo), self.salts[i]

    def question(self, position: int, hi: int) -> Question:
        """Whether a digest with this first half is at a position."""
        return Question(self.leaf_bytes, DEPTH, digest_bytes(hi), position)

    def record(self, i: int) -> LeafPreimage | None:
        return self.records[i] if 0 <= i < self.count else None

    def chunk(self, k: int) -> tuple[list[LeafPreimage], LeafPreimage | None]:
        """(records of chunk k, first record of the next chunk or None)."""
        return self.records[k * SLOTS : (k + 1) * SLOTS], self.record((k + 1) * SLOTS)
