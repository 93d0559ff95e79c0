"""Committing a dataset: from rows to salted leaves under one Poseidon root.

    canonical bytes -> d = tagged("record", bytes) -> L = Poseidon3(d_hi, d_lo, salt)
                    -> 16-ary tree of depth 5 or 6

Source: docs/formats/proofs.md, "Dataset leaves and tree".
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from provenance.causes import cause_of
from provenance.dataset.manifest import SALT_BYTES, DatasetRoot, depth_for
from provenance.dataset.writer import CommittedRecord, ManifestFacts, write_dataset
from provenance.digest import Digest
from provenance.errors import Conflict, InputError, UnavailableError
from provenance.progress import Progress, silent
from provenance.statements import ARITY
from provenance_zk.field import to_bytes
from provenance_zk.poseidon import poseidon
from provenance_zk.training.spool import STEP, Spool, read_rows

_SHOWN = 20


class TreeBuilder(Protocol):
    """Builds leaves and tree; `provenance_zk.prover.client.ZkProver` is the fast implementation."""

    def dataset(self, digests: bytes, salts: bytes, depth: int) -> tuple[bytes, int]:
        """Leaves and root of a dataset.

        Args:
            digests: 32 bytes each, in strictly increasing order.
            salts: 31 bytes each.

        Returns:
            (leaves of 32 bytes each, in the order of the digests; root).
        """
        ...


def leaf(digest: Digest, salt: bytes) -> bytes:
    """The leaf `L = Poseidon3(d_hi, d_lo, salt)` of a record, 32 bytes.

    Raises:
        InputError: the salt does not have 31 bytes.
    """
    if len(salt) != SALT_BYTES:
        raise InputError("a salt has 31 bytes", actual=len(salt))
    high, low = digest.limbs
    return to_bytes(poseidon([high, low, int.from_bytes(salt, "big")]))


def leaves_of(digests: Sequence[Digest], salts: Sequence[bytes]) -> list[bytes]:
    """The leaf of each pair: the slow leaf function of `CommittedDataset.check`, 0.5 ms a leaf."""
    return [leaf(digest, salt) for digest, salt in zip(digests, salts, strict=True)]


def tree_root(leaves: Sequence[int], depth: int) -> int:
    """Poseidon root over leaves, filled from the left; empty slots are 0. About 0.3 ms a leaf."""
    nodes, empty = list(leaves), 0
    for _ in range(depth):
        nodes += [empty] * (-len(nodes) % ARITY)
        nodes = [poseidon(nodes[i : i + ARITY]) for i in range(0, len(nodes), ARITY)]
        empty = poseidon([empty] * ARITY)
    return nodes[0]


def root_of(leaves: np.ndarray, depth: int) -> int:
    """`tree_root` of (N, 32) uint8: the slow root function of `CommittedDataset.check`."""
    return tree_root([int.from_bytes(row.tobytes(), "big") for row in leaves], depth)


def fast_leaves(prover: TreeBuilder) -> Callable[[Sequence[Digest], Sequence[bytes]], list[bytes]]:
    """A leaf function for `CommittedDataset.check` that asks the prover.

    It takes digests in strictly increasing order only.
    """

    def leaves(digests: Sequence[Digest], salts: Sequence[bytes]) -> list[bytes]:
        data, _ = prover.dataset(b"".join(digests), b"".join(salts), depth_for(len(digests)))
        return [data[i : i + 32] for i in range(0, len(data), 32)]

    return leaves


@dataclass(frozen=True)
class CommitReport:
    """What was committed. Rows count from 0 in reading order.

    Attributes:
        duplicates: (row, the first row with the same bytes).
        removed: how many of the duplicates were left out.
    """

    root: DatasetRoot
    count: int
    duplicates: tuple[tuple[int, int], ...]
    removed: int
    out_dir: Path

    def to_json(self) -> dict[str, Any]:
        """`provenance-commit/1`, what the command prints for programs."""
        return {
            "format": "provenance-commit/1",
            **self.root.to_json(),
            "duplicates_removed": self.removed,
            "out": str(self.out_dir),
        }


@dataclass(frozen=True)
class DatasetCommitter:
    """Commits datasets for one owner.

    Attributes:
        tree: builds leaves and tree.
        key: 32 bytes for the salt store, see `provenance.dataset.saltstore.load_or_create_key`.
        dedupe: drop exact duplicates instead of refusing them.
        locate: tells where row i stands, for messages; called for the row that was read last.
        progress: told of the stages read, tree and write.
        random_bytes: source of the salts.
    """

    tree: TreeBuilder
    key: bytes
    dedupe: bool = False
    locate: Callable[[int], str] = "row {}".format
    progress: Progress = silent
    random_bytes: Callable[[int], bytes] = os.urandom

    def commit(
        self, rows: Iterable[Mapping[str, Any]], out_dir: Path, facts: ManifestFacts
    ) -> CommitReport:
        """Commit rows and write the dataset folder; nothing is left behind when this raises.

        Args:
            rows: attacker-controlled; read once.
            facts: what the manifest states; counts and `duplicates_removed` are filled in here.

        Raises:
            InputError: no rows, more than 16^6, a row without canonical bytes, exact duplicates
                without `dedupe`, or two records whose digests share their first half.
            Conflict: `out_dir` exists.
            UnavailableError: the prover or the disk is out of reach.
        """
        if os.path.lexists(out_dir):  # refused before the long work; the rename checks again
            raise Conflict(
                "output folder exists", where=str(out_dir), hint="choose another --out folder"
            )
        with _nameless_file(Path(out_dir).absolute().parent) as stream:
            spool = Spool(stream)
            read_rows(rows, spool, self.locate, self.progress)
            return self._write(spool, Path(out_dir), facts)

    def _write(self, spool: Spool, out_dir: Path, facts: ManifestFacts) -> CommitReport:
        if not len(spool):
            raise InputError("source has no records", where=facts.source)
        order, duplicates = _sort(spool)
        if duplicates and not self.dedupe:
            raise _duplicates_error(duplicates)
        digests = b"".join(spool.digest(row) for row in order)
        salts = self.random_bytes(SALT_BYTES * len(order))
        self.progress("tree", 0, len(order))
        leaves, root_value = self.tree.dataset(digests, salts, depth_for(len(order)))
        self.progress("tree", len(order), len(order))
        root = DatasetRoot(root_value, depth_for(len(order)), len(order))
        facts = replace(
            facts,
            duplicates_removed=facts.duplicates_removed + len(duplicates),
            counts={**facts.counts, "bytes": sum(map(spool.size, order))},
        )
        records = _records(spool, order, salts, leaves)
        write_dataset(out_dir, root, facts, self._told(records, len(order)), self.key)
        return CommitReport(root, len(order), tuple(duplicates), len(duplicates), out_dir)

    def _told(self, records: Iterable[CommittedRecord], count: int) -> Iterator[CommittedRecord]:
        for i, record in enumerate(records):
            if i % STEP == 0:
                self.progress("write", i, count)
            yield record
        self.progress("write", count, count)


def _nameless_file(folder: Path) -> IO[bytes]:
    """A file without a name, on the disk of `folder`, which is made if it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=folder)
    except OSError as error:
        raise UnavailableError(
            "cannot create output folder", where=str(folder), actual=cause_of(error)
        ) from error


