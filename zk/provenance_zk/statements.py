"""Seeds, challenges, vectors and products of the statements about datasets and epochs.

All of it in plain integers, slow and obvious. The prover has its own copy in Go, the contracts have
theirs in Solidity, and all three are tested with the same vectors.

Notation: N = number of records, n = slots of the key, m = ceil(N/n) chunks, c = number of a chunk,
L_g = leaf g, a = order of the epoch (leaf a[h] is fed at position h). Slot i of chunk c holds leaf
g = c*n + i; slot j of it holds position h = c*n + j.

Source: docs/formats/proofs.md ("Public inputs", "Challenge preimages", "Order of an epoch",
"Accumulators").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from provenance.errors import InputError
from provenance.ids import DatasetId, KeyId, RunId
from provenance.statements import MAX_RECORDS
from provenance_zk.field import R

EPOCH_MASK = 0b110
"""Bits of U and P. An epoch's proof shows that its maker knows the vectors that U and P commit to.

Knowledge of D was checked at registration.
"""
D_MASK = 0b001
"""Bit of D. A link's proof shows that its maker knows the vector that D commits to.

Its U is the point at infinity and its P is public, so neither needs a proof of knowledge.
"""
FULL_MASK = 0b111
"""All of D, U and P, for an `epoch` proof that is checked without its registration."""


def tag(name: str) -> bytes:
    """`keccak256("provenance/v1/" || name)`, for link, dataset, epoch, seed and draw."""
    return bytes(keccak(text=f"provenance/v1/{name}"))


def _hash(types: Sequence[str], values: Sequence[Any]) -> bytes:
    return bytes(keccak(encode(types, values)))


def points_hash(points: Iterable[bytes]) -> bytes:
    """keccak256 of the points of one letter (D, U or P) over all chunks.

    Args:
        points: 64 bytes each, in the order of the chunks; infinity is 64 zeros.

    Raises:
        InputError: a point of another length.
    """
    parts = list(points)
    if any(len(point) != 64 for point in parts):
        raise InputError("a G1 point has 64 bytes")
    return bytes(keccak(b"".join(parts)))


def chunk_count(count: int, slots: int) -> int:
    """Number of chunks m = ceil(N/n).

    Raises:
        InputError: count outside 1..16^6, or slots below 1.
    """
    if not 1 <= count <= MAX_RECORDS or slots < 1:
        raise InputError(
            "no such statement",
            expected=f"1..{MAX_RECORDS} records, slots >= 1",
            actual=f"{count}, {slots}",
        )
    return -(-count // slots)


@dataclass(frozen=True)
class Registration:
    """The facts that the id of a registration is hashed from; addresses have 20 bytes."""

    chain_id: int
    ledger: bytes
    owner: bytes
    epoch_key: KeyId
    tree_key: KeyId
    root: int
    depth: int
    count: int
    slots: int
    d_hash: bytes

    @property
    def link_seed(self) -> bytes:
        """Seed of the challenge of the registration's tree and link proofs, 32 bytes."""
        numbers = (self.root, self.depth, self.count, self.slots)
        return _hash(
            ["bytes32", "uint256", "address", "address", "bytes32", "bytes32"]
            + ["uint256"] * 5
            + ["bytes32"],
            [
                tag("link"),
                self.chain_id,
                self.ledger,
                self.owner,
                self.epoch_key,
                self.tree_key,
                *numbers,
                chunk_count(self.count, self.slots),
                self.d_hash,
            ],
        )

    @property
    def dataset_id(self) -> DatasetId:
        """Hash of the link seed."""
        return DatasetId(_hash(["bytes32", "bytes32"], [tag("dataset"), self.link_seed]))


@dataclass(frozen=True)
class EpochAnchor:
    """What anchoring an epoch fixes, before its challenge exists.

    The fields have the order of the preimage; addresses have 20 bytes.
    """

    chain_id: int
    ledger: bytes
    registry: bytes
    epoch_key: KeyId
    dataset_id: DatasetId
    run_id: RunId
    run_seed: bytes
    epoch: int
    number: int
    count: int
    consumed: int
    slots: int
    log_size: int
    log_root: bytes
    d_hash: bytes
    u_hash: bytes
    p_hash: bytes

    @property
    def seed(self) -> bytes:
        """Seed of the challenge of the epoch's proofs."""
        words = (self.epoch_key, self.dataset_id, self.run_id, self.run_seed)
        numbers = (self.epoch, self.number, self.count, self.consumed, self.slots)
        hashes = (self.log_root, self.d_hash, self.u_hash, self.p_hash)
        return _hash(
            ["bytes32", "uint256", "address", "address"]
            + ["bytes32"] * 4
            + ["uint256"] * 7
            + ["bytes32"] * 4,
            [
                tag("epoch"),
                self.chain_id,
                self.ledger,
                self.registry,
                *words,
                *numbers,
                chunk_count(self.count, self.slots),
                self.log_size,
                *hashes,
            ],
        )


def challenges(seed: bytes) -> tuple[int, int]:
    """The challenge (gamma, delta): keccak256 of (seed, 0) and of (seed, 1), each modulo r."""
    first, second = (
        int.from_bytes(_hash(["bytes32", "uint256"], [seed, i]), "big") % R for i in (0, 1)
    )
    return first, second


def inverse(order: Sequence[int]) -> list[int]:
    """The inverse pi of an order a: `pi[a[h]] = h`, so leaf g is fed at position pi[g]."""
    pi = [0] * len(order)
    for h, leaf in enumerate(order):
        pi[leaf] = h
    return pi


def leaves_to_ints(leaves: np.ndarray) -> list[int]:
    """Leaves (N, 32) uint8, each big-endian, as N integers; not checked to be below r."""
    data = np.ascontiguousarray(leaves).tobytes()
    return [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)]


def p_vector(pi: Sequence[int], chunk: int, slots: int) -> list[int]:
    """The vector that P of a chunk commits to: for each of its leaves g, the position pi[g].

    Beyond the last leaf (g >= N) it is g itself. A link has an empty `pi`: all of it is g.
    """
    return [pi[g] if g < len(pi) else g for g in range(chunk * slots, (chunk + 1) * slots)]


def product_from(gamma: int, delta: int, values: Sequence[int], start: int) -> int:
    """`prod_j(gamma + values[j] + delta*(start+j)) mod r`.

    It is the product b of a chunk when `values` are what U commits to, and the product t of a tree
    chunk when they are its leaves.
    """
    product, shift = 1, (gamma + delta * start) % R
    for value in values:
        product = product * (shift + value) % R
        shift += delta
    return product


def used_leaves(count: int, k: int, chunk_leaves: int) -> int:
    """How many of the N leaves lie in tree chunk k, of s leaves each: `clamp(N - s*k, 0, s)`."""
    return max(0, min(count - chunk_leaves * k, chunk_leaves))
