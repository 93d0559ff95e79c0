"""A run's log: the records of its journal as an RFC 6962 tree, and its heads."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from provenance.digest import Digest
from provenance.encoding import head_digest
from provenance.errors import InputError, MissingEvidence, VerificationError
from provenance.ids import RunId, to_hex
from provenance.log.frames import Allowance, JournalTail, read_frames
from provenance.log.record import Record
from provenance.merkle import Tree


@dataclass(frozen=True)
class Head:
    """A log's state: `size` entries under the 32 bytes of `root`."""

    run_id: RunId
    size: int
    root: bytes

    @property
    def digest(self) -> Digest:
        """Binds run, size and root; printed beside heads and written into model files."""
        return head_digest(self.run_id, self.size, self.root)


def require_prefix(head: Head, run_id: RunId, tree: Tree) -> None:
    """Check that a head (attacker-controlled) is one of this log, up to its size.

    Args:
        tree: over the log's records, as many as the head has or more.

    Raises:
        VerificationError: it is of another run, or of another or longer log.
    """
    size = min(head.size, len(tree))
    expected = Head(run_id, size, tree.root(size))
    if head != expected:
        raise VerificationError(
            "signed head is not a prefix of the log: the writer signed two histories",
            where=f"head of {head.size} records",
            expected=expected.digest,
            actual=head.digest,
        )


def require_log(records: Sequence[Record], size: int, root: bytes, where: str) -> Tree:
    """Check that records (attacker-controlled) begin with the log that a committed head is of.

    Args:
        size, root: of the head.
        where: names the head in errors.

    Returns:
        The tree over the log's records.

    Raises:
        MissingEvidence: there are fewer.
        VerificationError: they are others.
    """
    if len(records) < size:
        raise MissingEvidence(
            f"evidence lacks {size - len(records)} of the log's {size} records",
            where="provenance/journal",
        )
    tree = Tree(record.entry for record in records[:size])
    if tree.root() != root:
        raise VerificationError(
            "records are not those under the anchored head",
            where=where,
            expected=to_hex(root),
            actual=to_hex(tree.root()),
        )
    return tree


class FileNodes:
    """`NodeStore` with one append-only file per level, so memory does not grow with the run.

    The files are derived: every start empties `folder` and builds them from the journal, so they
    are never trusted and never synced. `close` removes the folder.
    """

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._folder = folder
        self._files: list[BinaryIO] = []
        self._counts: list[int] = []

    def append(self, level: int, node: bytes) -> None:
        """Add the 32 bytes of the next node of `level`."""
        if level == len(self._files):
            self._files.append((self._folder / str(level)).open("w+b"))
            self._counts.append(0)
        self._files[level].seek(0, 2)
        self._files[level].write(node)
        self._counts[level] += 1

    def get(self, level: int, index: int) -> bytes:
        """The 32 bytes of a node that was appended."""
        self._files[level].seek(32 * index)
        return self._files[level].read(32)

    def count(self, level: int) -> int:
        """Nodes of `level`, 0 for one that has none yet."""
        return self._counts[level] if level < len(self._counts) else 0

    def close(self) -> None:
        """Remove the files."""
        for file in self._files:
            file.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class RunLog:
    """Follows a journal and keeps its tree. One thread owns a RunLog."""

    def __init__(self, journal: Path, nodes: FileNodes | None = None) -> None:
        self._tail = JournalTail(journal)
        self._nodes = nodes
        self.tree = Tree(nodes=nodes)

    def __len__(self) -> int:
        return len(self.tree)

    def refresh(
        self, until: int | None = None, observe: Callable[[int, Record], None] | None = None
    ) -> int:
        """Add the journal's new frames to the tree; returns the size of the log.

        Args:
            until: seq at which to stop (exclusive); None for all.
            observe: called with seq and record of each frame before it enters the tree.

        Raises:
            InputError: a frame that is not a record.
            VerificationError: the journal is damaged before its end.
        """
        for frame in self._tail.read(until):
            record = Record.parse(frame.payload)
            if observe is not None:
                observe(frame.seq, record)
            self.tree.append(record.entry)
        return len(self.tree)

    def head(self, run_id: RunId, size: int | None = None) -> Head:
        """The head over the first `size` entries, over all of them if None."""
        size = len(self.tree) if size is None else size
        return Head(run_id, size, self.tree.root(size))

    def close(self) -> None:
        """Remove the tree's files, if it has any; the journal stays."""
        if self._nodes is not None:
            self._nodes.close()


def read_records(journal: Path) -> list[Record]:
    """All records of a journal, checked frame by frame (attacker-controlled).

    Raises:
        InputError: a frame that is not a canonical record; `where` names its index.
        VerificationError: a damaged journal.
    """
    return list(iterate_records(journal))


def iterate_records(
    journal: Path, allowance: Allowance | None = None, stream: BinaryIO | None = None
) -> Iterator[Record]:
    """`read_records`, one at a time; InputError also if they are more than the allowance.

    Args:
        stream: as `read_frames` takes it.
    """
    for frame in read_frames(journal, allowance=allowance, stream=stream):
        try:
            yield Record.parse(frame.payload)
        except InputError as error:
            raise InputError(
                error.what,
                where=f"{journal} record {frame.seq} {error.where or ''}".rstrip(),
                expected=error.expected,
                actual=error.actual,
            ) from error
