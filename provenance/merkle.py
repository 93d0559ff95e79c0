"""RFC 6962 Merkle trees with inclusion and consistency proofs.

Source: RFC 9162 section 2.1 (algorithms), RFC 6962 section 2.1 (hashes). Verification checks every
length before it hashes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Protocol

from provenance.errors import VerificationError

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256 of 0x00 and the entry (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of 0x01 and both children (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\1" + left + right).digest()


class NodeStore(Protocol):
    """Complete nodes of one tree, level by level; level 0 holds leaf hashes. Append-only."""

    def append(self, level: int, node: bytes) -> None:
        """Add the next node of a level, 32 bytes."""
        ...

    def get(self, level: int, index: int) -> bytes:
        """A node that was appended."""
        ...

    def count(self, level: int) -> int:
        """Nodes of a level, 0 for one that has none."""
        ...


class MemoryNodes:
    """Nodes in memory: 64 bytes a leaf."""

    def __init__(self) -> None:
        self._levels: list[bytearray] = []

    def append(self, level: int, node: bytes) -> None:
        """Add the next node of a level, 32 bytes."""
        if level == len(self._levels):
            self._levels.append(bytearray())
        self._levels[level] += node

    def get(self, level: int, index: int) -> bytes:
        """A node that was appended."""
        return bytes(self._levels[level][32 * index : 32 * index + 32])

    def count(self, level: int) -> int:
        """Nodes of a level, 0 for one that has none."""
        return len(self._levels[level]) // 32 if level < len(self._levels) else 0


class Tree:
    """An append-only RFC 6962 tree. Roots and proofs of every earlier size can still be made."""

    def __init__(self, entries: Iterable[bytes] = (), nodes: NodeStore | None = None) -> None:
        self._nodes = nodes if nodes is not None else MemoryNodes()
        for entry in entries:
            self.append(entry)

    def __len__(self) -> int:
        return self._nodes.count(0)

    def append(self, entry: bytes) -> int:
        """Add one entry; returns its index."""
        index = len(self)
        node, level, position = leaf_hash(entry), 0, index
        self._nodes.append(0, node)
        while position % 2 == 1:
            node = node_hash(self._nodes.get(level, position - 1), node)
            level, position = level + 1, position // 2
            self._nodes.append(level, node)
        return index

    def node(self, level: int, index: int) -> bytes:
        """Root of the whole subtree of 2^level leaves with this number, 32 bytes."""
        if not 0 <= index < self._nodes.count(level):
            raise ValueError(f"node {index} outside level {level}")
        return self._nodes.get(level, index)

    def _subtree(self, start: int, end: int) -> bytes:
        """Root of leaves [start, end).

        `start` is a multiple of the smallest power of two >= end - start.
        """
        width = end - start
        if width & (width - 1) == 0:
            level = width.bit_length() - 1
            return self._nodes.get(level, start >> level)
        split = start + _split(width)
        return node_hash(self._subtree(start, split), self._subtree(split, end))

    def root(self, size: int | None = None) -> bytes:
        """Root over the first `size` leaves, over all of them if None; 32 bytes."""
        size = self._check_size(size)
        return self._subtree(0, size) if size else EMPTY_ROOT

    def _check_size(self, size: int | None) -> int:
        if size is None:
            return len(self)
        if not 0 <= size <= len(self):
            raise ValueError(f"size {size} outside 0..{len(self)}")
        return size

    def inclusion_proof(self, index: int, size: int | None = None) -> list[bytes]:
        """Audit path of leaf `index` in the tree of `size` leaves, the leaf's sibling first.

        Source: RFC 9162 section 2.1.3.1.
        """
        size = self._check_size(size)
        if not 0 <= index < size:
            raise ValueError(f"index {index} outside 0..{size - 1}")
        path: list[bytes] = []
        start, end = 0, size
        while end - start > 1:
            split = start + _split(end - start)
            if index < split:
                path.append(self._subtree(split, end))
                end = split
            else:
                path.append(self._subtree(start, split))
                start = split
        return path[::-1]

    def consistency_proof(self, old: int, size: int | None = None) -> list[bytes]:
        """Proof that the tree of `old` leaves is a prefix of the tree of `size` leaves.

        Empty when `old` is 0 or equal to `size`. Source: RFC 9162 section 2.1.4.1.
        """
        size = self._check_size(size)
        if not 0 <= old <= size:
            raise ValueError(f"old size {old} outside 0..{size}")
        if old in (0, size):
            return []
        path: list[bytes] = []
        start, end, whole = 0, size, True
        while old != end:
            split = start + _split(end - start)
            if old <= split:
                path.append(self._subtree(split, end))
                end = split
            else:
                path.append(self._subtree(start, split))
                start, whole = split, False
        if not whole:
            path.append(self._subtree(start, end))
        return path[::-1]


def _split(width: int) -> int:
    """The largest power of two smaller than width (width >= 2)."""
    return 1 << ((width - 1).bit_length() - 1)


def verify_inclusion(
    entry: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check an audit path (RFC 9162 2.1.3.2).

    All arguments except `root` and `size` are attacker-controlled.

    Raises:
        VerificationError: index outside the tree, wrong proof length, or another root.
    """
    if not 0 <= index < size:
        raise VerificationError("index outside the log", expected=f"0..{size - 1}", actual=index)
    inner = (index ^ (size - 1)).bit_length()
    border = (index >> inner).bit_count()
    if len(proof) != inner + border or any(len(node) != 32 for node in proof):
        raise VerificationError(
            "inclusion proof has the wrong length", expected=inner + border, actual=len(proof)
        )
    node = leaf_hash(entry)
    for i, sibling in enumerate(proof):
        is_right = i >= inner or index >> i & 1
        node = node_hash(sibling, node) if is_right else node_hash(node, sibling)
    if node != root:
        raise VerificationError(
            "inclusion proof leads to another root", expected=root.hex(), actual=node.hex()
        )


