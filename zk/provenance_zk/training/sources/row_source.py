"""Records of one source, with the places where they stand."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from provenance.encoding import dataset_record_bytes, parse_json
from provenance.errors import InputError
from provenance.progress import Progress
from provenance_zk.training.sources.reading import Reading
from provenance_zk.training.sources.scan import Scan, require_text
from provenance_zk.training.sources.values import listed

Row = tuple[str, Mapping[str, Any]]
"""(the place of the row, for messages; the row)."""
Rows = Generator[Row, None, None]
RowReader = Callable[[Reading, str | None], Rows]
"""Reads all rows from the start.

Takes what counts blank lines and the like, and the only column that is wanted, None for all.
"""

_STEP = 1000  # rows between two reports of progress


def as_committed(row: Mapping[str, Any], text_column: str | None) -> dict[str, Any]:
    """A row as it is once it was committed: NFC text, or what its canonical JSON says.

    Raises:
        InputError: a row without canonical bytes.
    """
    canonical = dataset_record_bytes(row)
    if text_column is not None:
        return {text_column: canonical.decode("utf-8")}
    record: dict[str, Any] = parse_json(canonical)
    return record


@dataclass
class RowSource:
    """Records of one source. They can be read more than once; `scan` comes first.

    Attributes:
        licence: as the source states it, "" where it states none.
        files: {path, size, sha256} of the files read.
        read: reads the rows as they stand in the source.
        remarks: what was chosen before the first row was read, one sentence each.
        split: the split that the records are of, None where the source has none.
        ignored: files that lie beside the data and are no data, such as a README.
        columns: names of the columns that are committed.
        text_column: name of the only column, if records are texts; else None.
        reading: what was done to the rows on the way.
        where: place of the row that was read last.
    """

    source: str
    licence: str
    files: list[dict[str, Any]]
    read: RowReader
    remarks: list[str] = field(default_factory=list)
    split: str | None = None
    ignored: list[str] = field(default_factory=list)
    columns: tuple[str, ...] = ()
    text_column: str | None = None
    reading: Reading = field(default_factory=Reading)
    where: str = ""
    _limit: int | None = None

    @property
    def curation(self) -> list[str]:
        """What was done to the records on the way, one sentence each."""
        return [*self.remarks, *self.reading.sentences()]

    def scan(self, text_column: str | None, limit: int | None, progress: Progress) -> None:
        """Read the source once through: find its columns, count what is done, refuse what is wrong.

        Args:
            text_column: commit this column alone.
            limit: the first so many records; None for all.

        Raises:
            InputError: a malformed row, a value that records cannot hold, or no such column.
        """
        self._limit, self.reading = limit, Reading()
        scan = Scan(self.source, text_column, self.reading)
        with closing(self.read(self.reading, text_column)) as rows:
            for number, (where, row) in enumerate(islice(rows, limit)):
                self.where = where
                scan.add(where, row)
                if number % _STEP == 0:
                    progress("look", number, None)
        if not self.reading.records:
            raise InputError("source has no records", where=self.source)
        self.columns, self.text_column = scan.end()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with closing(self.read(Reading(), self.text_column)) as rows:
            for where, row in islice(rows, self._limit):
                self.where = where
                yield self._select(row)

    def records(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(where it stands, the record as a committed dataset gives it back) of each row.

        Raises:
            InputError: a row without canonical bytes, or the source has changed.
        """
        for row in self:
            try:
                record = as_committed(row, self.text_column)
            except InputError as error:
                error.where = f"{self.where} {error.where}" if error.where else self.where
                raise
            yield self.where, record

    def _select(self, row: Mapping[str, Any]) -> dict[str, Any]:
        if self.text_column is not None:
            text = row.get(self.text_column)
            return {self.text_column: require_text(text, f"{self.where} {self.text_column}")}
        if extra := [
            name for name in row if name not in self.columns and name not in self.reading.dropped
        ]:
            raise InputError(
                "row has another column than the source",
                where=self.where,
                expected=listed(self.columns),
                actual=listed(extra),
            )
        return {name: row.get(name) for name in self.columns}