def _sort(spool: Spool) -> tuple[list[int], list[tuple[int, int]]]:
    """Sort rows by digest; returns (first rows in that order, (row, first row) of duplicates)."""
    words = np.frombuffer(bytes(spool.digests), dtype=">u8").reshape(-1, 4).astype(np.uint64)
    # The sort is stable: equal digests stay in reading order.
    ranked = np.lexsort((words[:, 3], words[:, 2], words[:, 1], words[:, 0]))
    ordered = words[ranked]
    same_high = np.all(ordered[1:, :2] == ordered[:-1, :2], axis=1)
    same = np.all(ordered[1:] == ordered[:-1], axis=1)
    if clash := np.flatnonzero(same_high & ~same).tolist():
        i = clash[0]
        raise InputError(
            "two records have digests with the same first half: they cannot be ordered",
            where=f"rows {ranked[i]} and {ranked[i + 1]}",
            hint="change or remove one of them",
        )
    order: list[int] = []
    duplicates: list[tuple[int, int]] = []
    for row, repeats in zip(ranked.tolist(), [False, *same.tolist()], strict=False):
        if repeats:
            duplicates.append((row, order[-1]))
        else:
            order.append(row)
    return order, sorted(duplicates)


def _duplicates_error(duplicates: list[tuple[int, int]]) -> InputError:
    shown = "; ".join(f"row {row} repeats row {first}" for row, first in duplicates[:_SHOWN])
    more = f"; and {len(duplicates) - _SHOWN} more" if len(duplicates) > _SHOWN else ""
    return InputError(
        f"dataset holds {len(duplicates)} exact duplicates (rows count from 0)",
        actual=shown + more,
        hint="run with --dedupe to drop them and record how many, or remove them from the source",
    )


def _records(
    spool: Spool, order: Sequence[int], salts: bytes, leaves: bytes
) -> Iterator[CommittedRecord]:
    if len(leaves) != 32 * len(order):
        raise UnavailableError(
            "prover returned another number of leaves",
            expected=len(order),
            actual=len(leaves) // 32,
        )
    for i, row in enumerate(order):
        yield CommittedRecord(
            spool.digest(row),
            spool.canonical(row),
            salts[SALT_BYTES * i : SALT_BYTES * (i + 1)],
            leaves[32 * i : 32 * i + 32],
            row,
        )
