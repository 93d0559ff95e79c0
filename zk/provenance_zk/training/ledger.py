"""The proof ledger as proving sees it; `provenance.chain.session.Session` is the real one."""

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
from provenance_zk.field import R, to_word
from provenance_zk.statements import ProofFile, point_ints


class Ledger(Protocol):
    """Writes that may each be repeated: what the chain has already is found, not sent again."""

    def begin_dataset(
        self,
        epoch_key: KeyId,
        tree_key: KeyId,
        root: DatasetRoot,
        points: Sequence[Point],
        poks: Sequence[Point],
    ) -> DatasetId: ...
    def prove_tree(self, dataset_id: DatasetId, k: int, t: int, z: int, proof: Any) -> Any: ...
    def prove_link(self, dataset_id: DatasetId, link: LinkProof) -> Any: ...
    def finish_dataset(self, dataset_id: DatasetId) -> Any: ...
    def anchor_epoch(self, run_id: RunId, epoch: int, points: EpochPoints) -> int: ...
    def prove_epoch(self, item: EpochProof) -> Any: ...
    def prove_epochs(self, items: Sequence[EpochProof]) -> Any: ...
    def is_chunk_proved(self, run_id: RunId, epoch: int, number: int, c: int) -> bool: ...
    def latest(self) -> ChainSnapshot: ...
    def final(self, receipt: Any) -> None: ...


def calldata(proof: ProofFile) -> Any:
    """The contract's `Proof` tuple: a, b, c."""
    return (list(proof.a), list(proof.b), list(proof.c))


def epoch_item(run_id: RunId, epoch: int, number: int, c: int, proof: ProofFile) -> EpochProof:
    """What the ledger is told about the proof of chunk `c`; it knows the other public inputs
    itself, and D's proof of knowledge.
    """
    return EpochProof(
        run_id,
        epoch,
        number,
        c,
        proof.public_value("a"),
        proof.public_value("b"),
        proof.commitments,
        (proof.poks[1], proof.poks[2]),
        calldata(proof),
    )


def point_json(point: bytes) -> list[str]:
    """A point of 64 bytes as two hexadecimal numbers."""
    x, y = point_ints(point)
    return [to_word(x), to_word(y)]


def blindings(path: Path, key: bytes, name: str, chunks: int) -> list[int]:
    """One secret blinding per chunk, drawn once under this name; durable before they are
    returned.
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
