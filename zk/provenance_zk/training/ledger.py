"""The proof ledger as proving sees it; `provenance.chain.session.Session` is the real one."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from provenance.dataset.saltstore import SaltStore
from provenance.judgement.facts import ChainSnapshot
from provenance_zk.field import R, to_word
from provenance_zk.statements import ProofFile, point_ints

Point = tuple[int, int]


EpochArguments = tuple[bytes, int, int, int, int, int, list[Point], list[Point], Any]
"""The arguments of `prove_epoch`, which are also the fields of the contract's `EpochItem`."""


class Ledger(Protocol):
    """Writes that may each be repeated: what the chain has already is found, not sent again."""

    def begin_dataset(
        self,
        epoch_key: str,
        tree_key: str,
        root: int,
        depth: int,
        count: int,
        points: list[Point],
        poks: list[Point],
    ) -> bytes: ...
    def prove_tree(self, dataset_id: bytes, k: int, t: int, z: int, proof: Any) -> Any: ...
    def prove_link(
        self, dataset_id: bytes, c: int, d: Point, a: int, b: int, proof: Any
    ) -> Any: ...
    def finish_dataset(self, dataset_id: bytes) -> Any: ...
    def anchor_epoch(
        self,
        run_id: bytes,
        epoch: int,
        dataset_id: bytes,
        consumed: int,
        u: list[Point],
        p: list[Point],
    ) -> int: ...
    def prove_epoch(
        self,
        run_id: bytes,
        epoch: int,
        number: int,
        c: int,
        a: int,
        b: int,
        commitments: list[Point],
        poks: list[Point],
        proof: Any,
    ) -> Any: ...
    def prove_epochs(self, items: Sequence[EpochArguments]) -> Any: ...
    def is_chunk_proved(self, run_id: bytes, epoch: int, number: int, c: int) -> bool: ...
    def latest(self) -> ChainSnapshot: ...
    def final(self, receipt: Any) -> None: ...


def calldata(proof: ProofFile) -> Any:
    """The contract's `Proof` tuple: a, b, c."""
    return (list(proof.a), list(proof.b), list(proof.c))


def epoch_arguments(
    run_id: bytes, epoch: int, number: int, c: int, proof: ProofFile
) -> EpochArguments:
    """What the ledger is told about the proof of chunk `c`; it knows the other public inputs itself, and D's proof of knowledge."""
    return (
        run_id,
        epoch,
        number,
        c,
        proof.public_value("a"),
        proof.public_value("b"),
        list(proof.commitments),
        [proof.poks[1], proof.poks[2]],
        calldata(proof),
    )


def point_json(point: bytes) -> list[str]:
    x, y = point_ints(point)
    return [to_word(x), to_word(y)]


def blindings(path: Path, key: bytes, name: str, chunks: int) -> list[int]:
    """One secret blinding per chunk, drawn once under this name; durable before they are returned."""
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