def verify_consistency(
    old: int, size: int, proof: Sequence[bytes], old_root: bytes, root: bytes
) -> None:
    """Check that a tree extends an older one (RFC 9162 2.1.4.2).

    Args:
        old, old_root: size and root of the older tree, which the caller knows.
        size, proof, root: attacker-controlled. The proof is empty where `old` is 0 or `size`.

    Raises:
        VerificationError: the tree shrank, its proof has another length, or leads to another root.
    """
    if not 0 <= old <= size:
        raise VerificationError("the log shrank", expected=f">= {old}", actual=size)
    if old in (0, size):
        same = EMPTY_ROOT if old == 0 else old_root
        if proof or old_root != same or (size == old and root != same):
            raise VerificationError(
                "heads of one size have different roots, or their proof is not empty",
                expected=same.hex(),
                actual=root.hex(),
            )
        return
    nodes = list(proof)
    if old & (old - 1) == 0:
        nodes.insert(0, old_root)
    if not nodes or any(len(node) != 32 for node in nodes):
        raise VerificationError("consistency proof is empty, or a node of it is not 32 bytes")
    before, after = _climb(old, size, nodes)
    if before != old_root or after != root:
        raise VerificationError(
            "consistency proof leads to other roots",
            expected=f"{old_root.hex()}, {root.hex()}",
            actual=f"{before.hex()}, {after.hex()}",
        )


def _climb(old: int, size: int, nodes: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The roots of both trees by a consistency proof, whose first node is in both of them."""
    first, last = old - 1, size - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    before = after = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            raise VerificationError("consistency proof is too long", actual=len(nodes))
        if first & 1 or first == last:
            before, after = node_hash(node, before), node_hash(node, after)
            while first and not first & 1:
                first, last = first >> 1, last >> 1
        else:
            after = node_hash(after, node)
        first, last = first >> 1, last >> 1
    if last:
        raise VerificationError("consistency proof is too short", actual=len(nodes))
    return before, after
