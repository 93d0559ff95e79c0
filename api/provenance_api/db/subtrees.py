"""Roots of whole subtrees of a log, from its entries one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from provenance.merkle import leaf_hash, node_hash

TILE = 256
"""Nodes under one kept node; its root is 8 levels above them."""


class Subtrees:
    """Collects, for each level from 1 on, the roots of whole subtrees of 256^level entries.

    rows: level, index and hash of each, in the order in which they became whole.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._open: list[list[bytes]] = [[]]  # of each level, the nodes that wait for a whole one
        self._counts: list[int] = [0]

    def append(self, entry: bytes) -> None:
        """Take in the next entry of the log, 32 bytes."""
        node, level = leaf_hash(entry), 0
        while True:
            waiting = self._open[level]
            waiting.append(node)
            if len(waiting) < TILE:
                return
            node, level = whole_root(waiting), level + 1
            waiting.clear()
            if level == len(self._open):
                self._open.append([])
                self._counts.append(0)
            self.rows.append({"level": level, "index": self._counts[level], "hash": node})
            self._counts[level] += 1


def whole_root(nodes: Sequence[bytes]) -> bytes:
    """Root of a whole subtree, by its nodes of one level: 1, 2, 4 .. of them."""
    level = list(nodes)
    while len(level) > 1:
        level = [node_hash(a, b) for a, b in zip(level[::2], level[1::2], strict=True)]
    return level[0]
