"""Appending to a finished run's log, and bringing the chain up to it.

Merging, quantizing, proving and releasing share this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from provenance.digest import Digest, hash_file
from provenance.errors import Conflict, InputError, VerificationError
from provenance.ids import RunId
from provenance.layout import RunFolder, read_json
from provenance.log.anchoring import Anchorer, Committed, HeadCommitter
from provenance.log.fold import Fold
from provenance.log.history import History, Placed
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance.log.records import Merge, Quantize
from provenance.log.tree import RunLog, read_records


def run_id_of(folder: RunFolder) -> RunId:
    """The run id recorded beside the journal.

    Raises:
        InputError: the run was never registered on a chain.
    """
    value = read_json(folder.info).get("run_id")
    if not isinstance(value, str):
        raise InputError(
            "run was never registered", where=str(folder.info), hint="train with --anchor"
        )
    return RunId.parse(value, where=f"{folder.info} run_id")


@dataclass
class OpenLog:
    """A run's journal open for appending; `records` are those it holds.

    Raises:
        VerificationError: the records contradict each other (`provenance.log.fold`).
    """

    folder: RunFolder
    journal: Journal
    records: list[Record]

    def __post_init__(self) -> None:
        self._fold = Fold()
        for record in self.records:
            self._fold.add(record)

    @property
    def history(self) -> History:
        """What the records tell."""
        return self._fold.history()

    def append(self, record: Record) -> int:
        """Add a record, durable on return; returns its index.

        Raises:
            VerificationError: it contradicts the log, which stays as it is.
            UnavailableError: the disk refused; the record may still become durable.
        """
        self._fold.add(record)
        index = self.journal.append(record.to_bytes())
        self.journal.barrier()
        self.records.append(record)
        return index

    def last_merge(self) -> Placed:
        """The last `merge` record; a Conflict if there is none, so `merge` has not run."""
        return self._last(self.history.merges, Merge.TYPE)

    def last_quantization(self) -> Placed:
        """The last `quantize` record; a Conflict if there is none, so `quantize` has not run."""
        return self._last(self.history.quantizations, Quantize.TYPE)

    def _last(self, records: Sequence[Placed], type_: str) -> Placed:
        if records:
            return records[-1]
        raise Conflict(
            "log lacks a record this command builds on",
            where=str(self.folder.root),
            expected=f"a {type_} record",
        )

    def quantized_file(self) -> Path:
        """The file of the last `quantize` record, under whatever name the release folder has it.

        Raises:
            Conflict: the folder holds no file.
            VerificationError: it holds only files with other digests.
        """
        logged = Digest.parse(self.last_quantization().fields["file"])
        files = {
            path: hash_file(path)
            for path in sorted(self.folder.release.glob("*"))
            if path.is_file()
        }
        if not files:
            raise Conflict(
                "release folder holds no file",
                where=str(self.folder.release),
                hint="provenance quantize RUN",
            )
        found = next((path for path, digest in files.items() if digest == logged), None)
        if found is None:
            raise VerificationError(
                "file is not the one the log says was quantized",
                where=", ".join(map(str, files)),
                expected=logged,
                actual=", ".join(map(str, files.values())),
            )
        return found

    def head_hex(self) -> tuple[int, str]:
        """(size, head digest) of the log as it stands, for a file's metadata."""
        log = RunLog(self.folder.journal)
        log.refresh()
        head = log.head(run_id_of(self.folder))
        return head.size, str(head.digest)


@contextmanager
def open_log(folder: RunFolder) -> Iterator[OpenLog]:
    """Open a run's journal; another process writing it is a Conflict."""
    folder.require()
    with Journal.open(folder.journal) as journal:
        yield OpenLog(folder, journal, read_records(folder.journal))


def anchor(committer: HeadCommitter, log: OpenLog) -> Committed:
    """Commit everything durable; raises as `Anchorer.anchor` does."""
    run_id = run_id_of(log.folder)
    anchorer = Anchorer(run_id, log.folder, committer, lambda: log.journal.durable)
    try:
        return anchorer.anchor()
    finally:
        anchorer.close()
