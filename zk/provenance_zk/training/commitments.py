"""Committing a dataset: from rows to salted leaves under one Poseidon root.

    canonical bytes -> d = tagged("record", bytes) -> L = Poseidon3(d_hi, d_lo, salt) -> 16-ary tree
    of depth 5 or 6

Rows are spooled to an unlinked temporary file, so memory grows with 48 bytes a record, not with
their text.

Source: docs/formats/proofs.md, "Dataset leaves and tree".
"""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from provenance.dataset.manifest import SALT_BYTES, DatasetRoot, depth_for
from provenance.dataset.writer import CommittedRecord, ManifestFacts, write_dataset
from provenance.digest import Digest
from provenance.encoding import dataset_record_bytes, dataset_record_digest
from provenance.errors import Conflict, InputError, ProvenanceError, UnavailableError
from provenance.statements import ARITY, MAX_RECORDS
from provenance_zk.field import to_bytes
from provenance_zk.poseidon import poseidon

Progress = Callable[[str, int, int | None], None]
"""(stage, done, total or None while it is unknown); stages: read, tree, write."""
_SHOWN = 20
_STEP = 1000


class TreeBuilder(Protocol):
    """Makes leaves and tree;

    `provenance_zk.prover.client.ZkProver` is the fast one, `PythonTree` the obvious one.
    """

    def dataset(self, digests: bytes, salts: bytes, depth: int) -> tuple[bytes, int]:
        """(leaves, root) of count*32 bytes of digests in strictly increasing order and count*31
        bytes of salts.
        """
        ...


def leaf(digest: Digest, salt: bytes) -> bytes:
    """`L = Poseidon3(d_hi, d_lo, salt)`, 32 bytes.

    Raises:
        InputError: the salt does not have 31 bytes.
    """
    if len(salt) != SALT_BYTES:
        raise InputError("a salt has 31 bytes", actual=len(salt))
    high, low = digest.limbs
    return to_bytes(poseidon([high, low, int.from_bytes(salt, "big")]))


def leaves_of(digests: Sequence[Digest], salts: Sequence[bytes]) -> list[bytes]:
    """`leaf` of each pair: the leaf function of `CommittedDataset.check`. About 0.5 ms a leaf."""
    return [leaf(digest, salt) for digest, salt in zip(digests, salts, strict=True)]


def tree_root(leaves: Sequence[int], depth: int) -> int:
    """Root over leaves from the left, empty slots 0. About 0.3 ms a leaf."""
    nodes, empty = list(leaves), 0
    for _ in range(depth):
        nodes += [empty] * (-len(nodes) % ARITY)
        nodes = [poseidon(nodes[i : i + ARITY]) for i in range(0, len(nodes), ARITY)]
        empty = poseidon([empty] * ARITY)
    return nodes[0]


def root_of(leaves: np.ndarray, depth: int) -> int:
    """`tree_root` of leaves as (N, 32) uint8: the root function of `CommittedDataset.check`."""
    return tree_root([int.from_bytes(row.tobytes(), "big") for row in leaves], depth)


def fast_leaves(prover: TreeBuilder) -> Callable[[Sequence[Digest], Sequence[bytes]], list[bytes]]:
    """A leaf function for `CommittedDataset.check` that asks the prover; digests must be strictly
    increasing.
    """

    def leaves(digests: Sequence[Digest], salts: Sequence[bytes]) -> list[bytes]:
        data, _ = prover.dataset(b"".join(digests), b"".join(salts), depth_for(len(digests)))
        return [data[i : i + 32] for i in range(0, len(data), 32)]

    return leaves


class PythonTree:
    """The obvious tree builder, about 0.8 ms a record: for tests and for machines without the
    prover.
    """

    def dataset(self, digests: bytes, salts: bytes, depth: int) -> tuple[bytes, int]:
        count = len(digests) // 32
        leaves = [
            leaf(
                Digest(digests[32 * i : 32 * i + 32]), salts[SALT_BYTES * i : SALT_BYTES * (i + 1)]
            )
            for i in range(count)
        ]
        return b"".join(leaves), tree_root([int.from_bytes(x, "big") for x in leaves], depth)


@dataclass(frozen=True)
class CommitReport:
    """What was committed.

    Rows count from 0 in reading order; `removed` of the `duplicates` were left out.
    """

    root: DatasetRoot
    count: int
    duplicates: tuple[tuple[int, int], ...]  # (row, the first row with the same bytes)
    removed: int
    out_dir: Path

    def to_json(self) -> dict[str, Any]:
        return {
            "format": "provenance-commit/1",
            **self.root.to_json(),
            "duplicates_removed": self.removed,
            "out": str(self.out_dir),
        }


