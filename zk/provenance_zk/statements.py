"""What the statements about datasets and epochs are about, in plain integers.

Seeds, challenges, vectors and products stand here once, slowly and obviously. The prover has its
own copy in Go and the contracts theirs in Solidity; all three read the same vectors.

Notation: N = count, n = slots of the key, m = ceil(N/n) chunks, L_g = leaf g, a = order of the
epoch (position h feeds leaf a[h]), g = c*n + i, h = c*n + j.

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
"""An epoch's proof shows that its maker knows U and P; D was checked at registration."""
D_MASK = 0b001
"""A link's proof shows that its maker knows D; U is infinity, and anybody computes its P."""
FULL_MASK = 0b111
"""Every commitment of a proof of which no registration is at hand."""


def tag(name: str) -> bytes:
    """`keccak256("provenance/v1/" || name)`, for link, dataset, epoch, seed and draw."""
    return bytes(keccak(text=f"provenance/v1/{name}"))


def _hash(types: Sequence[str], values: Sequence[Any]) -> bytes:
    return bytes(keccak(encode(types, values)))


def points_hash(points: Iterable[bytes]) -> bytes:
    """keccak256 of "all X_c": 64-byte points in chunk order, infinity as zeros.

    Raises:
        InputError: a point of another length.
    """
    parts = list(points)
    if any(len(point) != 64 for point in parts):
        raise InputError("a G1 point has 64 bytes")
    return bytes(keccak(b"".join(parts)))


def chunk_count(count: int, slots: int) -> int:
    """m = ceil(N/n).

    Raises:
        InputError: count outside 1..16^6, or no slots.
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
    """What names a dataset's registration with one pair of keys; addresses have 20 bytes."""

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
        """Seed of the challenge of tree and link proofs."""
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
    """What an anchored epoch binds before its challenge exists.

    The order of the fields is that of the preimage; addresses have 20 bytes.
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
    """(gamma, delta): two separately indexed hashes of the seed, reduced modulo r."""
    first, second = (
        int.from_bytes(_hash(["bytes32", "uint256"], [seed, i]), "big") % R for i in (0, 1)
    )
    return first, second


def inverse(order: Sequence[int]) -> list[int]:
    """pi of a: `pi[a[h]] = h`."""
    pi = [0] * len(order)
    for h, leaf in enumerate(order):
        pi[leaf] = h
    return pi


def leaves_to_ints(leaves: np.ndarray) -> list[int]:
    """(N, 32) uint8, big-endian, to integers."""
    data = np.ascontiguousarray(leaves).tobytes()
    return [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)]


def p_vector(pi: Sequence[int], chunk: int, slots: int) -> list[int]:
    """P_c: the position that leaf g is fed at, g itself from N on. A link has an empty `pi`."""
    return [pi[g] if g < len(pi) else g for g in range(chunk * slots, (chunk + 1) * slots)]


def product_from(gamma: int, delta: int, values: Sequence[int], start: int) -> int:
    """`prod_j(gamma + values[j] + delta*(start+j)) mod r`.

    It is b_c of U_c, and t_k of the used leaves of a tree chunk.
    """
    product, shift = 1, (gamma + delta * start) % R
    for value in values:
        product = product * (shift + value) % R
        shift += delta
    return product


def used_leaves(count: int, k: int, chunk_leaves: int) -> int:
    """`clamp(N - s*k, 0, s)`: leaves in tree chunk k of s leaves."""
    return max(0, min(count - chunk_leaves * k, chunk_leaves))
