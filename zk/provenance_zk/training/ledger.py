"""The proof ledger as an owner's proofs see it, and the secrets that must outlive a call to it.

`provenance.chain.session.Session` is the real ledger.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from provenance.chain.calls import EpochPoints, EpochProof, LinkProof, Point
from provenance.dataset.manifest import DatasetRoot
from provenance.dataset.saltstore import SaltStore
from provenance.ids import DatasetId, KeyId, RunId
from provenance.judgement.facts import ChainSnapshot
from provenance_zk.field import R


class Ledger(Protocol):
    """Writes that may each be repeated: what the chain has already is found, not sent again.

    Raises (every write): RejectedError if the contract refuses it; UnavailableError if the chain is
    out of reach.
    """

    def begin_dataset(
        self,
        epoch_key: KeyId,
        tree_key: KeyId,
        root: DatasetRoot,
        points: Sequence[Point],
        poks: Sequence[Point],
    ) -> DatasetId:
        """Register D of each chunk, and the proof that the owner knows it."""
        ...

    def prove_tree(self, dataset_id: DatasetId, k: int, t: int, z: int, proof: Any) -> Any:
        """Submit the proof of tree chunk k with its products; returns a receipt."""
        ...

    def prove_link(self, dataset_id: DatasetId, link: LinkProof) -> Any:
        """Submit the proof of a chunk's link; returns a receipt."""
        ...

    def finish_dataset(self, dataset_id: DatasetId) -> Any:
        """Have the products of trees and links compared; returns a receipt."""
        ...

    def anchor_epoch(self, run_id: RunId, epoch: int, points: EpochPoints) -> int:
        """Anchor U and P of each chunk; returns the number of the anchoring."""
        ...

    def prove_epoch(self, item: EpochProof) -> Any:
        """Submit the proof of one chunk; returns a receipt."""
        ...

    def prove_epochs(self, items: Sequence[EpochProof]) -> Any:
        """Submit several proofs, of which all are accepted or none; returns a receipt."""
        ...

    def is_chunk_proved(self, run_id: RunId, epoch: int, number: int, c: int) -> bool:
        """Whether the ledger accepted the proof of chunk c of an anchoring."""
        ...

    def latest(self) -> ChainSnapshot:
        """The newest state."""
        ...

    def final(self, receipt: Any) -> None:
        """Wait until a receipt's block is final."""
        ...


def blindings(path: Path, key: bytes, name: str, chunks: int) -> list[int]:
    """One secret blinding per chunk, drawn once under this name; durable before they are returned.

    Args:
        path: of the store; `key` (32 bytes) opens it.
    """
    with SaltStore.open(path, key) as store:
        known = set(store.ids(name))
        fresh = [
            (c, (1 + secrets.randbelow(R - 1)).to_bytes(32, "big"))
            for c in range(chunks)
            if c not in known
        ]
        if fresh:
            store.put_many(name, fresh)
            store.sync()
        return [int.from_bytes(store.get(name, c), "big") for c in range(chunks)]