class _Spool:
    """Canonical bytes in reading order, on disk; digests and offsets in memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.digests = bytearray()
        self.offsets = array("Q", [0])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def append(self, canonical: bytes) -> None:
        self._stream.write(canonical)
        self.digests += dataset_record_digest(canonical)
        self.offsets.append(self.offsets[-1] + len(canonical))

    def digest(self, row: int) -> Digest:
        return Digest(bytes(self.digests[32 * row : 32 * row + 32]))

    def canonical(self, row: int) -> bytes:
        self._stream.seek(self.offsets[row])
        return self._stream.read(self.offsets[row + 1] - self.offsets[row])


def commit_dataset(
    rows: Iterable[Mapping[str, Any]],
    out_dir: Path,
    key: bytes,
    prover: TreeBuilder,
    *,
    facts: ManifestFacts,
    dedupe: bool = False,
    locate: Callable[[int], str] | None = None,
    progress: Progress | None = None,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> CommitReport:
    """Commit rows and write the dataset folder; nothing is left behind when this raises.

    Args:
        rows: attacker-controlled; read once.
        key: 32 bytes for the salt store, see `provenance.dataset.saltstore.load_or_create_key`.
        prover: builds leaves and tree.
        facts: what the manifest states; `duplicates_removed` and the counts are filled in here.
        dedupe: drop exact duplicates instead of refusing them.
        locate: where row i stands, for messages; called for the row that was read last.
        random_bytes: source of the salts.

    Raises:
        InputError: no rows, more than 16^6, a row without canonical bytes, exact duplicates without
            `dedupe`, or two records
            whose digests share their first half.
        Conflict: `out_dir` exists.
        UnavailableError: prover or disk out of reach.
    """
    if os.path.lexists(out_dir):  # before the long work; the rename looks again
        raise Conflict(
            "output folder exists", where=str(out_dir), hint="choose another --out folder"
        )
    tell: Progress = progress or (lambda stage, done, total: None)
    try:
        Path(out_dir).absolute().parent.mkdir(parents=True, exist_ok=True)
        stream = tempfile.TemporaryFile(dir=Path(out_dir).absolute().parent)  # noqa: SIM115 (closed below)
    except OSError as error:
        raise UnavailableError(
            "cannot create output folder", where=str(out_dir), actual=error.strerror
        ) from error
    with stream:
        spool = _Spool(stream)
        _read(rows, spool, locate or (lambda i: f"row {i}"), tell)
        if not len(spool):
            raise InputError("source has no records", where=facts.source)
        order, duplicates = _sort(spool)
        if duplicates and not dedupe:
            raise _duplicates_error(duplicates)
        depth = depth_for(len(order))
        digests = b"".join(spool.digest(row) for row in order)
        salts = random_bytes(SALT_BYTES * len(order))
        tell("tree", 0, len(order))
        leaves, root_value = prover.dataset(digests, salts, depth)
        tell("tree", len(order), len(order))
        root = DatasetRoot(root_value, depth, len(order))
        facts = replace(
            facts,
            duplicates_removed=facts.duplicates_removed + len(duplicates),
            counts={**facts.counts, "bytes": _total_bytes(spool, order)},
        )
        write_dataset(Path(out_dir), root, facts, _records(spool, order, salts, leaves, tell), key)
    return CommitReport(root, len(order), tuple(duplicates), len(duplicates), Path(out_dir))


def _read(
    rows: Iterable[Mapping[str, Any]], spool: _Spool, locate: Callable[[int], str], tell: Progress
) -> None:
    for i, row in enumerate(rows):
        if (
            i == 2 * MAX_RECORDS
        ):  # even halved by deduplication this stays the limit of what is read
            raise InputError("source has too many rows", expected=f"<= {2 * MAX_RECORDS}")
        try:
            spool.append(dataset_record_bytes(row))
        except ProvenanceError as error:
            error.where = f"{locate(i)} {error.where}" if error.where else locate(i)
            raise
        except OSError as error:
            raise UnavailableError(
                "cannot spool records", where=locate(i), actual=error.strerror
            ) from error
        if i % _STEP == 0:
            tell("read", i, None)
    tell("read", len(spool), len(spool))


def _sort(spool: _Spool) -> tuple[list[int], list[tuple[int, int]]]:
    """(rows in the order of their digests, without repetitions; (row, first row) of the
    repetitions).
    """
    words = np.frombuffer(bytes(spool.digests), dtype=">u8").reshape(-1, 4).astype(np.uint64)
    ranked = np.lexsort(
        (words[:, 3], words[:, 2], words[:, 1], words[:, 0])
    )  # stable: equal digests stay in reading order
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


def _total_bytes(spool: _Spool, order: Sequence[int]) -> int:
    return sum(spool.offsets[row + 1] - spool.offsets[row] for row in order)


def _records(
    spool: _Spool, order: Sequence[int], salts: bytes, leaves: bytes, tell: Progress
) -> Iterator[CommittedRecord]:
    if len(leaves) != 32 * len(order):
        raise UnavailableError(
            "prover returned another number of leaves",
            expected=len(order),
            actual=len(leaves) // 32,
        )
    for i, row in enumerate(order):
        if i % _STEP == 0:
            tell("write", i, len(order))
        yield CommittedRecord(
            spool.digest(row),
            spool.canonical(row),
            salts[SALT_BYTES * i : SALT_BYTES * (i + 1)],
            leaves[32 * i : 32 * i + 32],
            row,
        )
    tell("write", len(order), len(order))
