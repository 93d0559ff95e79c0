"""What an owner's proofs need of the contract `ProofLedger`, and the store of blindings.

`provenance.chain.session.Session` is the real implementation.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from provenance.chain.calls import EpochPoints, EpochProof, EpochsAtOnce, LinkProof, Point
from provenance.dataset.manifest import DatasetRoot
from provenance.dataset.saltstore import SaltStore
from provenance.ids import DatasetId, KeyId, RunId
from provenance.judgement.facts import ChainIdentity, ChainSnapshot
from provenance_zk.field import R


class Ledger(Protocol):
    """Writes to the contract. Each may be repeated: what the chain already has is not sent again.

    Every write raises RejectedError if the contract refuses it, and UnavailableError if the chain
    is out of reach.
    """

    def begin_dataset(
        self,
        epoch_key: KeyId,
        tree_key: KeyId,
        root: DatasetRoot,
        points: Sequence[Point],
        poks: Sequence[Point],
    ) -> DatasetId:
        """Register each chunk's D with the proof that the owner knows what it commits to."""
        ...

    def prove_tree(self, dataset_id: DatasetId, k: int, t: int, z: int, proof: Any) -> Any:
        """Submit the proof of tree chunk k with its products t and z; returns a receipt."""
        ...

    def prove_link(self, dataset_id: DatasetId, link: LinkProof) -> Any:
        """Submit the link proof of a chunk; returns a receipt."""
        ...

    def finish_dataset(self, dataset_id: DatasetId) -> Any:
        """Make the contract compare the products of trees and links; returns a receipt."""
        ...

    def anchor_epoch(self, run_id: RunId, epoch: int, points: EpochPoints) -> int:
        """Anchor each chunk's U and P; returns the number of the anchoring."""
        ...

    def prove_epoch(self, item: EpochProof) -> Any:
        """Submit the proof of one chunk; returns a receipt."""
        ...

    def prove_epochs(self, items: Sequence[EpochProof]) -> Any:
        """Submit several proofs; the contract accepts all or none. Returns a receipt."""
        ...

    def anchor_and_prove(self, epochs: EpochsAtOnce) -> Any:
        """Anchor epochs and prove them; the contract accepts all or none. Returns a receipt."""
        ...

    @property
    def identity(self) -> ChainIdentity:
        """The chain and its contracts, whose names are in every challenge."""
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
    """One secret blinding per chunk. Drawn on the first call; later calls return the same ones.

    They are durable before they are returned, since what is proven with them must be repeatable.

    Args:
        path: of the store.
        key: 32 bytes that open the store.
        name: what the blindings are for.
        chunks: how many.
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
