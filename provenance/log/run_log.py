"""Appending to a finished run's log and bringing the chain up to it: what merge, quantize, prove and release share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from provenance.chain.session import Session
from provenance.digest import hash_file
from provenance.errors import Conflict, InputError, VerificationError
from provenance.layout import RunFolder, read_json
from provenance.log.anchoring import Anchorer, Committed
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance.log.tree import RunLog, read_records
from provenance.signing import sign_head


def run_id_of(folder: RunFolder) -> bytes:
    """The run id recorded beside the journal.

    Raises:
        InputError: the run was never registered on a chain.
    """
    value = read_json(folder.info).get("run_id")
    if not isinstance(value, str):
        raise InputError(
            "run was never registered", where=str(folder.info), hint="train with --anchor"
        )
    return bytes.fromhex(value[2:])


@dataclass
class OpenLog:
    """A run's journal open for appending. Records given to `append` are durable when it returns."""

    folder: RunFolder
    journal: Journal
    records: list[Record]

    def append(self, record: Record) -> int:
        index = self.journal.append(record.to_bytes())
        self.journal.barrier()
        self.records.append(record)
        return index

    def last(self, type_: str) -> Record:
        """The newest record of a type.

        Raises:
            Conflict: there is none, so an earlier command has not run.
        """
        for record in reversed(self.records):
            if record.type == type_:
                return record
        raise Conflict(
            "log lacks a record this command builds on",
            where=str(self.folder.root),
            expected=f"a {type_} record",
        )

    def quantized_file(self) -> Path:
        """The file of the last `quantize` record, wherever its name stands in the release folder.

        Raises:
            Conflict: there is no file.
            VerificationError: there are only others.
        """
        logged = self.last("quantize").fields["file"]
        files = {
            path: str(hash_file(path))
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
                actual=", ".join(files.values()),
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


def anchor(session: Session, log: OpenLog) -> Committed:
    """Commit everything durable and wait until nothing is left to commit."""
    anchorer = Anchorer(
        run_id_of(log.folder),
        log.folder.journal,
        log.folder.heads,
        log.folder.nodes,
        session,
        lambda head: sign_head(session.account, head, session.domain),
        lambda: log.journal.durable,
    )
    try:
        return anchorer.anchor()
    finally:
        anchorer.close()
